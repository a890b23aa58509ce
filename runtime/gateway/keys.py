"""Which idempotency key a message has, and which trace it belongs to. Pure.

Precedence: an id that the signature covers, the header Idempotency-Key, the mapping's own key, then (`dedupe = "body"`)
the body's digest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Literal

from multidict import CIMultiDictProxy

from runtime.gateway import problems
from runtime.ports import NO_HEADERS, Translator

Dedupe = Literal["key", "body", "none"]

KEY_CHARS_MAX = 255
"""The draft sets no limit; 255 is what Stripe and most senders allow, and keys are kept for 35 days."""
_QUOTED = re.compile(r'"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])+)"')
_BARE = re.compile(r"[\x21\x23-\x7e][\x20-\x21\x23-\x7e]*")
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def given_key(headers: CIMultiDictProxy[str]) -> str | None:
    """The header as it came. Raises `Rejection` where it came with two values: either could be the one that is meant."""
    found = set(headers.getall("Idempotency-Key", ()))
    if len(found) > 1:
        raise problems.bad_header("Idempotency-Key", "came more than once, with different values")
    return found.pop() if found else None


def header_key(value: str) -> str:
    """The key in an Idempotency-Key header, draft-ietf-httpapi-idempotency-key-header-07, section 2.1.

    The draft asks for a quoted structured-field string; many senders write it bare, and both mean the same key.
    Raises `Rejection`.
    """
    text = value.strip()
    if quoted := _QUOTED.fullmatch(text):
        key = re.sub(r"\\(.)", r"\1", quoted[1])
    elif _BARE.fullmatch(text):
        key = text
    else:
        raise problems.bad_header("Idempotency-Key", "is empty, or not printable ASCII, or wrongly quoted")
    if len(key) > KEY_CHARS_MAX:
        raise problems.bad_header("Idempotency-Key", f"is longer than {KEY_CHARS_MAX} characters")
    return key


def own_key(
    body: bytes,
    content_type: str,
    translator: Translator | None,
    dedupe: Dedupe,
    headers: Mapping[str, str] = NO_HEADERS,
) -> str | None:
    """The key of a message that came without a header; None means that two identical ones are two facts."""
    if dedupe == "key":
        key = _translators_key(translator, body, content_type, headers)
        # The index over keys must stay small whatever a partner puts into the field that the mapping names.
        return key if key is None or len(key) <= KEY_CHARS_MAX else sha256(key.encode(errors="replace")).hexdigest()
    return sha256(body).hexdigest() if dedupe == "body" else None


def _translators_key(
    translator: Translator | None, body: bytes, content_type: str, headers: Mapping[str, str]
) -> str | None:
    if translator is None:
        return None
    return translator.key(body, content_type, headers) if headers else translator.key(body, content_type)


def traceparent(value: str | None) -> str | None:
    """A valid W3C traceparent (level 1), or None: a broken one is ignored, never an error."""
    return value if value is not None and _TRACEPARENT.fullmatch(value) else None
