"""What adapters are made from: signatures, stable files, filters, and the suites that prove that promises are kept."""
