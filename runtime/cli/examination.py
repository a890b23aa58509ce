"""What `doctor` looks at: configuration, data folder, disk, SQLite, clock, hub and its streams. Changes nothing."""

from __future__ import annotations

import ctypes
import os
import shutil
import stat
import statistics
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from runtime import clock
from runtime.errors import EntrepotError

if TYPE_CHECKING:
    from runtime.config.assemble import Configuration

Level = Literal["ok", "warning", "critical"]
FSYNC_TRIES = 16
FSYNC_SECONDS_SLOW = 0.05
FSYNC_SECONDS_FAST = 0.00005
"""No disk flushes in 50 µs: something between says that it did."""
FREE_SHARE_SMALL = 0.10
YEAR_2026_US = 1_767_225_600_000_000
TIME_ERROR = 5
"""adjtimex(2): the clock is not synchronised."""
TIMEX_BYTES = 512
"""struct timex has 208 bytes; room to spare for other architectures."""
WAL_RESET_FIXED = (3, 51, 3)
"""https://sqlite.org/wal.html, section 'The WAL-Reset Bug': 3.7.0 to 3.51.2, fixed in 3.51.3."""


class Finding(NamedTuple):
    """One row."""

    subject: str
    level: Level
    found: str
    next_step: str = ""


def examine(options: Namespace) -> Iterator[Finding]:
    """One finding a subject, in the order in which a person would look."""
    from runtime.cli.places import config_file
    from runtime.config.assemble import load_configuration

    yield _sqlite()
    yield _clock()
    try:
        path = config_file(options.config)
        configuration = load_configuration(path)
    except EntrepotError as error:
        yield Finding("configuration", "critical", str(error), error.hint)
        return
    yield _configuration(path, configuration)
    yield from _folder(configuration.data_dir)
    yield from _disk(configuration)
    yield _agent(configuration.data_dir)
    yield from _streams(options)


def _configuration(path: Path, configuration: Configuration) -> Finding:
    try:
        configuration.read_secrets()
    except EntrepotError as error:
        return Finding("configuration", "critical", str(error), error.hint)
    if configuration.warnings:
        return Finding("configuration", "warning", "; ".join(configuration.warnings), "see `entrepot check`")
    return Finding("configuration", "ok", f"{path} and every file that it names fit together")


def _folder(folder: Path) -> Iterator[Finding]:
    if not folder.exists():
        yield Finding("data folder", "ok", f"{folder} will be made at the first start")
        return
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        step = "run as root or as the agent's user, or correct the owner of the folder"
        yield Finding("data folder", "critical", f"this user may not write in {folder}", step)
        return
    open_to_others = [
        str(path)
        for path in (folder, *folder.iterdir())
        if stat.S_IMODE(path.lstat().st_mode) & stat.S_IRWXO and path.name != "identity"
    ]
    identity = folder / "identity"
    keys = [p for p in identity.glob("*.key") if stat.S_IMODE(p.stat().st_mode) & 0o077] if identity.is_dir() else []
    if keys:
        step = f"chmod 600 {' '.join(map(str, keys))}; consider the keys as known to others"
        yield Finding("data folder", "critical", "others may read the region's signing keys", step)
    elif folder in map(Path, open_to_others):
        yield Finding(
            "data folder", "warning", f"every user of this machine may open {folder}", f"chmod o-rwx {folder}"
        )
    else:
        yield Finding("data folder", "ok", f"{folder}, readable by its owner and group only")


def _disk(configuration: Configuration) -> Iterator[Finding]:
    folder = _existing(configuration.data_dir)
    usage = shutil.disk_usage(folder)
    budget = configuration.model.journal.disk_bytes_max
    gib = 1024**3
    found = f"{usage.free / gib:.1f} GiB of {usage.total / gib:.1f} GiB are free; the journal's budget is {budget / gib:.1f} GiB"
    if usage.free < usage.total * FREE_SHARE_SMALL:
        yield Finding("free disk", "critical", found, f"free space on the file system of {folder}")
    elif usage.free < budget - _used(configuration.data_dir):
        step = "the journal will fill the disk before its budget: lower [journal] disk_bytes_max, or add disk"
        yield Finding("free disk", "warning", found, step)
    else:
        yield Finding("free disk", "ok", found)
    if os.access(folder, os.W_OK):
        yield _flush(folder)


def _used(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("journal.db*")) if folder.is_dir() else 0


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder


def _flush(folder: Path) -> Finding:
    """Median time of write + fsync of 4 KiB."""
    path = folder / f".doctor-{os.getpid()}"
    times: list[float] = []
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        for number in range(FSYNC_TRIES):
            before = clock.monotonic()
            os.pwrite(handle, b"\0" * 4_096, number * 4_096)
            os.fsync(handle)
            times.append(clock.monotonic() - before)
    finally:
        os.close(handle)
        path.unlink()
    middle, worst = statistics.median(times), max(times)
    found = f"a flush takes {middle * 1_000:.2f} ms (slowest of {FSYNC_TRIES}: {worst * 1_000:.2f} ms)"
    if middle < FSYNC_SECONDS_FAST:
        step = "this disk or its controller seems to confirm before it writes: a power cut may lose accepted messages"
        return Finding("flush", "warning", found, step)
    if middle > FSYNC_SECONDS_SLOW:
        return Finding("flush", "warning", found, "senders wait for this; use a faster disk for data_dir")
    return Finding("flush", "ok", found)


def _sqlite() -> Finding:
    from runtime.journal.store import SQLITE_VERSION

    parts = [int(part) for part in SQLITE_VERSION.split(".")]
    version = (parts[0], parts[1], parts[2] if len(parts) > 2 else 0)
    if version >= WAL_RESET_FIXED:
        return Finding("SQLite", "ok", SQLITE_VERSION)
    note = "has the WAL-reset bug; it needs two connections, and the journal has exactly one, so it cannot strike here"
    return Finding("SQLite", "ok", f"{SQLITE_VERSION} {note}")


def _clock() -> Finding:
    now = clock.now_us()
    shown = clock.rfc3339(now)[:19]
    if now < YEAR_2026_US:
        return Finding(
            "clock", "critical", f"it says {shown} UTC, which cannot be", "set it, and switch time synchronisation on"
        )
    if _unsynchronised():
        step = "switch time synchronisation on (chrony, systemd-timesyncd): receipts and checkpoints carry this time"
        return Finding("clock", "warning", f"{shown} UTC, and nobody keeps it right", step)
    return Finding("clock", "ok", f"{shown} UTC, synchronised")


def _unsynchronised() -> bool:
    """What the kernel of the operating system says; False where it cannot be asked."""
    adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None)
    return adjtimex is not None and adjtimex(ctypes.create_string_buffer(TIMEX_BYTES)) == TIME_ERROR


def _agent(folder: Path) -> Finding:
    from runtime.admin.client import is_running
    from runtime.cli.ask import has_journal

    if is_running(folder):
        return Finding("agent", "ok", "running")
    if has_journal(folder):
        return Finding("agent", "warning", "not running; its journal is there", "`entrepot run`, or start its service")
    return Finding("agent", "ok", "has never run here")


def _streams(options: Namespace) -> Iterator[Finding]:
    from runtime.cli.topology import read_streams

    try:
        streams = read_streams(options, apply=False)
    except EntrepotError as error:
        yield Finding("hub", "critical", str(error), error.hint or "check the network, the firewall and [hub] servers")
        return
    yield Finding("hub", "ok", "reached")
    for row in streams:
        subject = f"stream {row['stream']}"
        if not row["exists"]:
            yield Finding(subject, "warning", "missing", "`entrepot topology apply` makes it")
        elif row["notes"]:
            yield Finding(subject, "warning", "; ".join(row["notes"]), "pass this on to whoever runs the hub")
        else:
            yield Finding(subject, "ok", f"{row['messages']:,} messages, as recommended")
