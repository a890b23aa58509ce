"""The audit: every change is a signed record that names the digest of the one before. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec
from msgspec import Struct

from runtime.errors import Refused
from runtime.fleet.documents import CHANGE, Change
from runtime.fleet.signing import digest, read

REGION = "hq"
"""What a change says as its region: it is headquarters' own."""
GENESIS = "0" * 64
"""`previous` of the first record."""
PROBLEMS_MAX = 20


class Link(Struct, frozen=True, kw_only=True):
    """Where the chain ends: number and digest of the newest record."""

    number: int = 0
    digest: str = GENESIS


def follow_up(
    link: Link, what: str, *, environment: str, at: str, by: str, ticket: str = "", detail: dict[str, Any] | None = None
) -> Change:
    """The next record, to be signed."""
    return Change(
        environment=environment,
        region=REGION,
        issued_at=at,
        number=link.number + 1,
        previous=link.digest,
        by=by,
        what=what,
        ticket=ticket,
        detail=detail or {},
    )


def open_change(document: bytes, *, keys: Collection[bytes], environment: str) -> Change:
    """One record, without its place in the chain. Raises `Refused`."""
    return read(document, CHANGE, Change, keys=keys, environment=environment, region=REGION)


def end_at(document: bytes, *, keys: Collection[bytes], environment: str) -> Link:
    """The chain as it ends with this record. Raises `Refused`."""
    change = open_change(document, keys=keys, environment=environment)
    return Link(number=change.number, digest=digest(document))


class Entry(Struct, frozen=True, kw_only=True):
    """One record as it stands at the hub. `problem`: why it is not believed, or does not follow the one before."""

    seq: int
    time: str
    change: Change | None
    problem: str = ""


class Chain:
    """Fed with every record in order."""

    def __init__(self, *, keys: Collection[bytes], environment: str) -> None:
        self._keys, self._environment = keys, environment
        self._link = Link()
        self.count = 0
        self.problems: list[str] = []

    def add(self, seq: int, time: str, document: bytes) -> Entry:
        """Never raises: what is wrong is said in the entry and in `problems`."""
        self.count += 1
        try:
            change = open_change(document, keys=self._keys, environment=self._environment)
            found = digest(document)
        except Refused as error:
            return self._wrong(seq, time, None, str(error))
        expected = Link(number=self._link.number + 1, digest=self._link.digest)
        self._link = Link(number=change.number, digest=found)
        if (change.number, change.previous) != (expected.number, expected.digest):
            gap = "is not the number that follows" if change.number != expected.number else "names another predecessor"
            return self._wrong(seq, time, change, f"record {change.number} {gap}: something is missing or was changed")
        return Entry(seq=seq, time=time, change=change)

    def _wrong(self, seq: int, time: str, change: Change | None, problem: str) -> Entry:
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(f"position {seq}: {problem}")
        return Entry(seq=seq, time=time, change=change, problem=problem)


def plain(change: Change) -> dict[str, Any]:
    """As plain values."""
    found: dict[str, Any] = msgspec.to_builtins(change)
    return found
