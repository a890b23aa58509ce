"""One table-driven verifier of webhook signatures: a platform is a row of data (`scheme.py`), not code.

Works on raw bytes before any parsing, in constant time, with several live secrets. Whatever a sender puts into a
header ends in `Refused`, never in another exception.
"""

from __future__ import annotations

import binascii
import hmac
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Protocol

import msgspec

from adapters.sdk.instants import read_seconds
from adapters.sdk.replays import Replays
from adapters.sdk.scheme import Scheme, check, parts
from runtime.errors import ConfigError, Refused
from runtime.policy.keyset import Keyset, PublicKey, candidates, ed25519_key, signed_by

SIGNATURE_CHARS_MAX = 4_096
"""Far above any real header; bounds the work that a stranger can ask for."""
SIGNATURES_MAX = 8
"""Rotating senders list two or three signatures in one header."""
SECRET_PREFIX = b"whsec_"
PUBLIC_KEY_PREFIX = b"whpk_"
"""Standard Webhooks 1.0.0: a shared secret, and the public key of an Ed25519 pair."""


class Keys(Protocol):
    """Where the public keys of a platform are found."""

    def __call__(self, key_id: str) -> Keyset:
        """Raises `Retryable` while the key may still be on its way."""
        ...


class Verifier:
    """A scheme bound to its live secrets. `verify` returns or raises `Refused`."""

    def __init__(
        self,
        scheme: Scheme,
        secrets: Sequence[bytes],
        now_seconds: Callable[[], int] = int,
        keys: Keys = lambda key_id: {},
    ) -> None:
        """Raises `ConfigError` for a scheme that cannot work, or without a secret."""
        check(scheme)
        if not all(secrets) or not (secrets or scheme.jwks):
            raise ConfigError("a signature scheme needs at least one secret that is not empty")
        self._scheme = scheme
        self._header = (scheme.header or "").lower()
        self._parts = parts(scheme)
        self._now_seconds = now_seconds
        self._keys = keys
        self._decode = _DECODERS[scheme.enc]
        self._public: list[PublicKey] = []
        self._secrets: list[bytes] = []
        for secret in secrets:
            self._take(secret)
        self._replays = Replays(scheme.tolerance_seconds) if scheme.timestamp or scheme.timestamp_part else None
        self._missing = f"The header {scheme.header} is missing."

    def _take(self, secret: bytes) -> None:
        if secret.startswith(PUBLIC_KEY_PREFIX) or self._scheme.alg == "ed25519":
            self._public.append(_public_key(secret))
        else:
            self._secrets.append(_form(secret, self._scheme.secret_form))

    def verify(self, headers: Mapping[str, str], body: bytes, *, keeps: bool = True) -> str | None:
        """The id that the signature covers, if there is one. Every secret is tried, so time does not tell which was close.

        Header names are asked for in lower case. `keeps`: something is done with the message, so its signature must
        not come again under another key. Raises `Refused`; `Retryable` while a public key is on its way.
        """
        given = headers.get(self._header)
        if given is None:
            raise Refused(self._missing)
        scheme = self._scheme
        stamp = self._stamp(headers, given)
        genuine = False
        if self._secrets:
            texts = _texts(given, scheme.prefix, scheme)
            for secret in self._secrets:
                expected = self._expected(secret, headers, body, stamp)
                for text in texts:
                    genuine |= hmac.compare_digest(expected, self._decode(text))
        if self._public:
            genuine |= self._by_public_key(headers, body, stamp, given)
        if scheme.jwks:
            genuine |= self._by_platform_key(headers, body, stamp, given)
        if not genuine:
            raise Refused("The signature does not match.")
        if self._replays is not None:
            self._check_age(stamp)
            if keeps and not scheme.id:
                self._check_replay(self._replays, headers, self._signed(headers, body, stamp))
        return headers.get(scheme.id.lower()) if scheme.id else None

    def _expected(self, secret: bytes, headers: Mapping[str, str], body: bytes, stamp: str) -> bytes:
        if self._scheme.alg == "sha256":
            return sha256(self._signed(headers, body, stamp, secret)).digest()
        signed = body if self._parts is None else self._signed(headers, body, stamp)
        return hmac.digest(secret, signed, self._scheme.alg.removeprefix("hmac-"))

    def _by_public_key(self, headers: Mapping[str, str], body: bytes, stamp: str, given: str) -> bool:
        signed = self._signed(headers, body, stamp)
        texts = _texts(given, self._scheme.public_prefix or self._scheme.prefix, self._scheme)
        return any(signed_by(key, self._decode(text), signed) for key in self._public for text in texts)

    def _by_platform_key(self, headers: Mapping[str, str], body: bytes, stamp: str, given: str) -> bool:
        key_id = headers.get((self._scheme.key_id or "").lower(), "")[:200]
        signed = self._signed(headers, body, stamp)
        texts = _texts(given, self._scheme.prefix, self._scheme)
        found = candidates(self._keys(key_id), key_id)
        return any(signed_by(key, self._decode(text), signed) for key in found for text in texts)

    def _stamp(self, headers: Mapping[str, str], given: str) -> str:
        scheme = self._scheme
        if scheme.timestamp:
            return headers.get(scheme.timestamp.lower(), "")
        if scheme.timestamp_part:
            return next(iter(_texts(given, f"{scheme.timestamp_part}=", scheme)), "")
        return ""

    def _signed(self, headers: Mapping[str, str], body: bytes, stamp: str, secret: bytes = b"") -> bytes:
        if self._parts is None:
            return body
        values = {
            "{body}": body,
            "{ts}": _raw(stamp),
            "{id}": _raw(headers.get((self._scheme.id or "").lower(), "")),
            "{secret}": secret,
        }
        fields = _fields(body) if any(part.startswith("{json:") for part in self._parts) else {}
        try:
            return b"".join(
                fields[part[6:-1]] if part.startswith("{json:") else values.get(part, part.encode())
                for part in self._parts
            )
        except KeyError:  # a signature over nothing would fit every message that lacks them
            raise Refused("The message lacks a field that its signature should cover.") from None

    def _check_age(self, stamp: str) -> None:
        """Only a genuine signature gets here, so the answer may say what is wrong."""
        seconds = read_seconds(stamp)
        if seconds is None:
            raise Refused("The signed timestamp is neither in seconds or milliseconds since 1970 nor RFC 3339.")
        if abs(self._now_seconds() - seconds) > self._scheme.tolerance_seconds:
            raise Refused("The signed timestamp is too old or too far ahead.")

    def _check_replay(self, replays: Replays, headers: Mapping[str, str], signed: bytes) -> None:
        if replays.under_another_key(sha256(signed).digest(), headers.get("idempotency-key"), self._now_seconds()):
            raise Refused("This signed message came before under another Idempotency-Key.")


def _texts(given: str, prefix: str, scheme: Scheme) -> list[str]:
    """The signatures in a header that bear this prefix, without it."""
    if len(given) > SIGNATURE_CHARS_MAX:
        return []
    listed = given.split(scheme.separator, SIGNATURES_MAX)[:SIGNATURES_MAX] if scheme.separator else [given]
    found = [text[len(prefix) :] for text in map(str.strip, listed) if text.startswith(prefix)]
    return found or ([given.strip()] if scheme.bare else [])


def _fields(body: bytes) -> dict[str, bytes]:
    """Members of a JSON object as they are written; texts without their quotes."""
    try:
        raw = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        return {name: _plain(bytes(value)) for name, value in raw.items()}
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return {}


def _plain(value: bytes) -> bytes:
    return msgspec.json.decode(value, type=str).encode("utf-8", "replace") if value.startswith(b'"') else value


def _form(secret: bytes, form: str) -> bytes:
    """Raises `ConfigError` for a secret that is not written as the scheme says."""
    if form == "nfkd":
        return unicodedata.normalize("NFKD", secret.decode("utf-8", "replace")).encode()
    if form == "base64":
        decoded = _from_base64(secret.removeprefix(SECRET_PREFIX).decode("ascii", "replace").strip())
        if not decoded:
            raise ConfigError("the secret is not Base64", hint="copy it as the platform shows it, e.g. whsec_…")
        return decoded
    return secret


def _public_key(secret: bytes) -> PublicKey:
    text = secret.removeprefix(PUBLIC_KEY_PREFIX).decode("ascii", "replace").strip()
    try:
        return ed25519_key(_from_base64(text) or _from_hex(text))
    except ValueError:
        raise ConfigError("the public key is not 32 bytes in Base64 or hex", hint="Ed25519, e.g. whpk_…") from None


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


def verify_credential(given: str | None, secrets: Sequence[bytes], where: str) -> None:
    """A credential that is sent as it is. Raises `Refused`."""
    if given is None:
        raise Refused(f"The {where} is missing.")
    sent = _raw(given.strip()) if given.isprintable() else b""
    genuine = False
    for secret in secrets:
        genuine |= hmac.compare_digest(secret, sent)
    if not genuine:
        raise Refused(f"The {where} is not valid.")


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
