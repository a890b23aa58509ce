"""What proves right, and nothing else, may enter a new journal. Pure.

A fact proves itself by its own eight bytes and its body's SHA-256; a sealed row by the chain; a checkpoint by the
region's signature; a disposition by its number. What has no proof is not taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Any

import msgspec

from runtime import record
from runtime.envelope import Checkpoint, Signed
from runtime.journal.intake import Fact, proof
from runtime.journal.keys import key_hash
from runtime.policy.statements import is_genuine

Row = tuple[Any, ...]
SEALED_TYPES = (int, int, bytes, str, bytes, bytes)
"""Of (id, epoch, chain, subject, headers, data)."""
CHAIN_BYTES = 32
U64_MAX = 2**64 - 1
PROOF_BYTES = 8


def fact(row: Row, sources: dict[int, str]) -> Fact | None:
    """A row of `intake` (seq, epoch, source, key_hash, key, …, traceparent, headers, proof), if it is what was written."""
    seq, epoch, source, hashed, key, digest, content_type, received, committed, correlation, *rest, proven = row
    name = sources.get(source) if isinstance(source, int) else None
    if name is None or not isinstance(digest, bytes) or not isinstance(correlation, bytes):
        return None
    found = Fact(seq, epoch, name, key, digest, content_type, received, committed, correlation, *rest)
    if not isinstance(proven, bytes) or len(proven) != PROOF_BYTES or proof(found) != proven:
        return None
    if hashed != (None if key is None else key_hash(name, key)):
        return None
    return found


def body_of(found: Fact, row: Row | None) -> bytes | None:
    """The body, if it is the one that the fact names. `row`: (seq, key_id, body)."""
    if row is None or not isinstance(row[2], bytes) or row[1] != 0:
        return None
    return row[2] if sha256(row[2]).digest() == found.digest else None


def sealed(rows: Iterable[Row], before: int, chain: bytes | None) -> Iterator[Row]:
    """Those rows whose chain follows from the row before. `chain`: at `before`, None when it is not known.

    Rows are (seq, epoch, chain, subject, headers, data, …) in rising order.
    """
    at, previous = before, chain
    for row in rows:
        if not all(isinstance(value, kind) for value, kind in zip(row, SEALED_TYPES, strict=False)):
            continue
        seq, epoch, said = row[:3]
        known = previous if seq == at + 1 else None
        at, previous = seq, said if len(said) == CHAIN_BYTES else None
        if known is not None and 0 <= epoch <= U64_MAX and _chain(known, row) == said:
            yield row


def _chain(previous: bytes, row: Row) -> bytes:
    seq, epoch, _, subject, headers, data = row[:6]
    return record.chain(previous, epoch, seq, subject.encode("utf-8", "replace"), headers, data)


def checkpoint(body: Any, digest: Any, public_key: bytes) -> Checkpoint | None:
    """The statement, if the region signed it and its digest is the one that was noted."""
    try:
        signed = msgspec.json.decode(body, type=Signed)
        noted = sha256(signed.statement.encode()).hexdigest() == digest
        said = msgspec.json.decode(signed.statement, type=Checkpoint)
    except (msgspec.MsgspecError, ValueError, TypeError):
        return None
    return said if noted and is_genuine("checkpoint", signed, public_key) else None


def ranges(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """1, 2, 3, 7 → (1, 3), (7, 7). The numbers rise."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def gaps(kept: Sequence[tuple[int, int]], first: int, last: int) -> list[tuple[int, int]]:
    """What is missing between two bounds; `kept` are rising ranges."""
    found: list[tuple[int, int]] = []
    following = first
    for low, high in kept:
        if low > following:
            found.append((following, min(low - 1, last)))
        following = max(following, high + 1)
    if following <= last:
        found.append((following, last))
    return found


def disposition(row: Row) -> bool:
    """Whether a row of `dispositions` (id, policy, type, fields) has the number that its content gives it."""
    number, policy, type_name, fields = row
    if not (isinstance(policy, int) and isinstance(type_name, str) and isinstance(fields, str)):
        return False
    try:
        content = msgspec.json.encode([type_name, msgspec.json.decode(fields)])
    except msgspec.MsgspecError:
        return False
    return bool(int.from_bytes(sha256(content).digest()[:8], "big") >> 1 == number)
