"""A disk that is full for a while: messages are refused, none is half stored, and it goes on by itself."""

from __future__ import annotations

from runtime.certify.ground import Finding, Ground, judged, listen, not_tried, problems, receipts

MESSAGES = 40
SHOWS_NOT = "The answer `full` is given between SQLite and the disk; this host's disk itself is not filled."


def run(ground: Ground) -> Finding:
    """One round."""
    home = ground.folder / "full"
    lines = listen(ground.start(home, "filled", 1, MESSAGES), lambda _: False)
    told = receipts(lines)
    refused = [int(line.split()[1]) for line in lines if line.startswith("refused ")]
    if not any(line.startswith("refusals ") and line != "refusals 0" for line in lines):
        return not_tried("disk_full", "the answers of the disk cannot be replaced on this host")
    wrong = problems(home, told)
    during = [number for number in range(MESSAGES + 1, MESSAGES + 9) if number not in refused]
    if during:
        wrong.append(f"a receipt was given while the disk was full: message {during[0]}")
    if not any(receipt.number > MESSAGES + 8 for receipt in told):
        wrong.append("nothing more was accepted after there was room again")
    return judged(
        "disk_full",
        wrong,
        f"{len(refused)} messages were refused while there was no room; it went on by itself, with every one of {len(told)} receipts",
        figures={"refused": len(refused), "receipts": len(told)},
        shows_not=SHOWS_NOT,
    )
