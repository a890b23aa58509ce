"""One table-driven verifier of webhook signatures: a platform is a row of data, not code.

Works on raw bytes before any parsing, in constant time, with several live secrets. Whatever a sender puts into
a header ends in `Refused`, never in another exception.
"""

from __future__ import annotations

import binascii
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from runtime.errors import ConfigError, Refused

Algorithm = Literal["hmac-sha256", "hmac-sha512"]
Encoding = Literal["hex", "base64"]

SIGNATURE_CHARS_MAX = 4_096
"""Far above any real header; bounds the work that a stranger can ask for."""
SIGNATURES_MAX = 8
"""Rotating senders list two or three signatures in one header."""
_PARTS = re.compile(r"(\{[a-z]+\})")
_DECIMAL = re.compile(r"[0-9]{1,12}")


class Scheme(Struct, frozen=True, kw_only=True):
    """How one platform signs."""

    header: str
    """Lower case."""
    alg: Algorithm = "hmac-sha256"
    enc: Encoding = "hex"
    prefix: str = ""
    """Stands before every signature, e.g. `sha256=`."""
    separator: str = ""
    """Splits several signatures in one header; empty: the header is one signature."""
    template: str = "{body}"
    """Signed bytes: text with `{body}`, `{ts}` and `{id}`."""
    timestamp_header: str = ""
    """Lower case. Empty: no timestamp, so no replay guard; duplicates must be found by key."""
    id_header: str = ""
    tolerance_seconds: int = 300
    """Standard Webhooks 1.0.0 leaves the window open; 300 s is what Stripe and Svix use."""


class Verifier:
    """A scheme bound to its live secrets. `verify` returns or raises `Refused`."""

    def __init__(self, scheme: Scheme, secrets: Sequence[bytes], now_seconds: Callable[[], int] = int) -> None:
        """Raises `ConfigError` for a scheme that cannot work, or without a secret."""
        if not secrets or not all(secrets):
            raise ConfigError("a signature scheme needs at least one secret that is not empty")
        self._scheme = scheme
        self._secrets = tuple(secrets)
        self._digest = scheme.alg.removeprefix("hmac-")
        self._decode = _DECODERS[scheme.enc]
        self._parts = _compile(scheme)
        self._now_seconds = now_seconds
        self._missing = f"The header {scheme.header} is missing."

    def verify(self, headers: Mapping[str, str], body: bytes) -> None:
        """`headers` have lower-case names. Every secret is tried, so time does not tell which one was close."""
        given = headers.get(self._scheme.header)
        if given is None:
            raise Refused(self._missing)
        signed = body if self._parts is None else self._signed(headers, body)
        signatures = self._signatures(given)
        genuine = False
        for secret in self._secrets:
            expected = hmac.digest(secret, signed, self._digest)
            for signature in signatures:
                genuine |= hmac.compare_digest(expected, signature)
        if not genuine:
            raise Refused("The signature does not match.")
        if self._scheme.timestamp_header:
            self._check_age(headers.get(self._scheme.timestamp_header, ""))

    def _signatures(self, given: str) -> list[bytes]:
        """Decoded signatures; one that cannot be decoded becomes empty bytes, which match nothing."""
        scheme = self._scheme
        if len(given) > SIGNATURE_CHARS_MAX:
            return [b""]
        texts = given.split(scheme.separator, SIGNATURES_MAX)[:SIGNATURES_MAX] if scheme.separator else [given]
        prefix = scheme.prefix
        return [self._decode(text[len(prefix) :]) if text.startswith(prefix) else b"" for text in map(str.strip, texts)]

    def _signed(self, headers: Mapping[str, str], body: bytes) -> bytes:
        scheme = self._scheme
        values = {
            "{body}": body,
            "{ts}": _raw(headers.get(scheme.timestamp_header, "")),
            "{id}": _raw(headers.get(scheme.id_header, "")),
        }
        return b"".join(values[part] if part in values else part.encode() for part in self._parts or ())

    def _check_age(self, stamp: str) -> None:
        """Only a genuine signature gets here, so the answer may say what is wrong."""
        if not _DECIMAL.fullmatch(stamp):
            raise Refused("The signed timestamp is not in seconds since 1970.")
        if abs(self._now_seconds() - int(stamp)) > self._scheme.tolerance_seconds:
            raise Refused("The signed timestamp is too old or too far ahead.")


def _compile(scheme: Scheme) -> list[str] | None:
    """Parts of the template; None when the body alone is signed, which is the common and fast case."""
    parts = [part for part in _PARTS.split(scheme.template) if part]
    placeholders = {part for part in parts if part.startswith("{")}
    if "{body}" not in placeholders or not placeholders <= {"{body}", "{ts}", "{id}"}:
        raise ConfigError(f'template "{scheme.template}" must hold {{body}}, and of others only {{ts}} and {{id}}')
    if ("{ts}" in placeholders) != bool(scheme.timestamp_header):
        raise ConfigError("a timestamp must be signed: give both {ts} in the template and timestamp_header, or neither")
    if ("{id}" in placeholders) != bool(scheme.id_header):
        raise ConfigError("give both {id} in the template and id_header, or neither")
    return None if parts == ["{body}"] else parts


def _raw(text: str) -> bytes:
    """A header value as the bytes that came; servers decode with surrogateescape."""
    return text.encode("utf-8", "surrogateescape")


def _from_hex(text: str) -> bytes:
    try:
        return binascii.unhexlify(text)
    except ValueError:
        return b""


def _from_base64(text: str) -> bytes:
    try:
        return binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
    except ValueError:
        return b""


_DECODERS: dict[str, Callable[[str], bytes]] = {"hex": _from_hex, "base64": _from_base64}


def verify_bearer(headers: Mapping[str, str], secrets: Sequence[bytes]) -> None:
    """RFC 6750, header form. Raises `Refused`."""
    given = headers.get("authorization")
    if given is None:
        raise Refused("The header authorization is missing.")
    scheme, _, token = given.partition(" ")
    sent = token.strip().encode("utf-8", "replace")
    genuine = False
    for secret in secrets:
        genuine |= hmac.compare_digest(secret, sent)
    if not genuine or scheme.lower() != "bearer":
        raise Refused("The bearer token is not valid.")
