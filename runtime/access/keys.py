"""API keys: `entk_<id>_<secret>`. The id is public and finds the row; only a digest of the secret is ever stored. Pure.

SHA-256 without salt or stretching is right here: the secret is 256 random bits, so there is nothing to guess and no
table to look it up in. Slow hashes protect what people choose; here they would only cost each request milliseconds.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from hashlib import sha256

from msgspec import Struct

PREFIX = "entk_"
"""Lets scanners for leaked secrets, and our own log, know a key when they see one."""
ID_BYTES, SECRET_BYTES = 6, 32
RANDOM_BYTES = ID_BYTES + SECRET_BYTES
_KEY = re.compile(r"entk_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")


class NewKey(Struct, frozen=True):
    """`text` is shown once and then forgotten."""

    id: str
    text: str
    digest: bytes


def new_key(random: bytes) -> NewKey:
    """A key from `RANDOM_BYTES` bytes of the system's generator."""
    key_id = random[:ID_BYTES].hex()
    secret = urlsafe_b64encode(random[ID_BYTES:RANDOM_BYTES]).rstrip(b"=")
    return NewKey(key_id, f"{PREFIX}{key_id}_{secret.decode()}", sha256(secret).digest())


def read_key(text: str) -> tuple[str, bytes] | None:
    """Id and digest of the secret; None for what is no key."""
    found = _KEY.fullmatch(text)
    return None if found is None else (found[1], sha256(found[2].encode()).digest())
