"""Signatures of Standard Webhooks 1.0.0, and the body that they are over. Pure; no key ever stands in an error."""

from __future__ import annotations

import binascii
import hmac
from collections.abc import Callable, Mapping, Sequence

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from runtime.errors import ConfigError, Permanent
from runtime.ports import Delivery
from runtime.record import encode_value

SHARED_PREFIX = b"whsec_"
PRIVATE_PREFIX = b"whsk_"
PUBLIC_PREFIX = b"whpk_"
SHARED_BYTES_MIN = 24
SHARED_BYTES_MAX = 64
"""Standard Webhooks 1.0.0, signature scheme: 192 to 512 bits."""
JSON = "application/json"
CLOUDEVENT = "application/cloudevents+json; charset=utf-8"

Sign = Callable[[bytes], str]
"""Signed bytes → one entry of `webhook-signature`."""


def signer(secret: bytes, name: str) -> Sign:
    """Of one secret. `name` is what the settings call it. Raises `ConfigError`."""
    text = secret.strip()
    if text.startswith(PRIVATE_PREFIX):
        return _private(_decoded(text.removeprefix(PRIVATE_PREFIX), name), name)
    if text.startswith(PUBLIC_PREFIX):
        raise ConfigError(
            f"{name} is a public key (whpk_…): it verifies and cannot sign", hint="put the whsk_… key there"
        )
    return _shared(_decoded(text.removeprefix(SHARED_PREFIX), name), name)


def _shared(key: bytes, name: str) -> Sign:
    if not SHARED_BYTES_MIN <= len(key) <= SHARED_BYTES_MAX:
        raise ConfigError(
            f"{name} has {len(key)} bytes; Standard Webhooks asks for {SHARED_BYTES_MIN} to {SHARED_BYTES_MAX}",
            hint="make one: echo whsec_$(openssl rand -base64 32)",
        )
    return lambda signed: "v1," + _encoded(hmac.digest(key, signed, "sha256"))


def _private(key: bytes, name: str) -> Sign:
    """A seed, or a seed and its public key behind it, as some libraries write a private key."""
    if len(key) not in (32, 64):
        raise ConfigError(
            f"{name} is no Ed25519 key: it has {len(key)} bytes instead of 32 or 64", hint="whsk_ and Base64"
        )
    private = Ed25519PrivateKey.from_private_bytes(key[:32])
    if len(key) == 64 and private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw) != key[32:]:
        raise ConfigError(f"{name} is no Ed25519 key: its two halves do not belong together")
    return lambda signed: "v1a," + _encoded(private.sign(signed))


def _decoded(text: bytes, name: str) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise ConfigError(f"{name} is not Base64 behind its prefix", hint="whsec_… or whsk_…, as it was made") from None


def _encoded(raw: bytes) -> str:
    return binascii.b2a_base64(raw, newline=False).decode()


def signed_headers(signers: Sequence[Sign], message_id: str, seconds: int, body: bytes) -> dict[str, str]:
    """The three headers. The id is made by the record format, never by a partner, so its dots are harmless."""
    signed = b"%s.%d.%s" % (message_id.encode(), seconds, body)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(sign(signed) for sign in signers),
    }


def attributes_of(delivery: Delivery) -> dict[str, str]:
    """The CloudEvents attributes, the required ones among them whatever came with the record."""
    return {
        "specversion": "1.0",
        "id": delivery.id,
        "source": "urn:entrepot",
        **delivery.attributes,
        "type": delivery.type,
        "datacontenttype": JSON,
    }


def structured(delivery: Delivery) -> tuple[bytes, dict[str, str]]:
    """Body and headers of a whole CloudEvent; the same bytes at each try. Raises `Permanent` for data that is no JSON."""
    try:
        # Looked at by itself: put into the body unseen it could add attributes.
        msgspec.json.decode(delivery.data)
        body = msgspec.json.encode({**attributes_of(delivery), "data": msgspec.Raw(delivery.data)})
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise Permanent("the event's data is not JSON") from None
    return body, {"Content-Type": CLOUDEVENT}


def binary(delivery: Delivery) -> tuple[bytes, dict[str, str]]:
    """The data as body, the attributes as headers (CloudEvents HTTP binding, section 3.1). Raises `Permanent`."""
    attributes: Mapping[str, str] = attributes_of(delivery)
    try:
        headers = {f"ce-{name}": encode_value(value) for name, value in attributes.items() if name != "datacontenttype"}
    except UnicodeError:
        raise Permanent("an attribute of the event is no text that a header can carry") from None
    return delivery.data, {"Content-Type": JSON, **headers}
