"""Decides what a log line or an alert may say. Deny by default: text passes only under a field name listed here.

Pure. Numbers pass under any name that does not speak of a secret or a person; everything else becomes `(hidden)`,
without its length. Free text that does pass is cut, put on one line, and cleaned of addresses and credentials.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterable, Mapping
from typing import Any

from runtime.errors import EntrepotError, Untranslatable

HIDDEN = "(hidden)"
_NAMES = """
    action adapter after alert bind check code command component config_file correlation_id data_dir environment epoch error_class
    evidence fence from_version hash hint jurisdiction key_id kind lane lanes level library library_version limit line
    listen mapping meaning mode module next notes origin outcome phase platform policy policy_hash problem problems
    python reason region revision role route rule rules schema scheme sentence server servers setting severity since
    source sources sqlite stage state status step steps stream streams subject target task template translator type
    unit until version versions where
"""
SAFE_FIELDS = frozenset(_NAMES.split())
"""Names whose text we write ourselves: configured names, sentences from the code, hashes, versions. Never what a partner sent."""
_GUARDED = re.compile(
    r"secret|passw|passphrase|token|credential|authori[sz]ation|cookie|signature|private|seed|jwt|bearer|api_?key"
    r"|(?:^|_)body(?:_|$)|payload|person|customer|consignee|recipient|employee|driver|phone|mobile|e_?mail|street|postcode|zip|birth"
)
_COUNTS = re.compile(r"_(bytes|rows|seconds|events|max|min|count|total|ms|us)$")
_CREDENTIALS = re.compile(
    r"(?<=://)[^\s/@]+@"
    r"|\b[SPU][A-Z2-7]{50,60}\b"
    r"|\beyJ[\w-]{8,}(?:\.[\w-]+)*"
    r"|(?i:\b(?:bearer|basic)\s+)[\w.~+/=-]{8,}"
    r"|[\w.+%-]+@[\w-]+(?:\.[\w-]+)+"
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def clean_text(text: str, chars_max: int = 600) -> str:
    """One line of at most `chars_max` characters, without control characters, mail addresses or credentials."""
    cleaned = _CREDENTIALS.sub(HIDDEN, _CONTROL.sub(" ", text[: chars_max * 2]))
    return cleaned if len(cleaned) <= chars_max else cleaned[: chars_max - 1] + "…"


def error_fields(error: BaseException, frames_max: int = 12) -> dict[str, Any]:
    """Class and place of an error; its words only if they are ours (`Untranslatable` quotes partners, so not that one)."""
    fields: dict[str, Any] = {"error_class": type(error).__qualname__}
    if isinstance(error, EntrepotError):
        quotes_partner = isinstance(error, Untranslatable)
        if not quotes_partner:
            fields |= {"reason": clean_text(str(error))} | ({"hint": clean_text(error.hint)} if error.hint else {})
    elif isinstance(error, OSError) and error.errno is not None:
        fields["errno"] = error.errno
    if error.__traceback__ is not None and not isinstance(error, EntrepotError):
        fields["where"] = _frames(error, frames_max)
    if isinstance(error, BaseExceptionGroup):
        fields["problems"] = [type(one).__qualname__ for one in error.exceptions[:frames_max]]
    cause = error.__cause__
    if cause is not None:
        fields["cause_class"] = type(cause).__qualname__
    return fields


def _frames(error: BaseException, frames_max: int) -> list[str]:
    """File, line and function of the innermost frames: no source line and no local, which may hold a partner's data."""
    frames = list(traceback.walk_tb(error.__traceback__))[-frames_max:]
    return [f"{_short(f.f_code.co_filename)}:{line} {f.f_code.co_name}" for f, line in frames]


def _short(path: str) -> str:
    return "/".join(path.split("/")[-3:])


class Redactor:
    """The allow-list. `allowed` adds field names to `SAFE_FIELDS`; a guarded word in a name still wins."""

    def __init__(self, allowed: Iterable[str] = (), *, chars_max: int = 600, items_max: int = 32) -> None:
        self._safe = SAFE_FIELDS | frozenset(allowed)
        self._chars_max = chars_max
        self._items_max = items_max
        self._verdicts: dict[str, bool | None] = {}

    def fields(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The same fields with every value that may not be shown replaced; errors become class, place and our own words."""
        shown: dict[str, Any] = {}
        for name, value in given.items():
            if isinstance(value, BaseException):
                shown.update(error_fields(value))
            else:
                shown[name] = self.value(name, value)
        return shown

    def value(self, name: str, value: Any) -> Any:
        """What may be shown of `value` under this name."""
        safe = self._verdict(name)
        return HIDDEN if safe is None else self._shown(value, safe, 3)

    def _verdict(self, name: str) -> bool | None:
        """True: text may be shown. False: numbers only. None: nothing."""
        if name not in self._verdicts:
            if len(self._verdicts) > 4_096:
                self._verdicts.clear()
            guarded = _GUARDED.search(name.lower().replace("-", "_")) and not _COUNTS.search(name)
            self._verdicts[name] = None if guarded else name in self._safe
        return self._verdicts[name]

    def _shown(self, value: Any, safe: bool, depth: int) -> Any:
        if value is None or isinstance(value, bool | int | float):
            return value
        if depth == 0:
            return HIDDEN
        if isinstance(value, Mapping):
            return {clean_text(str(k), 80): self._inner(str(k), v, safe, depth) for k, v in self._first(value.items())}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._shown(item, safe, depth - 1) for item in self._first(value)]
        if isinstance(value, str) and safe:
            return clean_text(value, self._chars_max)
        return HIDDEN

    def _inner(self, name: str, value: Any, safe: bool, depth: int) -> Any:
        verdict = self._verdict(name)
        return HIDDEN if verdict is None else self._shown(value, safe or verdict, depth - 1)

    def _first(self, items: Iterable[Any]) -> list[Any]:
        return [item for item, _ in zip(items, range(self._items_max), strict=False)]
