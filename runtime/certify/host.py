"""What the trials stood on: the machine, its kernel, the file system of the data folder, and the versions of everything."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

from msgspec import Struct

from runtime.journal.store import SQLITE_VERSION

MOUNTS = Path("/proc/self/mountinfo")


class Host(Struct, frozen=True, kw_only=True):
    """No address, no user, no name but the host's."""

    name: str
    system: str
    machine: str
    processors: int
    file_system: str
    device: str
    mount_options: str
    sqlite: str
    python: str
    entrepot: str


def describe(folder: Path) -> Host:
    """Of the file system that this folder lies on."""
    kind, device, options = mount_of(folder.resolve(), MOUNTS.read_text("utf-8") if MOUNTS.exists() else "")
    return Host(
        name=platform.node(),
        system=f"{platform.system()} {platform.release()}",
        machine=platform.machine(),
        processors=os.cpu_count() or 0,
        file_system=kind,
        device=device,
        mount_options=options,
        sqlite=SQLITE_VERSION,
        python=platform.python_version(),
        entrepot=version("entrepot"),
    )


def mount_of(folder: Path, mountinfo: str) -> tuple[str, str, str]:
    """(file system, device, options) of the longest mount point that leads to the folder. Pure; proc(5)."""
    best, found = -1, ("unknown", "unknown", "")
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        first, last = before.split(), after.split()
        if len(first) < 6 or len(last) < 3:
            continue
        point = Path(first[4].replace("\\040", " "))
        if folder.is_relative_to(point) and len(point.parts) >= best:
            best, found = len(point.parts), (last[0], last[1], f"{first[5]},{last[2]}")
    return found
