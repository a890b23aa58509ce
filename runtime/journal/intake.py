"""Acceptance: raw facts with their idempotency keys, and the receipts that prove them."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b, sha256

from msgspec import Struct

from runtime import clock
from runtime.envelope import Envelope, Message
from runtime.errors import Permanent, Refused
from runtime.journal import books
from runtime.journal.names import Names

_INSERT_FACT = """
INSERT INTO intake (seq, epoch, source, key_hash, key, sha256, content_type, received_us, committed_us,
                    correlation, traceparent)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_INSERT_BODY = "INSERT INTO bodies (seq, key_id, body) VALUES (?, 0, ?)"
_FIND = "SELECT seq, epoch, sha256, committed_us, source, key FROM intake WHERE key_hash = ?"
_FACTS = """
SELECT i.seq, i.epoch, i.source, i.key, i.content_type, i.received_us, i.correlation,
       i.traceparent, b.body
FROM intake i JOIN bodies b ON b.seq = i.seq"""


class Prepared(Struct, frozen=True):
    """A message with what can be computed before the transaction."""

    message: Message
    digest: bytes
    key_hash: int | None


class Accepted(Struct, frozen=True):
    """Where one message stands."""

    seq: int
    epoch: int
    digest: bytes
    committed_us: int
    duplicate: bool


def prepare(source: str, message: Message) -> Prepared:
    """Digest and key hash of a message; pure."""
    digest = sha256(message.body).digest()
    if message.key is None:
        return Prepared(message, digest, None)
    return Prepared(message, digest, key_hash(source, message.key))


def key_hash(source: str, key: str) -> int:
    """Signed 64-bit number that narrows the search for a key; a collision costs one comparison."""
    return int.from_bytes(blake2b(f"{source}\0{key}".encode(), digest_size=8).digest(), "big", signed=True)


def accept(
    connection: sqlite3.Connection, names: Names, source: str, epoch: int, received_us: int, batch: Sequence[Prepared]
) -> list[Accepted]:
    """Append new facts and find the ones already known, all or none. Raises `Refused` for a key with another body."""
    source_id = names.id(connection, "source", source)
    seq = connection.execute("SELECT facts FROM books").fetchone()[0]
    first = seq + 1
    now = clock.now_us()
    random = os.urandom(16 * len(batch))
    results: list[Accepted] = []
    facts: list[tuple[object, ...]] = []
    fresh: dict[str, Accepted] = {}
    for index, item in enumerate(batch):
        message = item.message
        if item.key_hash is not None and message.key is not None:
            known = fresh.get(message.key) or _known(connection, source_id, message.key, item.key_hash)
            if known is not None:
                results.append(_repeat(known, item, source))
                continue
        seq += 1
        accepted = Accepted(seq, epoch, item.digest, now, False)
        if message.key is not None:
            fresh[message.key] = accepted
        results.append(accepted)
        correlation = random[16 * index : 16 * index + 16]
        facts.append(
            (seq, epoch, source_id, item.key_hash, message.key, item.digest, message.content_type, received_us, now)
            + (correlation, message.traceparent)
        )
    connection.executemany(_INSERT_FACT, facts)
    new = (item.message.body for item, result in zip(batch, results, strict=True) if not result.duplicate)
    connection.executemany(_INSERT_BODY, zip(range(first, seq + 1), new, strict=True))
    count = len(facts)
    books.move(connection, accepted=count, pending=count, facts=count, duplicates=len(batch) - count)
    return results


def _known(connection: sqlite3.Connection, source_id: int, key: str, hashed: int) -> Accepted | None:
    for seq, epoch, digest, committed_us, source, stored in connection.execute(_FIND, (hashed,)):
        if source == source_id and stored == key:
            return Accepted(seq, epoch, digest, committed_us, True)
    return None


def _repeat(known: Accepted, item: Prepared, source: str) -> Accepted:
    if known.digest != item.digest:
        raise Refused(
            f"source {source}: this idempotency key was used for another body (intake {known.seq})",
            hint="send a new key with a new message; the first message stands as it was accepted",
        )
    return Accepted(known.seq, known.epoch, known.digest, known.committed_us, True)


def lookup(connection: sqlite3.Connection, names: Names, source: str, key: str) -> Accepted | None:
    """The receipt of an idempotency key, or None."""
    return _known(connection, names.id(connection, "source", source), key, key_hash(source, key))


def facts_after(connection: sqlite3.Connection, names: Names, seq: int, rows_max: int) -> list[Envelope]:
    """Facts after a cursor that still have their body, in order of acceptance."""
    rows = connection.execute(f"{_FACTS} WHERE i.seq > ? ORDER BY i.seq LIMIT ?", (seq, rows_max))
    return [_envelope(connection, names, row) for row in rows.fetchall()]


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
        return min(int(at), last)
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
    seq, epoch, source, key, content_type, received_us, correlation, traceparent, body = row
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
    )
