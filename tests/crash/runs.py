"""Runs the child and looks at what it left behind, as the next start, a sender and the hub would."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from runtime import record
from runtime.journal import books, inspect
from runtime.kernel import Kernel
from tests.crash.child import numbered
from tests.support import kernel as support

ROOT = Path(__file__).resolve().parents[2]
SECONDS_MAX = 30


class Receipt(Struct, frozen=True):
    """What a child had told a sender when it died."""

    number: int
    seq: int
    sha256: str
    wal_bytes: int


class Stored(Struct, frozen=True):
    """What a child had given to the hub when it died."""

    lane: str
    seq: int
    origin: str
    chain: str


class Ended(Struct, frozen=True):
    """A child's end."""

    code: int
    receipts: list[Receipt]
    stored: list[Stored]
    lines: list[str]
    effects: list[tuple[str, str]] = []
    """(id, key) of each delivery as the target saw it, in order."""


def run(directory: Path, point: str, nth: int = 1, first: int = 1, *job: str) -> Ended:
    """Start a child and wait for its end; a negative code is the signal that ended it."""
    command = [sys.executable, "-m", "tests.crash.child", str(directory), point, str(nth), str(first), *job]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=SECONDS_MAX, check=False)
    said = [line.split() for line in done.stdout.decode().splitlines()]
    receipts = [Receipt(int(n), int(seq), sha, int(wal)) for kind, n, seq, sha, wal in _of("receipt", said) if kind]
    stored = [Stored(lane, int(seq), origin, chain) for kind, lane, seq, origin, chain in _of("stored", said) if kind]
    effects = [(words[1], words[2]) for words in _of("effect", said)]
    return Ended(done.returncode, receipts, stored, done.stderr.decode().splitlines(), effects)


def _of(kind: str, said: list[list[str]]) -> list[list[str]]:
    return [words for words in said if words[0] == kind]


async def nothing_is_lost(kernel: Kernel, receipts: Sequence[Receipt]) -> None:
    """Every receipt that was told is given again, and the journal agrees with itself."""
    assert await inspect.verify(kernel.journal, whole_file=True) == []
    for told in receipts:
        (again,) = await support.accept(kernel, numbered(told.number))
        assert again.duplicate, f"message {told.number} had a receipt and is gone"
        assert (again.intake_seq, again.sha256) == (told.seq, told.sha256)
    assert (await kernel.journal.read(books.read)).balanced


async def everything_reaches_the_hub_once(kernel: Kernel, stored: Sequence[Stored]) -> None:
    """Ship the rest; then each fact stands at one position, whoever of the children wrote it there."""
    await support.translate(kernel)
    everything = list(stored)
    for lane in kernel.lanes:
        for row in await support.ship(kernel, lane, 3):
            origin = record.parse_header_block(row.headers)[record.ORIGIN_HEADER]
            everything.append(Stored(lane, row.seq, origin, row.chain.hex()))
    account = await kernel.journal.read(books.read)
    assert account.pending == 0
    assert account.delivered + account.withheld == account.facts
    positions = {(row.lane, row.seq): row for row in everything}
    assert set(positions.values()) == set(everything), "one position was given two contents"
    assert len({row.origin for row in positions.values()}) == len(positions) == account.facts, "sealed twice, or never"
    for lane in kernel.lanes:
        seqs = sorted(seq for name, seq in positions if name == lane)
        assert seqs == list(range(1, len(seqs) + 1)), "a gap"
