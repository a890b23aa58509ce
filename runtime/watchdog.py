"""Ends the process when it no longer works: the loop does not turn, or a commit does not end.

The timer runs outside the interpreter, so that even a pattern match without end cannot stop it.
"""

from __future__ import annotations

import faulthandler
import os
import socket
import sys

import anyio

from runtime import clock
from runtime.journal.writer import Writer

FEED_SECONDS = 2.0


async def watch(writer: Writer, limit_seconds: float) -> None:
    """Feed the timer while the loop turns and no commit runs longer than the limit. systemd is fed the same way."""
    try:
        while True:
            if writer.busy_since is None or clock.monotonic() - writer.busy_since < limit_seconds:
                faulthandler.dump_traceback_later(limit_seconds, exit=True, file=sys.stderr)
                notify("WATCHDOG=1")
            await anyio.sleep(FEED_SECONDS)
    finally:
        faulthandler.cancel_dump_traceback_later()


def notify(state: str) -> None:
    """Tell the service manager (sd_notify protocol); silent when there is none."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as door:
        try:
            door.connect(f"\0{address[1:]}" if address.startswith("@") else address)
            door.send(state.encode())
        except OSError:
            return
