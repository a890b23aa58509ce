"""Writes log lines to journald with a field for each part, so that `journalctl ENTREPOT_LANE=realtime` finds them.

The native protocol: https://systemd.io/JOURNAL_NATIVE_PROTOCOL/. Everything that arrives here is redacted already.
"""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from struct import pack
from typing import Any, TextIO

SOCKET = Path("/run/systemd/journal/socket")
IDENTIFIER = "entrepot"
PREFIX = "ENTREPOT_"
NAME_CHARS_MAX = 64
"""systemd ignores longer field names."""
_PRIORITIES = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}
"""syslog(3)."""
_NOT_IN_A_NAME = re.compile(r"[^A-Z0-9_]")

Line = Mapping[str, Any]


def leads_to_journald(stream: TextIO) -> bool:
    """Whether systemd has connected this stream to the journal (systemd.exec(5), `$JOURNAL_STREAM`)."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def encode(fields: Mapping[str, str]) -> bytes:
    """One entry. A value with a line feed is sent by its length, so that no value can forge a field."""
    parts: list[bytes] = []
    for name, text in fields.items():
        value = text.encode("utf-8", "replace")
        if b"\n" in value:
            parts.append(b"%b\n%b%b\n" % (name.encode(), pack("<Q", len(value)), value))
        else:
            parts.append(b"%b=%b\n" % (name.encode(), value))
    return b"".join(parts)


def entry(line: Line) -> dict[str, str]:
    """The journal's fields for a line of the log: `lane` becomes `ENTREPOT_LANE`. The message reads well alone."""
    rest = {name: _text(value) for name, value in line.items() if name not in {"time", "level", "event"}}
    event = str(line["event"])
    shown = "".join(f" {name}={value}" for name, value in rest.items())
    fields = {
        "MESSAGE": event + shown,
        "PRIORITY": str(_PRIORITIES.get(str(line["level"]), 6)),
        "SYSLOG_IDENTIFIER": IDENTIFIER,
        f"{PREFIX}EVENT": event,
        f"{PREFIX}LEVEL": str(line["level"]),
    }
    return {_name(name): value for name, value in rest.items()} | fields


def _name(name: str) -> str:
    return (PREFIX + _NOT_IN_A_NAME.sub("_", name.upper()))[:NAME_CHARS_MAX]


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        return str(value)


class JournaldWriter:
    """Sends lines to the journal; when it cannot be reached they go to `otherwise` (stderr, which it reads too)."""

    def __init__(self, otherwise: Callable[[Line], None], path: Path | None = None) -> None:
        self._otherwise = otherwise
        self._path = str(path or SOCKET)
        self._door: socket.socket | None = None

    def __call__(self, line: Line) -> None:
        """Raises `BlockingIOError` when the journal is too busy: the log never holds the agent up."""
        try:
            self._connected().send(encode(entry(line)))
        except BlockingIOError:
            raise
        except OSError:  # journald restarts, or the line is larger than a datagram
            self.close()
            self._otherwise(line)

    def _connected(self) -> socket.socket:
        if self._door is None:
            door = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            try:
                door.setblocking(False)
                door.connect(self._path)
            except OSError:
                door.close()
                raise
            self._door = door
        return self._door

    def close(self) -> None:
        """The next line connects anew."""
        if self._door is not None:
            self._door.close()
            self._door = None

    def __del__(self) -> None:
        self.close()
