"""Public keys as platforms publish them (JWKS, RFC 7517), and signatures made with them. Pure: who fetches is elsewhere.

Whatever strangers send ends in False or `Refused`, never in another exception.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePublicKey,
    EllipticCurvePublicNumbers,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from msgspec import Struct

from runtime.errors import Permanent

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey
KEYS_MAX = 100
KEYS_BYTES_MAX = 256_000
RSA_BITS_MIN = 2_048
"""NIST SP 800-131A r2: shorter keys are no longer allowed."""


class _Entry(Struct):
    """One key of a set; members that nobody needs here are skipped."""

    kty: str
    kid: str = ""
    use: str = "sig"
    crv: str = ""
    n: str = ""
    e: str = ""
    x: str = ""
    y: str = ""


class _Document(Struct):
    keys: list[_Entry]


Keyset = Mapping[str, PublicKey]
"""Key id → key."""


def read_keyset(document: bytes) -> Keyset:
    """The keys for signatures; a kind that is not known here is left out. Raises `Permanent` when it is no key set."""
    if len(document) > KEYS_BYTES_MAX:
        raise Permanent(f"the key set is larger than {KEYS_BYTES_MAX} bytes")
    try:
        entries = msgspec.json.decode(document, type=_Document).keys
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError) as error:
        raise Permanent(f"this is no key set (RFC 7517): {error}") from None
    found: dict[str, PublicKey] = {}
    for entry in entries[:KEYS_MAX]:
        read = _READERS.get(entry.kty)
        if read is None or entry.use != "sig":
            continue
        try:
            found[entry.kid] = read(entry)
        except (ValueError, OverflowError):
            continue
    if not found:
        raise Permanent(
            "the key set holds no key for signatures that can be used (RSA of 2,048 bits or more, P-256, Ed25519)"
        )
    return found


def signed_by(key: PublicKey, signature: bytes, signed: bytes) -> bool:
    """Whether the key made this signature: RSA with PKCS #1 v1.5 and SHA-256, P-256 with SHA-256 (r ‖ s), or Ed25519."""
    try:
        if isinstance(key, RSAPublicKey):
            key.verify(signature, signed, PKCS1v15(), SHA256())
        elif isinstance(key, EllipticCurvePublicKey):
            if len(signature) != 64:
                return False
            pair = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
            key.verify(encode_dss_signature(*pair), signed, ECDSA(SHA256()))
        else:
            key.verify(signature, signed)
    except (InvalidSignature, ValueError):
        return False
    return True


def algorithm(key: PublicKey) -> str:
    """The only `alg` (RFC 7518, RFC 8037) that a token signed by this key may name."""
    if isinstance(key, RSAPublicKey):
        return "RS256"
    return "ES256" if isinstance(key, EllipticCurvePublicKey) else "EdDSA"


def from_base64url(text: str) -> bytes:
    """Base64url without padding, strict: bytes have one spelling only. Raises `ValueError`."""
    if not text.isascii() or set(text) & set("+/= \n"):
        raise ValueError("not base64url")
    padded = (text + "=" * (-len(text) % 4)).translate(_URL)
    raw = binascii.a2b_base64(padded, strict_mode=True)
    if binascii.b2a_base64(raw, newline=False).decode() != padded:
        raise ValueError("bits behind the end")
    return raw


_URL = str.maketrans("-_", "+/")


def _number(text: str) -> int:
    return int.from_bytes(from_base64url(text), "big")


def _rsa(entry: _Entry) -> PublicKey:
    key = RSAPublicNumbers(_number(entry.e), _number(entry.n)).public_key()
    if key.key_size < RSA_BITS_MIN:
        raise ValueError("too short")
    return key


def _ec(entry: _Entry) -> PublicKey:
    if entry.crv != "P-256":
        raise ValueError("curve")
    return EllipticCurvePublicNumbers(_number(entry.x), _number(entry.y), SECP256R1()).public_key()


def _okp(entry: _Entry) -> PublicKey:
    if entry.crv != "Ed25519":
        raise ValueError("curve")
    return Ed25519PublicKey.from_public_bytes(from_base64url(entry.x))


_READERS: Mapping[str, Callable[[_Entry], PublicKey]] = {"RSA": _rsa, "EC": _ec, "OKP": _okp}


def ed25519_key(raw: bytes) -> PublicKey:
    """32 raw bytes as a key. Raises `ValueError`."""
    return Ed25519PublicKey.from_public_bytes(raw)


def candidates(keys: Keyset, key_id: str) -> Sequence[Any]:
    """The key that is named; without a name, the only one there is."""
    if key_id:
        return [keys[key_id]] if key_id in keys else []
    return list(keys.values()) if len(keys) == 1 else []
