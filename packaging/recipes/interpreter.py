"""The private CPython of the self-contained packages: Debian's own, with every library that it needs, down to the C library.

`python -m recipes.interpreter` writes interpreter.lock anew from what Debian publishes now.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from recipes.environment import run, shared_objects, tool
from recipes.targets import PACKAGING, PRIVATE_MINOR, ROOT, Target

SUITES = {"Debian": ("trixie", "trixie-updates"), "Debian-Security": ("trixie-security",)}
PYTHON = f"python3.{PRIVATE_MINOR}"
WANTED = (
    f"{PYTHON}-minimal", f"lib{PYTHON}-minimal", f"lib{PYTHON}-stdlib", "libc6", "libgcc-s1", "libstdc++6", "libexpat1", "libffi8", "libsqlite3-0",
    "libssl3t64", "libbz2-1.0", "liblzma5", "libuuid1", "libzstd1", "zlib1g",
)  # fmt: skip
LOCK = PACKAGING / "interpreter.lock"
CACHE = ROOT / "build" / "interpreter"
LOADER = "ld-linux-x86-64.so.2"
LEFT_OUT = (
    "idlelib",
    "tkinter",
    "turtledemo",
    "lib2to3",
    "ensurepip",
    "pydoc_data",
    "test",
    "__phello__",
    "config-*",
    "sitecustomize.py",
)
"""Of the standard library: windows, games, installers and tests."""
MODULES_LEFT_OUT = ("_test*", "_xx*", "_ctypes_test*", "xx*", "readline*", "_curses*", "_dbm*", "_gdbm*", "_tkinter*")
ALWAYS = ("libgcc_s.so.1", "libresolv.so.2")
"""Loaded by name while running, so no file says that it needs them."""
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
NEEDED = re.compile(r"^  NEEDED +(\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Locked:
    """One Debian package: exactly these bytes."""

    name: str
    version: str
    sha256: str


def locked() -> list[Locked]:
    """What interpreter.lock asks for."""
    lines = (line for line in LOCK.read_text().splitlines() if line and not line.startswith("#"))
    return [Locked(*line.split()) for line in lines]


def build(target: Target, folder: Path) -> None:
    """Lay the interpreter of `target` out in `folder`, complete and without tests. Raises `SystemExit` on a missing library."""
    with tempfile.TemporaryDirectory(prefix="entrepot-python-") as temporary:
        unpacked = Path(temporary)
        for package in fetched():
            run("dpkg-deb", "--extract", str(package), str(unpacked))
        _lay_out(unpacked, folder)
        _take_libraries(unpacked, folder)
    _bind(folder / "bin" / PYTHON, f"{target.home}/python/lib")


def fetched() -> list[Path]:
    """The locked packages, as files; fetched with apt, from the sources of this machine, unless an earlier build did."""
    wanted = locked()
    files = [CACHE / f"{package.sha256}.deb" for package in wanted]
    missing = [package for package, file in zip(wanted, files, strict=True) if not file.exists()]
    if missing:
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="entrepot-apt-") as folder:
            apt = _Archive(Path(folder))
            for package in missing:
                file = apt.download(f"{package.name}={package.version}")
                if digest(file) != package.sha256:
                    raise SystemExit(f"{file.name} is not the file that {LOCK.name} names: nothing was built from it")
                shutil.move(file, CACHE / f"{package.sha256}.deb")
    return files


def digest(file: Path) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


class _Archive:
    """Debian's archive of the release that the interpreter comes from, beside whatever this machine runs itself."""

    def __init__(self, folder: Path) -> None:
        for part in ("state/lists/partial", "cache/archives/partial", "etc/preferences.d", "files"):
            (folder / part).mkdir(parents=True)
        self._files = folder / "files"
        (folder / "sources.list").write_text("".join(_sources()))
        (folder / "status").touch()
        places = {
            "Dir::State": "state", "Dir::State::status": "status", "Dir::Cache": "cache", "Dir::Etc::sourcelist": "sources.list",
            "Dir::Etc::sourceparts": "none", "Dir::Etc::preferencesparts": "etc/preferences.d",
        }  # fmt: skip
        options = [f"{key}={folder / place}" for key, place in places.items()]
        options += ["APT::Architecture=amd64", "APT::Architectures=amd64", "Acquire::Languages=none"]
        if os.geteuid() == 0:
            options.append("APT::Sandbox::User=root")
        self._apt = ["apt-get", "-q", *(word for option in options for word in ("-o", option))]
        run(*self._apt, "update")

    def download(self, what: str) -> Path:
        before = set(self._files.iterdir())
        try:
            run(*self._apt, "download", what, cwd=self._files)
        except SystemExit as failed:
            raise SystemExit(
                f"{failed}\nDebian has a newer version of {what}: review it, then run `make lock-python`"
            ) from None
        return (set(self._files.iterdir()) - before).pop()


def _sources() -> Iterator[str]:
    """The same mirrors that this machine's own sources name, for the release that the lock names."""
    known = run("apt-get", "indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages").splitlines()
    mirrors = {tuple(line.split()) for line in known if line.startswith(("Debian ", "Debian-Security "))}
    if not mirrors:
        raise SystemExit("the sources of this machine name no Debian archive; the private interpreter needs one")
    for label, mirror in sorted(mirrors):
        yield from (f"deb [signed-by={KEYRING}] {mirror} {suite} main\n" for suite in SUITES[label])


def _lay_out(unpacked: Path, folder: Path) -> None:
    (folder / "bin").mkdir(parents=True)
    shutil.copyfile(unpacked / "usr/bin" / PYTHON, folder / "bin" / PYTHON)
    (folder / "bin" / PYTHON).chmod(0o755)
    library = folder / "lib" / PYTHON
    shutil.copytree(unpacked / "usr/lib" / PYTHON, library, ignore=shutil.ignore_patterns("__pycache__", *LEFT_OUT))
    for pattern in MODULES_LEFT_OUT:
        for module in (library / "lib-dynload").glob(pattern):
            module.unlink()
    for link in [f for f in library.rglob("*") if f.is_symlink() and not f.exists()]:
        link.unlink()
    shutil.copyfile(PACKAGING / "sitecustomize.py", library / "sitecustomize.py")
    for text in sorted((unpacked / "usr/share/doc").glob("*/copyright")):
        (folder / "licences").mkdir(exist_ok=True)
        shutil.copyfile(text, folder / "licences" / text.parent.name)


def _take_libraries(unpacked: Path, folder: Path) -> None:
    """Every library that something in the release needs, found in the packages; nothing of the host is used."""
    here = {file.name: file for file in unpacked.rglob("*.so*") if file.is_file()}
    missing = set(ALWAYS) | {LOADER} | {name for file in shared_objects(folder.parent) for name in _needed(file)}
    taken: set[str] = set()
    while missing:
        name = missing.pop()
        if name not in here:
            raise SystemExit(f"the private interpreter needs {name}, and no package in {LOCK.name} has it")
        copied = folder / "lib" / name
        shutil.copyfile(here[name], copied)
        copied.chmod(0o755)
        taken.add(name)
        missing |= set(_needed(copied)) - taken


def _needed(file: Path) -> list[str]:
    return NEEDED.findall(run("objdump", "-p", str(file)))


def _bind(binary: Path, libraries: str) -> None:
    """Make the interpreter use the libraries of its release and no other. Absolute: `$ORIGIN` needs a mounted /proc."""
    loader = ("--set-interpreter", f"{libraries}/{LOADER}")
    run(tool("patchelf"), *loader, "--force-rpath", "--set-rpath", libraries, str(binary))


def main() -> None:
    """Write the lock anew."""
    suite = SUITES["Debian"][0]
    lines = [f"# {PYTHON} for the self-contained packages, from {suite}: name, version, SHA-256. `make lock-python`\n"]
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="entrepot-apt-") as folder:
        archive = _Archive(Path(folder))
        for name in WANTED:
            file = archive.download(name)
            version = run("dpkg-deb", "--field", str(file), "Version").strip()
            lines.append(f"{name} {version} {digest(file)}\n")
            shutil.move(file, CACHE / f"{digest(file)}.deb")
    LOCK.write_text("".join(lines))


if __name__ == "__main__":
    main()
