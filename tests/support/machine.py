"""Whole Debian machines: a root built once from this machine's own package sources, booted with its own systemd.

Each boot is a throw-away layer over the root, in namespaces of its own. Needs `machines`, see tests/support/needs.py.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Self

TREE = Path(__file__).resolve().parents[2]
ROOTS = TREE / "build" / "roots"
SUITES = ("bookworm", "trixie")
INSTALLED = ("systemd-sysv", "dbus", "ca-certificates", "iproute2", "python3")
"""What a small server has before our package comes."""
BUILD_SECONDS_MAX = 300
BOOT_SECONDS_MAX = 30.0
COMMAND_SECONDS_MAX = 90.0
_SOURCES = (Path("/etc/apt/sources.list"), Path("/etc/apt/sources.list.d"))
_ENVIRONMENT = ("/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "NO_COLOR=1")
_NSPAWN = (
    "systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit", "--notify-ready=yes", "--console=pipe",
    "--link-journal=no", "--resolv-conf=off", "--private-network", "--system-call-filter=bpf @keyring",
)  # fmt: skip
_OURS = "entrepot-machine-"
_PROPAGATED = Path("/run/systemd/nspawn/propagate")
"""Where nspawn leaves an empty folder of a machine that was killed."""
_START = """
echo $$ > "$1/cgroup.procs"
mount -t overlay overlay -o "lowerdir=$2,upperdir=$3/upper,workdir=$3/work" "$3/root"
shift 3
exec "$@"
"""
"""In a mount namespace of its own, so that the layer goes when the machine goes, whatever ends it."""


# ---------------------------------------------------------------- roots


def root(suite: str) -> Path:
    """The root of a Debian suite, built if it is not there. Never changed once built: a boot adds a layer."""
    wanted = f"{suite}\n{' '.join(INSTALLED)}\n{_mirror()}"
    folder = ROOTS / f"{suite}-{sha256(wanted.encode()).hexdigest()[:12]}"
    ROOTS.mkdir(parents=True, exist_ok=True)
    with (ROOTS / f"{suite}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # test processes run in parallel
        if not folder.exists():
            _build(suite, folder)
    return folder


def _build(suite: str, folder: Path) -> None:
    begun = folder.with_suffix(".part")
    shutil.rmtree(begun, ignore_errors=True)
    included = f"--include={','.join(INSTALLED)}"
    command = [
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        "--format=directory",
        included,
        suite,
        str(begun),
        _mirror(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_SECONDS_MAX, check=False)
    if done.returncode:
        shutil.rmtree(begun, ignore_errors=True)
        raise RuntimeError(f"the root of {suite} could not be built: {done.stderr[-800:]}")
    shutil.rmtree(begun / "var/cache/apt/archives", ignore_errors=True)
    begun.rename(folder)


def _mirror() -> str:
    """Where this machine gets Debian from: the first address of its own apt sources that serves a Debian suite."""
    for text in _source_texts():
        for line in re.findall(r"^(?:URIs:|deb\s+(?:\[[^\]]*\]\s+)?)\s*(\S+/debian/?)(?:\s|$)", text, re.MULTILINE):
            return str(line)
    raise RuntimeError("this machine's apt sources name no mirror of Debian")


def _source_texts() -> Iterator[str]:
    for place in _SOURCES:
        files = sorted(place.iterdir()) if place.is_dir() else [place]
        yield from (file.read_text() for file in files if file.suffix in {".list", ".sources"} and file.is_file())


# ---------------------------------------------------------------- one machine


class Machine:
    """A booted Debian. Everything that runs in it ends with it."""

    def __init__(self, suite: str, name: str, *, layer: Path | None = None) -> None:
        """`layer` is what a machine before left with `keep`."""
        self.suite = suite
        self._layer = layer
        self._kept: Path | None = None
        self.name = name
        self.leader = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._known_as = f"{_OURS}{os.getpid()}-{name}-{secrets.token_hex(3)}"
        """Unique on this host, also among parallel tests; begins with the process that looks after it."""
        self._folder = Path(tempfile.gettempdir(), self._known_as)
        self._folder.mkdir(mode=0o700)
        self._cgroup = _cgroups() / self._known_as

    def __enter__(self) -> Self:
        _sweep()
        with contextlib.ExitStack() as undo:
            undo.callback(self._remove)
            self._boot()
            undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._remove()

    def _boot(self) -> None:
        """Returns once its systemd says that it is ready."""
        self._cgroup.mkdir()
        for part in ("upper", "work", "root"):
            (self._folder / part).mkdir()
        lower = [*([self._layer] if self._layer else []), root(self.suite)]
        door = self._folder / "notify"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told, (self._folder / "console").open("wb") as console:
            told.bind(str(door))
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig=KILL", "unshare", "--mount", "sh", "-euc", _START, "sh"]
                + [str(self._cgroup), ":".join(map(str, lower)), str(self._folder)]
                + [*_NSPAWN, f"--directory={self._folder / 'root'}", f"--machine={self._known_as}"],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                env=os.environ | {"NOTIFY_SOCKET": str(door), "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
            )
            for line in self._heard(told):
                if line.startswith("X_NSPAWN_LEADER_PID="):
                    self.leader = int(line.partition("=")[2])
                if line == "READY=1":
                    return

    def _heard(self, told: socket.socket) -> Iterator[str]:
        """What the machine's systemd says, line by line, while it boots."""
        end = time.monotonic() + BOOT_SECONDS_MAX
        told.settimeout(0.5)
        while time.monotonic() < end and self._process is not None and self._process.poll() is None:
            with contextlib.suppress(TimeoutError):
                yield from told.recv(4_096).decode().splitlines()
        raise AssertionError(f"{self.name} did not boot: {self.console[-2_000:]}")

    @property
    def root(self) -> Path:
        """The machine's file system, seen from here."""
        return Path(f"/proc/{self.leader}/root")

    @property
    def console(self) -> str:
        """What the machine printed."""
        return (self._folder / "console").read_text(errors="replace")

    def _remove(self) -> None:
        """End it as a power cut would, and take everything of it away."""
        if self.leader:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.leader, signal.SIGKILL)
        if self._process is not None:
            if not self.leader:
                self._process.kill()
            self._process.wait(20)
        if self._kept is not None:
            shutil.move(self._folder / "upper", self._kept)
        shutil.rmtree(self._folder)
        shutil.rmtree(_PROPAGATED / self._known_as, ignore_errors=True)
        _remove_cgroup(self._cgroup)

    def keep(self, folder: Path) -> None:
        """At its end, leave what was changed on its disk in this folder, which must not exist."""
        self.must("sync")
        self._kept = folder

    # ------------------------------------------------------------ commands

    def command(self, *words: str, network_only: bool = False) -> list[str]:
        """The words that run a command inside; with `network_only` a program of this side uses the machine's network."""
        inside = ["nsenter", f"--target={self.leader}", "--net"]
        if network_only:
            return [*inside, "--", *words]
        return [*inside, "--mount", "--uts", "--ipc", "--pid", "--cgroup", "--", *_ENVIRONMENT, *words]

    def run(self, *words: str, stdin: str | None = None, seconds_max: float = COMMAND_SECONDS_MAX) -> tuple[int, str]:
        """Exit code and everything that was printed."""
        done = subprocess.run(
            self.command(*words),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds_max,
            check=False,
        )
        return done.returncode, done.stdout

    def must(self, *words: str, stdin: str | None = None) -> str:
        """What a command printed; fails when it fails."""
        code, said = self.run(*words, stdin=stdin)
        assert code == 0, f"{shlex.join(words)} on {self.name}: exit code {code}\n{said[-3_000:]}"
        return said.strip()

    def property(self, unit: str, name: str) -> str:
        """A property of a unit, as `systemctl show` has it."""
        return self.must("systemctl", "show", "--value", f"--property={name}", unit)

    def write(self, path: str, text: str, *, mode: int = 0o644) -> None:
        """A file in the machine, owned by root."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def log(self, unit: str, *more: str) -> str:
        """The journal of a unit."""
        return self.must("journalctl", "--no-pager", "--output=cat", f"--unit={unit}", *more)


def _sweep() -> None:
    """End machines whose test process was killed before it could."""
    for cgroup in _cgroups().glob(f"{_OURS}*"):
        if not Path("/proc", cgroup.name.removeprefix(_OURS).partition("-")[0]).exists():
            with contextlib.suppress(OSError):  # another process sweeps too
                (cgroup / "cgroup.kill").write_text("1")
                shutil.rmtree(Path(tempfile.gettempdir(), cgroup.name), ignore_errors=True)
                _remove_cgroup(cgroup)


def _remove_cgroup(cgroup: Path) -> None:
    """It is busy for a moment after its last process was killed."""
    end = time.monotonic() + BOOT_SECONDS_MAX
    while "populated 1" in (cgroup / "cgroup.events").read_text() and time.monotonic() < end:
        time.sleep(0.02)
    for folder, _, _ in os.walk(cgroup, topdown=False):
        os.rmdir(folder)


def _cgroups() -> Path:
    """Where this host's unified control groups are."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(place)
    raise RuntimeError("this host has no unified control groups (cgroup2)")


def join(one: Machine, other: Machine, addresses: tuple[str, str]) -> None:
    """A cable between two machines, called `cable` on both sides, with an address each (`10.9.0.1/30`)."""
    number = f"{one.leader}"
    subprocess.run(
        ["ip", "link", "add", f"a{number}", "netns", str(one.leader), "type", "veth"]
        + ["peer", "name", "cable", "netns", str(other.leader)],
        check=True,
    )
    one.must("ip", "link", "set", f"a{number}", "name", "cable")
    for machine, address in zip((one, other), addresses, strict=True):
        machine.must("ip", "address", "add", address, "dev", "cable")
        machine.must("ip", "link", "set", "cable", "up")
