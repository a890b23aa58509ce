"""Dotted paths into a message: `order.no`, `lines.0.sku`, `"odd.key".x`, `.`, `^.no` (outside), `root.no`, `header:x-topic`.

A path is parsed once, when the mapping is compiled; it never becomes source text other than as quoted constants.
"""

from __future__ import annotations

import re

from msgspec import Struct

SEGMENTS_MAX = 32
"""Deeper than any partner message seen; keeps generated code within Python's nesting limits."""
CHARACTERS_MAX = 500

_SEGMENT = re.compile(r'"((?:[^"\\]|\\.)*)"|([^".^]+)')
_INDEX = re.compile(r"-?(?:0|[1-9][0-9]{0,5})\Z", re.ASCII)

HEADER = "header:"
NEVER_KEPT = frozenset({"authorization", "cookie", "proxy-authorization", "x-api-key"})
_TOKEN = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,64}", re.ASCII)

Segment = str | int
EACH = "[]"
"""Stands for "every element" in the list of paths that a mapping reads."""


class BadPath(ValueError):
    """The text is not a path; `column` counts from 1."""

    def __init__(self, problem: str, column: int) -> None:
        super().__init__(f"{problem} (column {column})")


class Path(Struct, frozen=True):
    """Where to look: `up` scopes outwards (or from the message when `root`), then along `segments`."""

    segments: tuple[Segment, ...]
    up: int = 0
    root: bool = False
    header: str = ""
    """Lower case: not in the message at all, but a header that came with it."""


def parse_path(text: str) -> Path:
    """Read one path. Raises `BadPath` with the column."""
    if len(text) > CHARACTERS_MAX:
        raise BadPath(f"a path has at most {CHARACTERS_MAX} characters", CHARACTERS_MAX)
    if text.strip() != text or not text:
        raise BadPath("a path is not empty and has no spaces around it", 1)
    if text.startswith(HEADER):
        return _parse_header(text)
    if text == ".":
        return Path(())
    up, at = 0, 0
    while text.startswith("^", at):
        up, at = up + 1, at + 1
        if at == len(text):
            return Path((), up=up)
        at = _after_dot(text, at)
    segments, quoted_first = _parse_segments(text, at)
    if up == 0 and segments[0] == "root" and not quoted_first:
        return Path(tuple(segments[1:]), root=True)
    return Path(tuple(segments), up=up)


def _parse_header(text: str) -> Path:
    name = text.removeprefix(HEADER).lower()
    if not _TOKEN.fullmatch(name):
        raise BadPath("expected the name of a header", len(HEADER) + 1)
    if name in NEVER_KEPT:
        raise BadPath(f"{name} proves who sends, so it is never kept", len(HEADER) + 1)
    return Path((), header=name)


def _parse_segments(text: str, at: int) -> tuple[list[Segment], bool]:
    segments: list[Segment] = []
    quoted_first = text.startswith('"', at)
    while True:
        match = _SEGMENT.match(text, at)
        if match is None:
            raise BadPath("expected a key", at + 1)
        if match[1] is not None:
            segments.append(re.sub(r"\\(.)", r"\1", match[1]))
        else:
            segments.append(int(match[2]) if _INDEX.match(match[2]) else match[2])
        if len(segments) > SEGMENTS_MAX:
            raise BadPath(f"a path has at most {SEGMENTS_MAX} parts", at + 1)
        if match.end() == len(text):
            return segments, quoted_first
        at = _after_dot(text, match.end())


def _after_dot(text: str, at: int) -> int:
    if not text.startswith(".", at) or at + 1 == len(text):
        raise BadPath('expected "." and then a key', at + 1)
    return at + 1


def pointer(segments: tuple[Segment, ...]) -> str:
    """JSON pointer (RFC 6901) of concrete segments; the empty text is the whole message."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in segments)


def dotted(segments: tuple[Segment, ...]) -> str:
    """The way a person writes it: `lines[].sku`, `lines.0.sku`, `"odd.key"`."""
    text = ""
    for part in segments:
        if part == EACH:
            text += EACH
        elif isinstance(part, int) or not re.search(r'[".^]', part):
            text += f".{part}" if text else str(part)
        else:
            escaped = part.replace("\\", "\\\\").replace('"', '\\"')
            text += f'."{escaped}"' if text else f'"{escaped}"'
    return text or "."
