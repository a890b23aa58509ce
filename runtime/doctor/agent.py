"""Whether the agent runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from runtime.admin.client import is_running
from runtime.cli.ask import has_journal
from runtime.ports import Finding


def running(folder: Path) -> Iterator[Finding]:
    """By its admin socket."""
    if is_running(folder):
        yield Finding("agent", "ok", "running")
    elif has_journal(folder):
        step = "`entrepot run`, or start its service"
        yield Finding("agent", "warning", "not running; its journal is there", step)
    else:
        yield Finding("agent", "ok", "has never run here")
