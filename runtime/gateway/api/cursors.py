"""Cursors of pages: opaque to callers, sealed so that only what this region gave out is taken back. Pure.

A cursor belongs to one question: with other filters it is refused rather than answered wrongly.
"""

from __future__ import annotations

import base64
import hmac
from hashlib import sha256
from typing import TypeVar

import msgspec

SEAL_BYTES = 12
T = TypeVar("T")


class Cursors:
    """`key` never leaves the region and outlives restarts."""

    def __init__(self, key: bytes) -> None:
        self._key = hmac.digest(key, b"entrepot api cursor 1", sha256)

    def write(self, question: str, position: object) -> str:
        """`position`: what JSON can say."""
        said = msgspec.json.encode(position)
        return base64.urlsafe_b64encode(self._seal(question, said) + said).rstrip(b"=").decode()

    def read(self, question: str, cursor: str, kind: type[T]) -> T | None:
        """The position; None for what is no cursor of this question."""
        try:
            raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
            seal, said = raw[:SEAL_BYTES], raw[SEAL_BYTES:]
            genuine = hmac.compare_digest(seal, self._seal(question, said))
            return msgspec.json.decode(said, type=kind) if genuine else None
        except (ValueError, msgspec.MsgspecError):
            return None

    def _seal(self, question: str, said: bytes) -> bytes:
        return hmac.digest(self._key, question.encode("utf-8", "replace") + b"\0" + said, sha256)[:SEAL_BYTES]
