"""Where a value stands in the text of a JSON message: JSON pointer → line and column, both from 1.

For a person who looks at a sample; the pipeline itself names pointers.
"""

from __future__ import annotations

import json
import re

from runtime.mapping.toml_places import Place, place_of

_BLANK = re.compile(r"[ \t\r\n]*")
_skip_value = json.JSONDecoder().raw_decode


def find_place(body: bytes, pointer: str) -> Place | None:
    """The place of the value, or of the deepest thing on the way to it that is there; None for what is no JSON."""
    if pointer and not pointer.startswith("/"):
        return None
    try:
        text = body.decode("utf-8-sig")
        at = _after_blanks(text, 0)
        _skip_value(text, at)
        for part in pointer.split("/")[1:]:
            inner = _inside(text, at, part.replace("~1", "/").replace("~0", "~"))
            if inner is None:
                break
            at = inner
    except (ValueError, IndexError, RecursionError):
        return None
    return place_of(text, at)


def _after_blanks(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return match.end() if match else at


def _inside(text: str, at: int, name: str) -> int | None:
    """Where the member or element begins; of two equal keys the last, as the decoder takes it."""
    if text[at] not in "{[":
        return None
    is_object, found, index = text[at] == "{", None, 0
    at = _after_blanks(text, at + 1)
    while text[at] not in "}]":
        key = str(index)
        if is_object:
            key, at = _skip_value(text, at)
            at = _after_blanks(text, _after_blanks(text, at) + 1)
        if key == name:
            found = at
        at = _after_blanks(text, _skip_value(text, at)[1])
        if text[at] == ",":
            at = _after_blanks(text, at + 1)
        index += 1
    return found
