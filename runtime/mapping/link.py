"""Which messages of a source only say where to look, and the address that they say. Pure.

The address is the configured one with values of the message in it, each percent-encoded: no message can name another host
or climb out of a path.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from runtime.envelope import Envelope
from runtime.errors import Untranslatable
from runtime.mapping.converters import to_text
from runtime.mapping.decode import ANY, Form, decode
from runtime.mapping.faults import Bad, Spot
from runtime.mapping.generate import condition
from runtime.mapping.keys import walk
from runtime.mapping.paths import HEADER, BadPath, Path, parse_path, pointer

VALUE_CHARS_MAX = 500
_HOLE = re.compile(r"\{([^{}]*)\}")
_ORIGIN = re.compile(r"https?://[^/?#{}\\]+(?=[/?])")


class Link:
    """Compiled once: `when` says which messages, `url` where each of them leads."""

    def __init__(self, when: str, url: str, headers: Sequence[str], form: Form, spot: Spot) -> None:
        """Raises `ConfigError` with the key and the column."""
        self._applies = condition(when, tuple(headers), spot.child("when"))
        self._form = form
        at = spot.child("url")
        if not _ORIGIN.match(url):
            at.fail("an address begins with https://HOST/, and no part of the host comes from a message")
        cut = _HOLE.split(url)
        self._texts, self._paths = cut[::2], [_path(text, tuple(headers), at) for text in cut[1::2]]
        if any("{" in text or "}" in text for text in self._texts):
            at.fail("every { is closed, and a path stands between: {order.no}")

    def url(self, envelope: Envelope) -> str | None:
        """Where a message leads; None for one that speaks for itself. Raises `Untranslatable` if it lacks a value."""
        try:
            message = decode(envelope.body, envelope.content_type, self._form)
        except Untranslatable:
            return None  # the mapping says what is wrong with it
        if not self._applies(message, envelope.headers):
            return None
        values = [_value(message, envelope.headers, path) for path in self._paths]
        return self._texts[0] + "".join(v + t for v, t in zip(values, self._texts[1:], strict=True))


def compile_link(when: str, url: str, translator: Any, spot: Spot) -> Link:
    """A link over what the source's translator reads. Raises `ConfigError`."""
    return Link(when, url, translator.headers, getattr(translator, "form", ANY), spot)


def _path(text: str, headers: tuple[str, ...], spot: Spot) -> Path:
    try:
        path = parse_path(text)
    except BadPath as error:
        spot.fail(f"{{{text}}} is no path: {error}")
    if path.up:
        spot.fail(f"{{{text}}}: ^ leads out of the message")
    if path.header and path.header not in headers:
        spot.fail(f"{{{text}}}: the mapping does not keep this header", given=path.header, choices=headers)
    return path


def _value(message: Any, headers: Mapping[str, str], path: Path) -> str:
    place = HEADER + path.header if path.header else pointer(path.segments)
    found = headers.get(path.header) if path.header else walk(message, path)
    try:
        text = "" if found is None else to_text(found).strip()
    except Bad:
        text = ""
    if not text or text in {".", ".."} or len(text) > VALUE_CHARS_MAX:
        raise Untranslatable(
            "the message says where to look, and what stands there cannot be part of an address",
            position=place,
            hint='look at "when" and "url" of the source\'s follow',
        )
    return quote(text, safe="", errors="replace")
