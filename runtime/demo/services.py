"""Programs that are started again whenever they end, as a service manager would. Their output goes to a file."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from subprocess import DEVNULL
from typing import BinaryIO

import anyio
from anyio.abc import Process

RESTART_SECONDS = 0.5
STOP_SECONDS_MAX = 20.0
LOG_BYTES_SHOWN = 4_096


class Service:
    """One program. Its own session, so that Ctrl-C reaches the demo only."""

    def __init__(self, name: str, command: Sequence[str], log: Path) -> None:
        self.name = name
        self.log = log
        self.starts = 0
        self.exits: list[int] = []
        self._command = list(command)
        self._process: Process | None = None
        self._stopping = False
        self._ended = anyio.Event()

    @property
    def pid(self) -> int | None:
        """None while it is being started again."""
        return None if self._process is None else self._process.pid

    async def run(self) -> None:
        """Until `stop`, or cancelled (which kills it)."""
        while not self._stopping:
            with self._open_log() as log:
                process = await anyio.open_process(
                    self._command, stdin=DEVNULL, stdout=log, stderr=log, start_new_session=True
                )
            self._process = process
            self.starts += 1
            try:
                self.exits.append(await process.wait())
            finally:
                self._process = None
                with suppress(ProcessLookupError):
                    process.kill()
            if not self._stopping:
                await anyio.sleep(RESTART_SECONDS)
        self._ended.set()

    async def stop(self) -> int | None:
        """Ask it to end, wait, kill it if it does not. The exit code of its end; None if it had to be killed."""
        self._stopping = True
        process = self._process
        if process is None:
            return None
        # A stopped process (kill -STOP) cannot hear that it should end.
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
            process.terminate()
        with anyio.move_on_after(STOP_SECONDS_MAX):
            await self._ended.wait()
            return self.exits[-1]
        with suppress(ProcessLookupError):
            process.kill()
        await self._ended.wait()
        return None

    def wake(self) -> None:
        """Go on after a `kill -STOP` that somebody tried."""
        if self.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGCONT)

    def last_words(self) -> str:
        """The last line of its output."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, self.log.stat().st_size - LOG_BYTES_SHOWN))
                lines = file.read().decode("utf-8", "replace").strip().splitlines()
        except OSError:
            return ""
        return lines[-1] if lines else ""

    def _open_log(self) -> BinaryIO:
        return self.log.open("ab")
