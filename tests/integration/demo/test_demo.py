"""The demo is the main job end to end: real hub, real agent, real partners, and a judge."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

SECONDS_MAX = 100


@contextmanager
def demo(folder: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "runtime.cli", "demo", "--json", "--keep", str(folder), *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=SECONDS_MAX)


async def finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = await anyio.to_thread.run_sync(lambda: process.communicate(timeout=SECONDS_MAX))
    assert process.returncode == 0, out + err
    summary: dict[str, Any] = json.loads(out)
    return summary


async def agent_pid(folder: Path, *, other_than: int = 0) -> int:
    """The agent that answers now; waits until there is one (another one)."""
    lock, socket = folder / "eu-de" / "state" / "journal.lock", folder / "eu-de" / "state" / "admin.sock"
    with anyio.fail_after(SECONDS_MAX):
        while True:
            words = lock.read_text().split() if lock.exists() and socket.exists() else []
            if words and int(words[0]) != other_than:
                return int(words[0])
            await anyio.sleep(0.02)


@pytest.mark.anyio
async def test_the_demo_proves_that_the_hub_holds_what_was_accepted(tmp_path: Path) -> None:
    with demo(tmp_path / "d", "--seconds", "6", "--rate", "100") as process:
        summary = await finish(process)
    assert summary["problems"] == []
    assert summary["ok"]
    assert summary["receipts"] == summary["messages"] > 100
    assert summary["books"]["pending"] == 0
    assert summary["repeats"] > 0
    assert all(lane["hub_last"] == lane["sealed"] > 0 for lane in summary["lanes"].values())
    assert summary["starts"] == {"hub": 1, "agent": 1}


@pytest.mark.anyio
async def test_it_survives_a_killed_agent(tmp_path: Path) -> None:
    with demo(tmp_path / "d", "--rate", "100") as process:
        first = await agent_pid(tmp_path / "d")
        await until_accepted(tmp_path / "d", 50)
        os.kill(first, signal.SIGKILL)
        await agent_pid(tmp_path / "d", other_than=first)
        await until_accepted(tmp_path / "d", 200)
        process.send_signal(signal.SIGINT)
        summary = await finish(process)
    assert summary["problems"] == []
    assert summary["by_hand"] == 0
    assert summary["starts"]["agent"] == 2


async def until_accepted(folder: Path, count: int) -> None:
    command = [sys.executable, "-m", "runtime.cli", "status", "--json", "--config", str(folder / "eu-de")]
    with anyio.fail_after(SECONDS_MAX):
        while True:
            answer = await anyio.run_process(command, check=False)
            status = json.loads(answer.stdout)
            if status.get("accepted", 0) >= count:
                return
            await anyio.sleep(0.1)


def test_a_demo_that_cannot_start_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    command = [sys.executable, "-m", "runtime.cli", "demo", "--json", "--seconds", "1", "--keep", str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS_MAX)
    assert run.returncode == 2
    assert json.loads(run.stdout)["kind"] == "ConfigError"
