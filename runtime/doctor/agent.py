"""Whether the agent runs, and whether systemd listens for it where the configuration says."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from runtime.admin.client import is_running
from runtime.cli.ask import has_journal
from runtime.ports import Finding
from runtime.setup.place import Service

COMMAND_SECONDS_MAX = 10.0
_LISTEN = re.compile(r"^Listen=(\S+) \(Stream\)$", re.MULTILINE)


def running(folder: Path) -> Iterator[Finding]:
    """By its admin socket."""
    if is_running(folder):
        yield Finding("agent", "ok", "running")
    elif has_journal(folder):
        step = "`entrepot run`, or start its service"
        yield Finding("agent", "warning", "not running; its journal is there", step)
    else:
        yield Finding("agent", "ok", "has never run here")


def socket_unit(service: Service | None, listen: str) -> Iterator[Finding]:
    """Nothing where no service is installed, or systemd is not there."""
    if service is None:
        return
    unit = f"{service.name}.socket"
    command = ("systemctl", "show", "--property=Listen", unit)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_SECONDS_MAX, check=False)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return
    addresses = _LISTEN.findall(done.stdout)
    if addresses:
        yield judge_socket(unit, addresses, listen)


def judge_socket(unit: str, addresses: list[str], listen: str) -> Finding:
    """Senders reach what systemd listens on; everybody reads what the configuration says."""
    if addresses == [listen]:
        return Finding("socket unit", "ok", f"{unit} listens on {listen}")
    step = f"`systemctl edit {unit}`: an empty ListenStream=, then ListenStream={listen}; restart it. Or correct [gateway] listen"
    found = f"{unit} listens on {', '.join(addresses)}, but gateway.listen is {listen}"
    return Finding("socket unit", "warning", found, step)
