"""The Python part of a release: the locked libraries and the project, laid out as a virtual environment, cleaned and stripped."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from recipes.targets import PACKAGING, ROOT, Target

PLATFORM = "x86_64-manylinux_2_28"
"""The oldest system that every compiled library of the lock runs on: glibc 2.28."""
BUILT_HERE = "nkeys"
"""Published as source only; pure Python, built with the locked setuptools."""
INSTALLERS_NOTES = {"INSTALLER", "RECORD", "REQUESTED", "direct_url.json", "uv_build.json", "uv_cache.json", "zip-safe"}
"""What tells of the installation, not of the library. The package manager keeps the list of files instead."""
FOR_COMPILERS = {".pyi", ".pyx", ".pxd", ".pxi", ".c", ".h", ".a"}
"""Suffixes that no running program reads."""


def build(target: Target, release: Path) -> None:
    """Fill the folder `release` for `target`. Needs no interpreter of the target."""
    packages = site_packages(target, release)
    packages.mkdir(parents=True)
    _install(target, packages, "--require-hashes", "-r", str(ROOT / "requirements" / "agent.txt"))
    with tempfile.TemporaryDirectory(prefix="entrepot-wheel-") as folder:
        _install(target, packages, "--no-deps", str(_wheel(Path(folder))))
    _clean(packages)
    strip(packages)
    _make_relocatable(target, release)


def site_packages(target: Target, release: Path) -> Path:
    """Where the libraries of a release lie."""
    return release / "lib" / target.python / "site-packages"


def shared_objects(folder: Path) -> Iterator[Path]:
    """Every ELF file in the folder, in a fixed order."""
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not file.is_symlink():
            with file.open("rb") as opened:
                if opened.read(4) == b"\x7fELF":
                    yield file


def strip(folder: Path) -> None:
    """Take symbols for debuggers out of every shared object."""
    for file in shared_objects(folder):
        file.chmod(0o755)
        run("strip", "--strip-unneeded", str(file))


def run(*command: str, cwd: Path | None = None) -> str:
    """Run a tool; its output. What it says goes to the screen if it fails."""
    done = subprocess.run(command, cwd=cwd, check=False, capture_output=True, text=True, env=_environ())
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed ({done.returncode}):\n{done.stdout}{done.stderr}")
    return done.stdout


def tool(name: str) -> str:
    """A tool from the locked development environment."""
    return str(Path(sys.executable).parent / name)


def _environ() -> dict[str, str]:
    return os.environ | {"LC_ALL": "C.UTF-8", "TZ": "UTC", "PYTHONHASHSEED": "0"}


def _install(target: Target, folder: Path, *what: str) -> None:
    which = ("--python", sys.executable, "--python-version", f"3.{target.minor}", "--python-platform", PLATFORM)
    wheels = ("--only-binary", ":all:", "--no-binary", BUILT_HERE, "--no-build-isolation")
    run(tool("uv"), "pip", "install", "--quiet", "--link-mode", "copy", "--target", str(folder), *which, *wheels, *what)


def _wheel(out: Path) -> Path:
    """The project itself."""
    run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(out), cwd=ROOT)
    (wheel,) = out.glob("*.whl")
    return wheel


def _clean(packages: Path) -> None:
    shutil.rmtree(packages / "bin", ignore_errors=True)
    (packages / ".lock").unlink(missing_ok=True)
    for file in sorted(packages.rglob("*")):
        if file.name == "__pycache__":
            shutil.rmtree(file)
        elif file.suffix in FOR_COMPILERS or (file.parent.suffix == ".dist-info" and file.name in INSTALLERS_NOTES):
            file.unlink(missing_ok=True)


def _make_relocatable(target: Target, release: Path) -> None:
    """What makes the folder an environment: a link to the interpreter, the note beside it, and the command."""
    binaries = release / "bin"
    binaries.mkdir()
    home = f"{target.home}/python/bin" if target.private_python else "/usr/bin"
    link = f"../python/bin/{target.python}" if target.private_python else f"/usr/bin/{target.python}"
    (binaries / "python").symlink_to(link)
    (release / "pyvenv.cfg").write_text(
        f"home = {home}\ninclude-system-site-packages = false\nversion = 3.{target.minor}\n"
    )
    command = binaries / "entrepot"
    command.write_text((PACKAGING / "entrepot").read_text().replace("@HOME@", target.home))
    command.chmod(0o755)
