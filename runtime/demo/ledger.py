"""What the partners keep: each receipt, and what must have come of its message. Says at once when two do not fit."""

from __future__ import annotations

from msgspec import Struct

PROBLEMS_MAX = 50


class Expected(Struct, frozen=True, gc=False):
    """What must come of one accepted message."""

    source: str
    events: int
    letter: bool


class Ledger:
    """Receipts by (epoch, intake_seq)."""

    def __init__(self) -> None:
        self.receipts: dict[tuple[int, int], Expected] = {}
        self.repeats = 0
        """Sent again on purpose, and answered with the first receipt."""
        self.retries = 0
        """Sent again because no answer came."""
        self.unanswered: list[str] = []
        """Given up at the end without a receipt: may or may not have been accepted."""
        self.problems: list[str] = []

    def accept(self, source: str, epoch: int, intake_seq: int, *, events: int, letter: bool) -> None:
        """A receipt came. Two messages with one receipt are a problem."""
        place = (epoch, intake_seq)
        if place in self.receipts:
            self.complain(f"{source}: receipt {epoch}.{intake_seq} was given to two messages")
        self.receipts[place] = Expected(source, events, letter)

    def complain(self, sentence: str) -> None:
        """Something that must not happen."""
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(sentence)
