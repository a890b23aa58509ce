"""Signed statements (`envelope.Signed`): by which key, and whether the signature holds. Pure; `identity` signs.

Whatever strangers write ends in False, never in an exception.
"""

from __future__ import annotations

import base64
from hashlib import sha256

from runtime.envelope import Signed
from runtime.policy.keyset import ed25519_key, signed_by
from runtime.record import signing_input


def key_id(public_key: bytes) -> str:
    """First 16 hex digits of SHA-256 over the 32 raw bytes."""
    return sha256(public_key).hexdigest()[:16]


def is_genuine(kind: str, signed: Signed, public_key: bytes) -> bool:
    """Whether this key (raw Ed25519) has signed the statement, as it stands, as one of this kind."""
    try:
        signature = base64.b64decode(signed.signature, validate=True)
        return signed_by(ed25519_key(public_key), signature, signing_input(kind, signed.statement))
    except ValueError:
        return False
