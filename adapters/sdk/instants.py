"""The instants in signature headers: seconds or milliseconds since 1970, or RFC 3339."""

from __future__ import annotations

import re
from datetime import datetime

_DIGITS = re.compile(r"[0-9]{1,13}")
_MILLISECONDS_FROM = 100_000_000_000
"""In seconds this is the year 5138; in milliseconds it is 1973."""
_RFC3339 = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)


def read_seconds(text: str) -> int | None:
    """Whole seconds since 1970, or None for anything else."""
    if _DIGITS.fullmatch(text):
        number = int(text)
        return number // 1_000 if number >= _MILLISECONDS_FROM else number
    if not _RFC3339.fullmatch(text):
        return None
    try:
        return int(datetime.fromisoformat(text.upper()).timestamp())
    except (ValueError, OverflowError):
        return None
