"""Makes and checks signed statements. Whose key may say what is decided here and nowhere else."""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping
from hashlib import sha256
from typing import Protocol, TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from runtime.envelope import Signed
from runtime.errors import Refused
from runtime.fleet.documents import FORMAT, Statement
from runtime.record import signing_input

Kind = TypeVar("Kind", bound=Statement)
STATEMENT_BYTES_MAX = 4 * 1024 * 1024


class Signer(Protocol):
    """A private key with a name; `runtime.identity.Identity` is one."""

    def sign(self, kind: str, statement: str) -> bytes: ...


def key_id(public_key: bytes) -> str:
    """First 16 hex digits of SHA-256 over the 32 raw bytes."""
    return sha256(public_key).hexdigest()[:16]


def sign(signer: Signer, kind: str, statement: Statement) -> bytes:
    """The document as it goes over the wire."""
    return signer.sign(kind, msgspec.json.encode(statement, order="sorted").decode())


def digest(document: bytes) -> str:
    """SHA-256 (hex) of the statement inside a signed document. Raises `Refused`."""
    return sha256(_opened(document).statement.encode()).hexdigest()


def read(
    document: bytes,
    kind: str,
    type_: type[Kind],
    *,
    keys: Collection[bytes],
    environment: str,
    region: str,
) -> Kind:
    """The statement, if one of these raw public keys has signed it for this region and environment.

    Raises `Refused` with the reason: not a document, unknown key, forged, another format, region or environment.
    """
    signed = _opened(document)
    known: Mapping[str, bytes] = {key_id(key): key for key in keys}
    if signed.key_id not in known:
        raise Refused(f"the {kind} is signed by key {signed.key_id[:16]!r}, which is not trusted here")
    try:
        signature = base64.b64decode(signed.signature, validate=True)
        Ed25519PublicKey.from_public_bytes(known[signed.key_id]).verify(
            signature, signing_input(kind, signed.statement)
        )
    except (ValueError, InvalidSignature):
        raise Refused(f"the signature of the {kind} is wrong: it was changed, or forged") from None
    try:
        statement = msgspec.json.decode(signed.statement, type=type_)
    except msgspec.MsgspecError as error:
        raise Refused(f"the {kind} cannot be read: {error}") from None
    if statement.format != FORMAT:
        raise Refused(f"the {kind} has format {statement.format}; this version reads {FORMAT}")
    if (statement.environment, statement.region) != (environment, region):
        raise Refused(f"the {kind} is for {statement.environment}/{statement.region}, this is {environment}/{region}")
    return statement


def _opened(document: bytes) -> Signed:
    if len(document) > STATEMENT_BYTES_MAX:
        raise Refused(f"a signed document has {len(document)} bytes; at most {STATEMENT_BYTES_MAX} are read")
    try:
        return msgspec.json.decode(document, type=Signed)
    except msgspec.MsgspecError:
        raise Refused("this is no signed document") from None
