"""What some tests need of the machine beside Python: rights, and programs from Debian's packages.

A test says `@pytest.mark.needs("mounts", "faketime")`. Where something is missing it is left out and the last lines of
the run name it; with ENTREPOT_TESTS=complete, or when the test was asked for by its marker, that is a failure.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

COMPLETE = os.environ.get("ENTREPOT_TESTS") == "complete"
LIBFAKETIME = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
_CAP_SYS_ADMIN = 21
_EFFECTIVE = re.search(r"(?m)^CapEff:\s*([0-9a-f]+)$", Path("/proc/self/status").read_text())
_MAY_MOUNT = _EFFECTIVE is not None and bool(int(_EFFECTIVE[1], 16) >> _CAP_SYS_ADMIN & 1)


def _programs(package: str, *names: str) -> str:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    return "" if all(shutil.which(name, path=path) for name in names) else f"the package {package}"


def _mounts() -> str:
    if not _MAY_MOUNT:
        return "root, who may mount disks"
    return _programs("e2fsprogs", "mkfs.ext4") or _programs("mount", "losetup") or _programs("util-linux", "fsfreeze")


def _machines() -> str:
    if os.geteuid() != 0 or not _MAY_MOUNT:
        return "root, who may boot machines"
    return (
        _programs("mmdebstrap", "mmdebstrap")
        or _programs("systemd-container", "systemd-nspawn")
        or _programs("iproute2", "ip")
        or _builder()
    )


def _builder() -> str:
    return _programs("binutils", "strip", "objdump") or _programs("dpkg", "dpkg-deb") or _programs("openssl", "openssl")


_NEEDS: dict[str, Callable[[], str]] = {
    "builder": _builder,
    "curl": lambda: _programs("curl", "curl") or _programs("openssl", "openssl"),
    "faketime": lambda: "" if LIBFAKETIME else "the package faketime",
    "machines": _machines,
    "mounts": _mounts,
}
NAMES = tuple(_NEEDS)


def missing(names: Iterable[str]) -> list[str]:
    """What is not there, in words. Raises `KeyError` for a need that nobody knows."""
    return sorted({said for name in names if (said := _NEEDS[name]())})
