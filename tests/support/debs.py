"""The package under test, built by the project's own recipes: as it is, as the next release, and as one with a newer schema.

Kept below build/, by the content of what went in.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

from runtime.journal import migrate
from tests.support.machine import TREE

KEPT = TREE / "build" / "debs"
TARGETS = {"bookworm": "deb12", "trixie": "deb13"}
SOURCES = (
    "runtime", "adapters", "sync", "packaging", "systemd", "requirements", "docs", "examples",
    "pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE",
)  # fmt: skip
NEXT, LATER = "98.0.0", "99.0.0"
"""`NEXT` differs in its version and in its untouched configuration file; `LATER` has one more step of the schema too."""
BUILD_SECONDS_MAX = 300
_NO_SOURCE = shutil.ignore_patterns("__pycache__", "state", "drops")


def package(suite: str, version: str = "") -> Path:
    """The .deb of a release for a Debian suite, built when its sources have changed."""
    folder = KEPT / f"{TARGETS[suite]}-{version or 'now'}-{_digest()}"
    KEPT.mkdir(parents=True, exist_ok=True)
    with (KEPT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # test processes run in parallel
        if not folder.exists():
            _build(TARGETS[suite], version, folder)
    (made,) = folder.glob("*.deb")
    return made


def _build(target: str, version: str, folder: Path) -> None:
    tree, made = folder.with_suffix(".tree"), folder.with_suffix(".part")
    for begun in (tree, made, *KEPT.glob(f"{target}-{version or 'now'}-*")):
        shutil.rmtree(begun, ignore_errors=True)
    tree.mkdir()
    for name in SOURCES:
        if (TREE / name).is_dir():
            shutil.copytree(TREE / name, tree / name, ignore=_NO_SOURCE)
        else:
            shutil.copy(TREE / name, tree / name)
    if version:
        _release(tree, version)
    done = subprocess.run(
        [sys.executable, "-m", "recipes", "--only", target, "--dist", str(made)],
        cwd=tree,
        env=os.environ | {"PYTHONPATH": "packaging", "SOURCE_DATE_EPOCH": "1767225600"},
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS_MAX,
        check=False,
    )
    shutil.rmtree(tree)
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-2000:]
    made.rename(folder)


def _release(tree: Path, version: str) -> None:
    project = tree / "pyproject.toml"
    project.write_text(re.sub(r'(?m)^version = ".*"$', f'version = "{version}"', project.read_text(), count=1))
    with (tree / "packaging" / "etc" / "entrepot.toml").open("a") as untouched:
        untouched.write(f"# Written for {version}.\n")
    if version == LATER:
        number = migrate.steps()[-1][0] + 1
        step = tree / "runtime" / "journal" / "migrations" / f"{number:04}-later.sql"
        step.write_text("CREATE TABLE later (x INTEGER) STRICT;\n")


def _digest() -> str:
    content = sha256(Path(__file__).read_bytes())
    for name in SOURCES:
        place = TREE / name
        files = [place] if place.is_file() else sorted(f for f in place.rglob("*") if f.is_file())
        for file in files:
            if not {"__pycache__", "state", "drops"} & set(file.parts[len(TREE.parts) :]):
                content.update(f"{file.relative_to(TREE)}\n".encode() + file.read_bytes())
    return content.hexdigest()[:12]
