"""What headquarters may hear when it asks: counts, digests, versions and our own sentences, never a partner's words.

Every answer passes `gate`: texts that quote what a message said lose the quotation. Pure.
"""

from __future__ import annotations

import re
from typing import Any

TEXT_CHARS_MAX = 400
ROWS_MAX = 200
DEPTH_MAX = 8
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|„[^“]*“|“[^”]*”")
_ADDRESS = re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+")


def gate(value: Any, depth: int = 0) -> Any:
    """The same, fit to leave the region: bounded, and without what a text quotes."""
    if depth > DEPTH_MAX:
        return "…"
    if isinstance(value, dict):
        return {str(key)[:TEXT_CHARS_MAX]: gate(item, depth + 1) for key, item in list(value.items())[:ROWS_MAX]}
    if isinstance(value, list | tuple):
        return [gate(item, depth + 1) for item in value[:ROWS_MAX]]
    if isinstance(value, str):
        return _ADDRESS.sub("…", _QUOTED.sub("'…'", value))[:TEXT_CHARS_MAX]
    return value
