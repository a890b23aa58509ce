"""What the figures were taken on, and what a process uses: read from /proc, no package needed."""

from __future__ import annotations

import os
import platform
import sqlite3
import statistics
import subprocess
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench.processes import nats_server_binary

PACKAGES = ("aiohttp", "aiosqlite", "anyio", "msgspec", "nats-py", "orjson", "uvloop")


def _package(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def _filesystem(directory: Path) -> str:
    best, kind = "", "unknown"
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount, this, *_ = line.split()
        if str(directory.resolve()).startswith(mount) and len(mount) >= len(best):
            best, kind = mount, this
    return kind


def fsync_ms(directory: Path, tries: int = 100) -> float:
    """Median of a 4 KiB append and fsync: what durability costs here before any code of ours."""
    samples = []
    with open(directory / "fsync-probe", "wb", buffering=0) as file:
        for _ in range(tries):
            file.write(bytes(4096))
            start = time.perf_counter()
            os.fsync(file.fileno())
            samples.append(time.perf_counter() - start)
    os.unlink(directory / "fsync-probe")
    return round(statistics.median(samples) * 1000, 3)


def describe(directory: Path) -> dict[str, Any]:
    """Machine, disk and versions; goes into the JSON and under the table."""
    nats = subprocess.run([nats_server_binary(), "--version"], capture_output=True, text=True, check=True)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "processor": _processor(),
        "memory_gb": round(memory / 2**30, 1),
        "kernel": platform.release(),
        "filesystem": _filesystem(directory),
        "fsync_ms": fsync_ms(directory),
        "load_1min": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "nats_server": nats.stdout.split()[-1].removeprefix("v"),
        **{name.replace("-", "_"): _package(name) for name in PACKAGES},
    }


def rss_mb(pid: int) -> float:
    """Resident memory of one process, in MB (10^6 bytes)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError(f"process {pid} has no resident memory: it has ended")


def cpu_seconds(pid: int) -> float:
    """User and system time of one process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_until_calm(pid: int, *, share_max: float = 0.1, over_seconds: float = 1.0, seconds_max: float = 300.0) -> bool:
    """Until a process has used less than `share_max` of one CPU for a while; False when it never did."""
    deadline = time.monotonic() + seconds_max
    before = cpu_seconds(pid)
    while time.monotonic() < deadline:
        time.sleep(over_seconds)
        now = cpu_seconds(pid)
        if now - before <= share_max * over_seconds:
            return True
        before = now
    return False


def tree_bytes(directory: Path) -> int:
    """Bytes of all files below a directory, as written (not as allocated)."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
