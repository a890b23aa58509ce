"""What is built: one row a package. The table is the whole difference between the packages."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGING = ROOT / "packaging"
VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
LIBRARY = "/usr/lib/entrepot"
"""Each release has a folder of its own here, so that no process ever sees half of two versions."""


@dataclass(frozen=True, slots=True)
class Target:
    """One package. `minor` is the only CPython minor version that its compiled libraries fit."""

    name: str
    format: str
    revision: str
    minor: int
    depends: tuple[str, ...]
    recommends: tuple[str, ...]
    private_python: bool = False
    """True: CPython and every library down to the C library come with the package."""

    @property
    def python(self) -> str:
        """The name of the interpreter: `python3.13`."""
        return f"python3.{self.minor}"

    @property
    def release(self) -> str:
        """The name of the release's folder: version, ABI, and whose interpreter."""
        return f"{VERSION}-cp3{self.minor}" + ("-private" if self.private_python else "")

    @property
    def home(self) -> str:
        """Where the release lies on the host."""
        return f"{LIBRARY}/{self.release}"


SYSTEMD_DEB = "systemd (>= 247) | systemd-standalone-sysusers"
SYSTEMD_RPM = "systemd >= 247"
NATIVE_DEB = ("libc6 (>= 2.28)", "libgcc-s1", "libstdc++6")
NATIVE_RPM = ("libc.so.6(GLIBC_2.28)(64bit)", "libgcc_s.so.1()(64bit)", "libstdc++.so.6()(64bit)")
"""What the compiled libraries of the lock are linked with; the self-contained packages bring their own."""
CERTIFICATES = ("ca-certificates",)
PRIVATE_MINOR = 13

TARGETS = (
    Target(
        "deb12",
        "deb",
        "1+deb12",
        11,
        ("python3 (>= 3.11)", "python3 (<< 3.12)", *NATIVE_DEB, SYSTEMD_DEB),
        CERTIFICATES,
    ),
    Target(
        "deb13",
        "deb",
        "1+deb13",
        13,
        ("python3 (>= 3.13)", "python3 (<< 3.14)", *NATIVE_DEB, SYSTEMD_DEB),
        CERTIFICATES,
    ),
    Target("rpm", "rpm", "1.py312", 12, ("/usr/bin/python3.12", *NATIVE_RPM, SYSTEMD_RPM), CERTIFICATES),
    Target("deb-bundled", "deb", "1+bundled", PRIVATE_MINOR, (SYSTEMD_DEB,), CERTIFICATES, private_python=True),
    Target("rpm-bundled", "rpm", "1.bundled", PRIVATE_MINOR, (SYSTEMD_RPM,), CERTIFICATES, private_python=True),
)
