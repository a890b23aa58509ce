"""Finds values in a JSON answer without changing a byte of what lies there: an item is kept exactly as it was sent. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from runtime.errors import ConfigError

WHOLE = "."
_FOREIGN = (msgspec.MsgspecError, UnicodeError, RecursionError, ArithmeticError, ValueError)
_ESCAPES = re.compile(rb"\\\\|\\u[dD][89abAB]..\\u[dD][c-fC-F]..|(\\u[dD][89a-fA-F]..)")
_REPLACEMENT = b"\\ufffd"
_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_scalar = msgspec.json.Decoder(float_hook=Decimal).decode


def parse(place: str) -> tuple[str, ...]:
    """The keys on the way, `data.items` → two; none for the whole. Raises `ConfigError`."""
    if place in {"", WHOLE}:
        return ()
    keys = tuple(place.split("."))
    if not all(keys):
        raise ConfigError(f'"{place}" is no place', hint="write keys with dots between them, e.g. data.items")
    return keys


def find(value: bytes | msgspec.Raw, keys: Sequence[str]) -> bytes | msgspec.Raw | None:
    """The bytes at a place; None if there is nothing, or nothing that can be read."""
    try:
        for key in keys:
            found = _object(value).get(key)
            if found is None:
                return None
            value = found
    except _FOREIGN:
        return None
    return value


def texts(value: bytes | msgspec.Raw) -> list[bytes] | None:
    """The elements of a list, byte for byte; None if it is no list."""
    try:
        return [bytes(item) for item in _list(value)]
    except _FOREIGN:
        return None


def scalar(value: bytes | msgspec.Raw, keys: Sequence[str]) -> str | int | Decimal | None:
    """A text or a number at a place."""
    raw = find(value, keys)
    if raw is None:
        return None
    try:
        found: Any = _scalar(raw)
    except _FOREIGN:
        return None
    return found if isinstance(found, str | int | Decimal) and not isinstance(found, bool) else None


def readable(value: bytes) -> bytes | None:
    """The answer if it is JSON. One half of a character that was cut in two (an emoji, mostly) is replaced: else one
    such item would stop all others. None if it is no JSON.
    """
    for text in (value, _ESCAPES.sub(_whole, value)):
        try:
            msgspec.json.decode(text)
        except _FOREIGN:
            continue
        return text
    return None


def _whole(escape: re.Match[bytes]) -> bytes:
    return escape[0] if escape[1] is None else _REPLACEMENT
