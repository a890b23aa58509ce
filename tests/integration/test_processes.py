"""What a test has started ends with it, although it fails to start or to stop: nothing disturbs the tests that follow."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support import ledger, nats
from tests.support.ledger import Ledger
from tests.support.nats import NatsCluster, NatsServer
from tests.support.region import Region

pytestmark = pytest.mark.anyio


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """Every process from here on."""
    found: list[subprocess.Popen[bytes]] = []

    class Noted(subprocess.Popen[bytes]):
        def __init__(self, *words: object, **options: object) -> None:
            super().__init__(*words, **options)  # type: ignore[call-overload]
            found.append(self)

    monkeypatch.setattr(subprocess, "Popen", Noted)
    return found


def gone(started: list[subprocess.Popen[bytes]]) -> bool:
    left = [process for process in started if process.returncode is None]
    for process in left:
        process.kill()
        process.wait()
    return bool(started) and not left


async def never(*_: object) -> bool:
    return False


async def test_a_hub_that_does_not_come_up_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[subprocess.Popen[bytes]]
) -> None:
    monkeypatch.setattr(nats, "READY_SECONDS_MAX", 0.05)
    monkeypatch.setattr(NatsServer, "_greets", never)
    with pytest.raises(TimeoutError):
        await NatsServer(tmp_path).start()
    assert gone(started)
    started.clear()
    with pytest.raises(ExceptionGroup):
        await NatsCluster(tmp_path / "cluster").__aenter__()
    assert gone(started)


async def test_a_foreign_system_that_does_not_come_up_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[subprocess.Popen[bytes]]
) -> None:
    monkeypatch.setattr(ledger, "READY_SECONDS_MAX", 0.05)
    monkeypatch.setattr(Ledger, "_listens", never)
    with pytest.raises(TimeoutError):
        await Ledger(tmp_path).start()
    assert gone(started)


async def test_an_agent_that_does_not_come_up_or_does_not_stop_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[subprocess.Popen[bytes]]
) -> None:
    async def broken(self: Region) -> bool:
        raise AssertionError("not ready")

    region = Region(tmp_path, "nats://127.0.0.1:1")
    with monkeypatch.context() as once:
        once.setattr(Region, "_ready", broken)
        with pytest.raises(AssertionError, match="not ready"):
            await region.start()
    assert gone(started)
    started.clear()
    monkeypatch.setattr("tests.support.region.STOP_SECONDS_MAX", 0.0)
    await region.start()
    with pytest.raises(subprocess.TimeoutExpired):
        await region.stop()
    assert gone(started)
