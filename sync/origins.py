"""Whether a lane carries an origin twice, in memory that does not grow with the stream. Exact, in one look or two.

Origins of an epoch mostly ascend, and one above all before it is new. For the rest a Bloom filter says "new" or
"maybe not"; what may not be new is looked for by name when the stream is read a second time.
"""

from __future__ import annotations

import re

from msgspec import Struct

BITS_A_RECORD = 16
BITS_MIN, BITS_MAX = 1 << 16, 1 << 28
"""Of the filter: 8 KiB … 32 MiB. Beyond 16 million records more is looked at a second time, no less is found."""
HASHES = 4
EPOCHS_MAX = 1_000
"""Epochs whose highest origin is remembered; origins of further ones are all left to the filter."""
SUSPECTS_MAX = 100_000
"""Origins that are looked for by name. More cannot be told apart, and the lane is not proven."""
_ORIGIN = re.compile(r"(0|[1-9][0-9]{0,17})\.(0|[1-9][0-9]{0,17})\.(0|[1-9][0-9]{0,9})")


class Repeat(Struct, frozen=True):
    """A record with the origin of an earlier one."""

    seq: int
    first: int
    origin: str


class Origins:
    """Of one lane. First `meet` every record; if there are `suspects`, `look_again` at every record."""

    def __init__(self, records: int, *, whole: bool = True) -> None:
        """`whole`: `meet` begins with the lane's first record. Else whatever does not ascend is looked for by name, and
        the first of an older epoch.
        """
        self._whole = whole
        self._bits = min(BITS_MAX, max(BITS_MIN, records * BITS_A_RECORD))
        self._filter = bytearray(self._bits // 8 + 1)
        self._highest: dict[int, tuple[int, int]] = {}
        self.suspects: dict[str, int] = {}
        """Origin → the first record that carries it, 0 until the second look."""
        self.overflown = False

    def meet(self, origin: str) -> bool:
        """Note the origin of the next record; False when it is none."""
        match = _ORIGIN.fullmatch(origin)
        if match is None:
            return False
        epoch, place = int(match[1]), (int(match[2]), int(match[3]))
        known = self._mark(origin)
        highest = self._highest.get(epoch)
        ascends = len(self._highest) < EPOCHS_MAX if highest is None else place > highest
        new = ascends and (self._whole or highest is not None or epoch > max(self._highest, default=0))
        if ascends:
            self._highest[epoch] = place
        if not new and (known or not self._whole):
            self._suspect(origin)
        return True

    def look_again(self, seq: int, origin: str) -> Repeat | None:
        """The second look at a record: whether an earlier one has its origin."""
        first = self.suspects.get(origin)
        if first == 0:
            self.suspects[origin] = seq
        return Repeat(seq, first, origin) if first else None

    def _suspect(self, origin: str) -> None:
        if len(self.suspects) < SUSPECTS_MAX:
            self.suspects[origin] = 0
        else:
            self.overflown = self.overflown or origin not in self.suspects

    def _mark(self, origin: str) -> bool:
        """Set the bits of an origin; True when all were set before."""
        hashed = hash(origin)
        start, step = hashed & 0xFFFFFFFF, (hashed >> 32) | 1
        known = True
        for turn in range(HASHES):
            at = (start + turn * step) % self._bits
            if not self._filter[at >> 3] & 1 << (at & 7):
                known = False
                self._filter[at >> 3] |= 1 << (at & 7)
        return known
