"""What of a configuration, a policy, a status or the log may go to somebody else. Deny by default. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from runtime.observe.journald import PREFIX
from runtime.observe.redact import HIDDEN, Redactor, clean_text

TEXTS = frozenset(
    """
    region jurisdiction environment data_dir adapter mapping translator lane on_letter dedupe policy dir listen scheme
    publish_mode encoding format delimiter type class id action from until destination tls_ca tls_cert
    """.split()
)
"""Keys of entrepot.toml and of policies whose text is shown. Names of senders' headers and folders are not among them."""
ADDRESSES = frozenset({"servers", "webhook"})
"""Shown as scheme, host and port: users, passwords, paths and queries may be secrets."""
STATUS_TEXTS = ("hub", "config", "warnings", "sentence", "fenced", "name")
SYSTEMS_OWN = frozenset({"systemd", "kernel"})
LEVELS = {"0": "critical", "1": "critical", "2": "critical", "3": "error", "4": "warning", "5": "info", "6": "info"}


def settings(raw: Any, key: str = "") -> Any:
    """A TOML document: numbers and switches as they are, texts only of known keys."""
    if isinstance(raw, Mapping):
        return {clean_text(str(name), 80): settings(value, str(name)) for name, value in raw.items()}
    if isinstance(raw, list):
        return [settings(value, key) for value in raw]
    if isinstance(raw, bool | int | float) or raw is None:
        return raw if not _speaks_of_a_secret(key) else HIDDEN
    if not isinstance(raw, str):
        return str(raw) if key in TEXTS else HIDDEN
    if key in ADDRESSES:
        return address(raw)
    return clean_text(raw) if key in TEXTS else HIDDEN


def _speaks_of_a_secret(key: str) -> bool:
    return bool(Redactor().value(key, 1) == HIDDEN)


def address(text: str) -> str:
    """`tls://user:pass@host:1/path?key` → `tls://host:1`."""
    parts = urlsplit(text if "//" in text else f"//{text}")
    try:
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return HIDDEN
    return f"{parts.scheme or '?'}://{parts.hostname or '?'}{port}"


def status(answer: Mapping[str, Any]) -> dict[str, Any]:
    """`entrepot status --json` without what people or partners wrote."""
    return Redactor(STATUS_TEXTS, items_max=256).fields(answer)


def journal_stats(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Figures, and of incidents the kind and the lane: their text may hold a person's reason."""
    shown = {name: value for name, value in answer.items() if name != "incidents"}
    incidents = [{k: i.get(k) for k in ("at_us", "kind", "lane")} for i in answer.get("incidents", [])]
    return Redactor(items_max=256).fields(shown) | {"incidents": incidents}


def journal_entry(entry: Mapping[str, Any]) -> dict[str, Any] | None:
    """One entry of the system's journal; None for text that we cannot judge (a library's own words, a traceback)."""
    at = entry.get("__REALTIME_TIMESTAMP")
    message = entry.get("MESSAGE")
    if not isinstance(message, str):
        return None
    if entry.get("SYSLOG_IDENTIFIER") in SYSTEMS_OWN and str(entry.get("_PID")) == "1":
        return {"at_us": at, "from": "systemd", "event": clean_text(message)}
    line = _native(entry) or _json(message)
    if line is None:
        return None
    fields = {name: value for name, value in line.items() if name not in {"event", "level", "time"}}
    shown = {"at_us": at, "level": _level(line.get("level")), "event": clean_text(str(line.get("event")), 200)}
    return shown | Redactor().fields(fields)


def _native(entry: Mapping[str, Any]) -> dict[str, Any] | None:
    if not isinstance(entry.get(f"{PREFIX}EVENT"), str):
        return None
    return {n.removeprefix(PREFIX).lower(): v for n, v in entry.items() if n.startswith(PREFIX)}


def _json(message: str) -> dict[str, Any] | None:
    try:
        line = json.loads(message)
    except (ValueError, RecursionError):
        return None
    return line if isinstance(line, dict) and isinstance(line.get("event"), str) else None


def _level(value: Any) -> str:
    return value if value in LEVELS.values() or value == "debug" else "info"
