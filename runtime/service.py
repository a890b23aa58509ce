"""What the service manager is told (protocol of sd_notify), and how often it wants to hear that we live.

Says nothing where there is no service manager, and never waits for one.
"""

from __future__ import annotations

import os
import socket

from runtime import clock

STATUS_SECONDS = 5.0
EXTEND_EVERY_SECONDS = 2.0
EXTEND_BY_SECONDS = 30.0
"""While an opening journal makes progress, its start may last so much longer, again and again."""


def notify(state: str) -> None:
    """Send lines such as `READY=1`."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as door:
        try:
            door.connect(f"\0{address[1:]}" if address.startswith("@") else address)
            door.send(state.encode())
        except OSError:
            return


def watchdog_seconds() -> float | None:
    """After how long without WATCHDOG=1 the service manager ends us; None when it does not watch this process."""
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    watched = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(microseconds) / 1_000_000 if watched and microseconds.isdecimal() and int(microseconds) else None


class StatusLine:
    """The line that `systemctl status` shows."""

    def __init__(self) -> None:
        self._said = ""
        self._said_at = -STATUS_SECONDS

    def say(self, line: str) -> None:
        """Told when it has changed, at most once in `STATUS_SECONDS`: call again, the latest line counts."""
        now = clock.monotonic()
        if line != self._said and now - self._said_at >= STATUS_SECONDS:
            self._said, self._said_at = line, now
            notify(f"STATUS={line}")


class Patience:
    """Asks for a longer start, for as long as there is progress. May be called often, from any thread."""

    def __init__(self) -> None:
        self._asked_at = clock.monotonic()

    def __call__(self) -> None:
        now = clock.monotonic()
        if now - self._asked_at >= EXTEND_EVERY_SECONDS:
            self._asked_at = now
            notify(f"EXTEND_TIMEOUT_USEC={int(EXTEND_BY_SECONDS * 1_000_000)}\nSTATUS=bringing the journal up to date")
