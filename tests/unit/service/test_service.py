"""What the service manager hears: each line once, in time, and never a word too many."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime import clock, service
from runtime.service import Patience, StatusLine, notify, watchdog_seconds


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
        door.bind(str(tmp_path / "notify"))
        door.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield door


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, to be moved by the test."""
    at = [1_000.0]
    monkeypatch.setattr(clock, "monotonic", lambda: at[0])
    return at


def heard(door: socket.socket) -> list[str]:
    lines = []
    while True:
        try:
            lines.append(door.recv(4_096).decode())
        except BlockingIOError:
            return lines


def test_what_is_told_arrives_as_it_is(manager: socket.socket) -> None:
    notify("READY=1\nSTATUS=listening")
    assert heard(manager) == ["READY=1\nSTATUS=listening"]


def test_a_name_in_the_abstract_namespace_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
        door.bind(f"\0entrepot-test-{os.getpid()}")
        monkeypatch.setenv("NOTIFY_SOCKET", f"@entrepot-test-{os.getpid()}")
        notify("STOPPING=1")
        assert door.recv(100) == b"STOPPING=1"


def test_a_manager_that_does_not_read_delays_nobody(manager: socket.socket) -> None:
    for _ in range(10_000):
        notify("WATCHDOG=1")
    assert 0 < len(heard(manager)) < 10_000


def test_the_status_is_told_when_it_has_changed_and_not_too_often(manager: socket.socket, now: list[float]) -> None:
    line = StatusLine()
    line.say("accepted 1")
    line.say("accepted 2")
    now[0] += service.STATUS_SECONDS
    line.say("accepted 3")
    now[0] += service.STATUS_SECONDS
    line.say("accepted 3")
    assert heard(manager) == ["STATUS=accepted 1", "STATUS=accepted 3"]


def test_a_longer_start_is_asked_for_again_and_again_while_there_is_progress(
    manager: socket.socket, now: list[float]
) -> None:
    patience = Patience()
    patience()
    assert heard(manager) == []
    for _ in range(2):
        now[0] += service.EXTEND_EVERY_SECONDS
        patience()
        patience()
    assert [said.splitlines()[0] for said in heard(manager)] == ["EXTEND_TIMEOUT_USEC=30000000"] * 2


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "3000000"}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
    ],
)
def test_the_watchdog_asks_this_process_or_nobody(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], seconds: float | None
) -> None:
    for variable in ("WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    assert watchdog_seconds() == seconds
