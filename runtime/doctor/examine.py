"""Runs every check, each with a time limit: one that hangs or crashes is a row like any other. Changes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

from runtime.config.assemble import Configuration
from runtime.doctor import agent, disk, files, host, hub, network
from runtime.errors import EntrepotError, first
from runtime.fleet.force import load_in_force
from runtime.ports import Finding
from runtime.setup.place import agent_user, service_of

CODES = {"ok": 0, "warning": 1, "critical": 2}
CHECK_SECONDS_MAX = 20.0
"""A file system that hangs (a lost NFS server) holds up one check, not the doctor."""
HUB_SECONDS_MAX = 90.0
"""32 servers may each need their time."""

Check = Callable[[], Iterable[Finding]]


def examine(find_config: Callable[[], Path]) -> Iterator[Finding]:
    """Findings in the order in which a person would look. Never raises."""
    yield from guarded("SQLite", host.sqlite)
    yield from guarded("Expat", host.expat)
    yield from guarded("clock", host.time)
    loaded: list[tuple[Path, Configuration]] = []
    yield from guarded("configuration", lambda: _load(find_config, loaded))
    for path, configuration in loaded:
        for subject, check in _checks(path, configuration):
            seconds_max = HUB_SECONDS_MAX if subject == "hub" else CHECK_SECONDS_MAX
            yield from guarded(subject, check, seconds_max)


def worst(findings: Iterable[Finding]) -> str:
    """The level of the worst row."""
    return max((finding.level for finding in findings), key=lambda level: CODES[level])


def _load(find_config: Callable[[], Path], loaded: list[tuple[Path, Configuration]]) -> Iterator[Finding]:
    path = find_config()
    configuration = load_in_force(path)
    loaded.append((path, configuration))
    yield from files.configuration(path, configuration)


def _checks(path: Path, configuration: Configuration) -> Iterator[tuple[str, Check]]:
    folder = configuration.data_dir
    service = service_of(path)
    owner = agent_user() if service is not None else None
    yield "file permissions", partial(files.permissions, configuration, owner)
    yield "data folder", partial(files.data_folder, folder, owner)
    yield "file system", partial(disk.file_system, folder)
    yield "free disk", partial(disk.room, folder, configuration.model.journal.disk_bytes_max)
    yield "flush", partial(disk.flush, folder)
    yield "agent", partial(agent.running, folder)
    yield "socket unit", partial(agent.socket_unit, service, configuration.model.gateway.listen)
    yield "firewall", partial(network.incoming, configuration.model.gateway.listen)
    yield "alert webhook", partial(network.alerts, configuration.model.alerts.webhook)
    yield "hub", partial(hub.look, configuration)


def guarded(subject: str, check: Check, seconds_max: float = CHECK_SECONDS_MAX) -> list[Finding]:
    """What the check found; a sentence when it fails by itself or does not end in time."""
    found: list[Finding] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            found.extend(check())
        except BaseException as error:  # noqa: BLE001 - whatever it is, the other checks go on
            failure.append(error)

    # A thread of its own that nobody waits for at the end: what hangs in the kernel cannot be cancelled.
    thread = Thread(target=work, name=f"doctor {subject}", daemon=True)
    thread.start()
    thread.join(seconds_max)
    if thread.is_alive():
        step = "look at what it stands on: a disk or a name server that does not answer"
        return [*found, Finding(subject, "critical", f"no answer within {seconds_max:g} s", step)]
    return [*found, *(_told(subject, error) for error in failure)]


def _told(subject: str, error: BaseException) -> Finding:
    error = first(error)
    if isinstance(error, EntrepotError):
        return Finding(subject, "critical", str(error), error.hint)
    if isinstance(error, OSError) and error.filename:
        step = "run as root or as the agent's user"
        return Finding(subject, "critical", f"{error.filename}: {error.strerror}", step)
    return Finding(
        subject, "critical", f"this check failed by itself ({type(error).__name__}{_place(error)})", "report it"
    )


def _place(error: BaseException) -> str:
    trace: Any = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f" at {os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}"
