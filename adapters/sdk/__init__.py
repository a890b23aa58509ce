"""What an adapter is made from: signature checks, stable files, and the suite that proves it keeps its promises."""
