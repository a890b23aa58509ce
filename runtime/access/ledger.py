"""The access log's hash chain: each entry is bound to all before it, so none can be changed, moved or left out. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

START = bytes(32)
_DOMAIN = b"entrepot access log 1\0"


def link(previous: bytes, number: int, entry: str) -> bytes:
    """The chain hash of the entry with this number, exactly as it is stored."""
    return sha256(_DOMAIN + previous + number.to_bytes(8, "big") + entry.encode()).digest()


def follow(rows: Iterable[tuple[int, str, bytes]], number: int, chain: bytes) -> tuple[int, bytes, str]:
    """Walk rows (number, entry, chain hash) from behind a known one: the last good number and hash, and what is wrong."""
    for found, entry, stored in rows:
        if found != number + 1:
            return number, chain, f"entry {number + 1} of the access log is missing"
        expected = link(chain, found, entry)
        if stored != expected:
            return number, chain, f"entry {found} of the access log was changed after it was written"
        number, chain = found, expected
    return number, chain, ""
