"""The nearest valid choice to what a person wrote, for error sentences."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

CHOICES_MAX = 8


def nearest(written: str, choices: Iterable[str]) -> str:
    """`; did you mean 'realtime'?`, or a short list of the choices, or nothing."""
    known = list(choices)
    close = get_close_matches(written, known, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    if known:
        more = ", …" if len(known) > CHOICES_MAX else ""
        return f"; choose one of {', '.join(repr(k) for k in known[:CHOICES_MAX])}{more}"
    return ""
