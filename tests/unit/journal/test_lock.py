"""The lock says no more than it knows: neither a full disk nor a file system without locks is another process."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from runtime.errors import JournalInUse, Refused
from runtime.journal.lock import JournalLock


def test_a_file_system_without_locks_is_named_and_not_taken_for_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[int] = []

    def no_locks(handle: int, operation: int) -> None:
        opened.append(handle)
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    close = os.close
    monkeypatch.setattr(os, "close", lambda handle: (opened.remove(handle), close(handle)))
    with pytest.raises(Refused, match=r"journal\.lock cannot be locked \(No locks available\)") as told:
        JournalLock(tmp_path / "journal.db").try_take()
    assert not isinstance(told.value, JournalInUse)
    assert "local disk" in told.value.hint
    assert not opened, "the handle is still open"


def test_a_lock_that_has_no_room_for_its_holders_name_holds_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int, said: bytes, at: int) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    mine, other = JournalLock(tmp_path / "journal.db"), JournalLock(tmp_path / "journal.db")
    assert mine.try_take()
    assert not other.try_take()
    with pytest.raises(JournalInUse, match="another process has this journal open"):
        other.refuse()
    mine.give_back()
    assert other.try_take()
    other.give_back()
