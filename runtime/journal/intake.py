"""Acceptance: raw facts with their idempotency keys, and the receipts that prove them."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import blake2b, sha256
from typing import NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from runtime import clock
from runtime.envelope import Envelope, Message
from runtime.errors import Permanent, Refused
from runtime.journal import books, cursors, rows
from runtime.journal.keys import FIND_MAX, Keys, key_hash
from runtime.journal.names import Names

FACT_COLUMNS = """intake (seq, epoch, source, key_hash, key, sha256, content_type, received_us, committed_us,
correlation, traceparent, headers, proof)"""
BODY_COLUMNS = "bodies (seq, key_id, body)"
SENDER_COLUMNS = "senders (intake_seq, caller)"
_FIND = "SELECT seq, epoch, sha256, committed_us, source, key FROM intake WHERE seq"
CORRELATION_BYTES = 16
"""As long as a W3C trace id."""
NOT_ENCRYPTED = 0
"""Key id of a payload that is stored as it is."""
UNKNOWN_TYPE = "application/octet-stream"
_NONE: dict[str, str] = {}
_decode_headers = msgspec.json.Decoder(dict[str, str]).decode
_TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}").fullmatch
"""W3C trace context level 1."""
_CORRELATION = re.compile(r"[0-9a-f]{32}").fullmatch
HEADERS_BYTES_MAX = 16_384
"""Kept headers of one message, as JSON: far above what the gateway lets through, so nothing of that is lost here."""
_FACTS = """
SELECT i.seq, i.epoch, i.source, i.key, i.content_type, i.received_us, i.correlation,
       i.traceparent, i.headers, b.body
FROM intake i JOIN bodies b ON b.seq = i.seq"""


class Prepared(Struct, frozen=True):
    """A message with what can be computed before the transaction."""

    message: Message
    digest: bytes
    key_hash: int | None
    headers: str | None = None
    """Canonical JSON."""


class Accepted(Struct, frozen=True):
    """Where one message stands."""

    seq: int
    epoch: int
    digest: bytes
    committed_us: int
    duplicate: bool


def prepare(source: str, message: Message) -> Prepared:
    """Digest and key hash of a message; pure. What an adapter says beside the body never fails or leaks: it is mended.

    A broken `traceparent` would stand in a header at the hub as it is, and text that is no text would fail the commit
    of everybody who waits for it.
    """
    digest = sha256(message.body).digest()
    if message.traceparent is not None and not _TRACEPARENT(message.traceparent):
        message = replace(message, traceparent=None)
    if message.correlation_id is not None and not _CORRELATION(message.correlation_id):
        message = replace(message, correlation_id=None)
    if not message.content_type.isascii():
        message = replace(message, content_type=UNKNOWN_TYPE)
    hashed = None if message.key is None else key_hash(source, message.key)
    return Prepared(message, digest, hashed, canonical_headers(message.headers) if message.headers else None)


def canonical_headers(headers: Mapping[str, str]) -> str | None:
    """JSON with sorted names; None for what is no text, or more than `HEADERS_BYTES_MAX`."""
    try:
        text = msgspec.json.encode(dict(headers), order="sorted")
    except (TypeError, ValueError):
        return None
    return text.decode() if len(text) <= HEADERS_BYTES_MAX else None


class Fact(NamedTuple):
    """What the journal says of one fact beside its body, with the source's name."""

    seq: int
    epoch: int
    source: str
    key: str | None
    digest: bytes
    content_type: str
    received_us: int
    committed_us: int
    correlation: bytes
    traceparent: str | None
    headers: str | None
    """Canonical JSON."""


def proof(fact: Fact) -> bytes:
    """Eight bytes over everything that is said of a fact: SQLite's pages carry no checksum, so each row has its own."""
    return _proof(*fact)


def _proof(
    seq: int, epoch: int, source: str, key: str | None, digest: bytes, content_type: str, received_us: int,
    committed_us: int, correlation: bytes, traceparent: str | None, headers: str | None,
) -> bytes:  # fmt: skip
    who = f"{source}\0{content_type}\0{traceparent}\0{key!r}"
    if headers is not None:  # a fact without them proves as it did before there were any
        who += f"\0{headers}"
    when = (digest, correlation, seq, epoch, received_us, committed_us, who.encode())
    return blake2b(b"%b%b%d\0%d\0%d\0%d\0%b" % when, digest_size=8).digest()


class Call(Struct, frozen=True):
    """Messages that one caller hands over together: all of them are accepted, or none."""

    source: str
    epoch: int
    received_us: int
    batch: Sequence[Prepared]
    cursor: str | None = None
    """Where the source stands after this call."""


def accept(
    connection: sqlite3.Connection, names: Names, keys: Keys, calls: Sequence[Call]
) -> list[list[Accepted] | Refused]:
    """Append new facts and find the ones already known; one outcome a call, in order.

    `Refused` (a key with another body) refuses its own call only and leaves nothing of it behind.
    """
    intake = _Intake(connection, names, keys, calls)
    outcomes = [intake.take(call) for call in calls]
    intake.write()
    return outcomes


class _Intake:
    """The facts of one change, gathered so that each table is written once."""

    def __init__(self, connection: sqlite3.Connection, names: Names, keys: Keys, calls: Sequence[Call]) -> None:
        self._connection = connection
        self._names = names
        self._keys = keys
        hashes = [item.key_hash for call in calls for item in call.batch if item.key_hash is not None]
        self._first, self._known = _known(connection, keys, hashes)
        self._seq = self._first
        self._now = clock.now_us()
        self._facts: list[tuple[object, ...]] = []
        self._bodies: list[tuple[int, int, bytes]] = []
        self._senders: list[tuple[int, int]] = []
        self._fresh: dict[tuple[int, str], Accepted] = {}
        self._cursors: dict[int, str] = {}
        self._duplicates = 0
        # Drawn at once: each draw gives the interpreter lock away, as each statement does.
        self._random = os.urandom(CORRELATION_BYTES * sum(len(call.batch) for call in calls))

    def take(self, call: Call) -> list[Accepted] | Refused:
        source = self._names.id(self._connection, "source", call.source)
        known: list[Accepted | None] = []
        own: dict[str, bytes] = {}
        for item in call.batch:
            found = None
            key = item.message.key
            if key is not None and item.key_hash is not None:
                found = self._fresh.get((source, key)) or self._known.get((source, key))
                before = found.digest if found else own.setdefault(key, item.digest)
                if before != item.digest:
                    return _conflict(call.source, found)
            known.append(found)
        if call.cursor is not None:
            self._cursors[source] = call.cursor
        return [self._append(call, source, item, found) for item, found in zip(call.batch, known, strict=True)]

    def _append(self, call: Call, source: int, item: Prepared, found: Accepted | None) -> Accepted:
        message = item.message
        key = message.key
        if found is None and key is not None:
            found = self._fresh.get((source, key))
        if found is not None:
            self._duplicates += 1
            return Accepted(found.seq, found.epoch, found.digest, found.committed_us, True)
        self._seq += 1
        accepted = Accepted(self._seq, call.epoch, item.digest, self._now, False)
        if key is not None:
            self._fresh[source, key] = accepted
        kind, traceparent, headers, correlation = (
            message.content_type, message.traceparent, item.headers, self._correlation(message)
        )  # fmt: skip
        self._facts.append(
            (
                self._seq, call.epoch, source, item.key_hash, key, item.digest, kind, call.received_us, self._now,
                correlation, traceparent, headers,
                _proof(
                    self._seq, call.epoch, call.source, key, item.digest, kind, call.received_us, self._now,
                    correlation, traceparent, headers,
                ),
            )
        )  # fmt: skip
        self._bodies.append((self._seq, NOT_ENCRYPTED, message.body))
        if message.caller is not None:
            self._senders.append((self._seq, self._names.id(self._connection, "caller", message.caller)))
        self._keys.add(self._seq, item.key_hash)
        return accepted

    def _correlation(self, message: Message) -> bytes:
        """The id of the newest fact for tracing: of what it comes from, or drawn at random."""
        if message.correlation_id is not None:
            return bytes.fromhex(message.correlation_id)
        end = CORRELATION_BYTES * (self._seq - self._first)
        return self._random[end - CORRELATION_BYTES : end]

    def write(self) -> None:
        rows.insert(self._connection, FACT_COLUMNS, 13, self._facts)
        rows.insert(self._connection, BODY_COLUMNS, 3, self._bodies)
        rows.insert(self._connection, SENDER_COLUMNS, 2, self._senders)
        for source, value in self._cursors.items():
            cursors.put(self._connection, source, value, self._now)
        count = self._seq - self._first
        books.move(self._connection, accepted=count, pending=count, facts=count, duplicates=self._duplicates)
        self._keys.file(self._connection, count)


def _known(
    connection: sqlite3.Connection, keys: Keys, hashes: Sequence[int]
) -> tuple[int, dict[tuple[int, str], Accepted]]:
    """The last fact, and those with one of these hashes by (source id, key): the hash narrows, the key decides."""
    found: dict[tuple[int, str], Accepted] = {}
    last, seqs = keys.find(connection, hashes)
    for start in range(0, len(seqs), FIND_MAX):
        some = seqs[start : start + FIND_MAX]
        for seq, epoch, digest, committed_us, source, key in connection.execute(rows.within(_FIND, len(some)), some):
            found[source, key] = Accepted(seq, epoch, digest, committed_us, True)
    return last, found


def _conflict(source: str, found: Accepted | None) -> Refused:
    where = f" (intake {found.seq})" if found else " in the same request"
    return Refused(
        f"source {source}: this idempotency key was used for another body{where}",
        hint="send a new key with a new message; the first message stands as it was accepted",
    )


def lookup(connection: sqlite3.Connection, names: Names, keys: Keys, source: str, key: str) -> Accepted | None:
    """The receipt of an idempotency key, or None."""
    _, found = _known(connection, keys, [key_hash(source, key)])
    return found.get((names.id(connection, "source", source), key))


def facts_after(connection: sqlite3.Connection, names: Names, seq: int, rows_max: int) -> list[Envelope]:
    """Facts after a cursor that still have their body, in order of acceptance."""
    rows = connection.execute(f"{_FACTS} WHERE i.seq > ? ORDER BY i.seq LIMIT ?", (seq, rows_max))
    return [_envelope(connection, names, row) for row in rows.fetchall()]


def positions_after(connection: sqlite3.Connection, seq: int, rows_max: int) -> list[tuple[int, int, int]]:
    """(intake sequence, epoch, source id) of the facts after a cursor, whether or not their body is still kept."""
    return connection.execute(
        "SELECT seq, epoch, source FROM intake WHERE seq > ? ORDER BY seq LIMIT ?", (seq, rows_max)
    ).fetchall()


def fact(connection: sqlite3.Connection, names: Names, seq: int) -> Envelope | None:
    """One fact, or None when it does not exist or its body is gone."""
    row = connection.execute(f"{_FACTS} WHERE i.seq = ?", (seq,)).fetchone()
    return None if row is None else _envelope(connection, names, row)


def position(connection: sqlite3.Connection, at: int | str | None, *, end: bool = False) -> int:
    """An intake sequence from a number, an RFC 3339 instant, or None (the end of the log). Raises `Permanent`.

    Instants are found by halving: sequence order is acceptance order, so this is right while the clock did not jump.
    """
    last: int = connection.execute("SELECT facts FROM books").fetchone()[0]
    if at is None:
        return last
    if isinstance(at, int) or at.isdecimal():
        return min(int(at), last + 1)
    try:
        wanted = datetime.fromisoformat(at)
    except ValueError:
        raise Permanent(f"{at!r} is neither an intake sequence nor an RFC 3339 instant") from None
    if wanted.tzinfo is None:
        raise Permanent(f"{at!r} has no offset; write for example {at}+00:00")
    wanted_us = round(wanted.timestamp() * 1_000_000)
    low: int = connection.execute("SELECT coalesce(min(seq), 1) FROM intake").fetchone()[0]
    high = last + 1
    while low < high:
        middle = (low + high) // 2
        row = connection.execute("SELECT received_us FROM intake WHERE seq >= ? LIMIT 1", (middle,)).fetchone()
        low, high = (middle + 1, high) if row and row[0] < wanted_us + end else (low, middle)
    return low - 1 if end else low


def _envelope(connection: sqlite3.Connection, names: Names, row: tuple[object, ...]) -> Envelope:
    seq, epoch, source, key, content_type, received_us, correlation, traceparent, headers, body = row
    return Envelope(
        source=names.name(connection, source),  # type: ignore[arg-type]
        body=body,  # type: ignore[arg-type]
        content_type=content_type,  # type: ignore[arg-type]
        intake_seq=seq,  # type: ignore[arg-type]
        epoch=epoch,  # type: ignore[arg-type]
        received_us=received_us,  # type: ignore[arg-type]
        correlation_id=correlation.hex(),  # type: ignore[attr-defined]
        key=key,  # type: ignore[arg-type]
        traceparent=traceparent,  # type: ignore[arg-type]
        headers=_NONE if headers is None else _decode_headers(headers),  # type: ignore[arg-type]
    )
