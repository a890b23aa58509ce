"""The chain over messages as a hub stores them. Pure, and never raises: what stands at the hub may be anybody's.

A message that cannot be a record (a header that is no ASCII, an epoch out of bounds) continues no chain.
"""

from __future__ import annotations

from runtime import record
from runtime.ports import HubRecord

EPOCH_DIGITS_MAX = 18
"""Fits the chain's 64 bits; longer text is not even converted (Python refuses above 4,300 digits)."""


def epoch_of(stored: HubRecord) -> int:
    """The epoch a message says it was sealed in; 0, which no record has, when it says none."""
    said = stored.headers.get(record.EPOCH_HEADER, "")
    return int(said) if said.isascii() and said.isdigit() and len(said) <= EPOCH_DIGITS_MAX else 0


def follow(chain: bytes, stored: HubRecord) -> bytes:
    """The chain behind this message; empty, which equals no chain, when the message cannot be a record."""
    try:
        headers = record.chained_headers(stored.headers)
        subject = stored.subject.encode()
    except UnicodeError:
        return b""
    return record.chain(chain, epoch_of(stored), stored.seq, subject, headers, stored.data)


def digest(text: str) -> bytes:
    """A chain hash from a header; empty when it is not one."""
    try:
        found = bytes.fromhex(text)
    except ValueError:
        return b""
    return found if len(found) == len(record.GENESIS) else b""
