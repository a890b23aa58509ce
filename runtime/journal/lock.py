"""The lock that a process holds for as long as it has a journal open, and who that is.

An agent is never waited for. A command is, for a bounded time: it only looks at a stopped agent's journal.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal, NoReturn

import anyio

from runtime.errors import JournalInUse, Refused

Role = Literal["agent", "command"]
WAIT_SECONDS_MAX = 5.0
"""So long a command may keep others waiting (`status`, `letters`: well under a second)."""
_POLL_SECONDS = 0.05
_OWNER_BYTES_MAX = 64


def _nobody_hears(_sentence: str) -> None:
    """Commands wait in silence."""


class JournalLock:
    """An flock on the file beside the journal: it goes with the process, however that ends."""

    def __init__(self, journal: Path, role: Role = "agent", tell: Callable[[str], None] = _nobody_hears) -> None:
        self._journal = journal
        self._role = role
        self._tell = tell
        self._handle: int | None = None

    async def take(self) -> None:
        """Raises `JournalInUse` at once for an agent, after `WAIT_SECONDS_MAX` for a command."""
        if self.try_take():
            return
        await anyio.sleep(_POLL_SECONDS)  # who has just locked has not yet written who it is
        told = False
        with anyio.move_on_after(WAIT_SECONDS_MAX):
            while not self.try_take():
                if not self._held_by_command():
                    self.refuse()
                if not told:
                    self._tell(f"{self._holder()} has it open; waiting up to {WAIT_SECONDS_MAX:g} s")
                    told = True
                await anyio.sleep(_POLL_SECONDS)
            return
        self.refuse(f"; waited {WAIT_SECONDS_MAX:g} s for it")

    def try_take(self) -> bool:
        """Whether this process has the lock now. Raises `Refused` where nothing can be locked."""
        handle = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            if isinstance(error, BlockingIOError):
                return False
            raise Refused(
                f"{self._file} cannot be locked ({error.strerror})", hint="the journal must lie on a local disk"
            ) from error
        self._handle = handle
        # In this order a full disk needs no new block for it; where it does need one, the lock holds without a name.
        with suppress(OSError):
            own = f"{os.getpid()} {self._role}".encode()
            os.pwrite(handle, own, 0)
            os.ftruncate(handle, len(own))
        return True

    def refuse(self, waited: str = "") -> NoReturn:
        """Raises `JournalInUse`, with the name of the holder."""
        hint = "stop the other agent, or give this one its own data_dir; two agents must never share a journal"
        if self._held_by_command():
            hint = "let that command finish (or end it), then start again"
        raise JournalInUse(f"{self._holder()} has this journal open: {self._journal}{waited}", hint=hint)

    def give_back(self) -> None:
        """Let others in; nothing happens if it was never taken."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)

    @property
    def _file(self) -> Path:
        return self._journal.with_suffix(".lock")

    def _held_by_command(self) -> bool:
        return self._owner()[1:] == ["command"]

    def _holder(self) -> str:
        pid, *role = self._owner() or [""]
        named = f" (pid {pid})" if pid else ""
        return f"a command{named}" if role == ["command"] else f"another process{named}"

    def _owner(self) -> list[str]:
        with self._file.open("rb") as file:
            return file.read(_OWNER_BYTES_MAX).decode(errors="replace").split()
