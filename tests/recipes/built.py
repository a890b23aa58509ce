"""A package built from a copy of this tree, once for all test processes, and what dpkg-deb reads from it."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

from recipes.targets import ROOT

SOURCES = (
    "runtime", "adapters", "sync", "packaging", "systemd", "requirements", "docs", "examples",
    "pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", ".gitignore", "build/interpreter",
)  # fmt: skip
EPOCH = 1767225600
BUILD_SECONDS_MAX = 600
_NO_SOURCE = shutil.ignore_patterns("__pycache__", "state", "drops")


def copy_tree(to: Path) -> None:
    """What a fresh checkout has, and the interpreter if an earlier build has fetched it."""
    to.mkdir(parents=True)
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, to / name, ignore=_NO_SOURCE)
        elif (ROOT / name).exists():
            shutil.copy(ROOT / name, to / name)


def build(tree: Path, target: str, dist: Path, **environment: str) -> Path:
    """Build one package of the tree; its path."""
    done = subprocess.run(
        [sys.executable, "-m", "recipes", "--only", target, "--dist", str(dist)],
        cwd=tree,
        env=os.environ | {"PYTHONPATH": "packaging", "SOURCE_DATE_EPOCH": str(EPOCH)} | environment,
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = [f for f in dist.iterdir() if f.suffix in {".deb", ".rpm"}]
    return made


def built_once(shared: Path, target: str) -> Path:
    """The package of this tree; the first test process that asks builds it."""
    dist = shared / target
    with (shared / f"{target}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not dist.exists():
            tree = shared / f"{target}-tree"
            copy_tree(tree)
            build(tree, target, shared / f"{target}-part")
            (shared / f"{target}-part").rename(dist)
    (made,) = dist.glob("*.deb")
    return made


def digest(file: Path) -> str:
    return sha256(file.read_bytes()).hexdigest()


def output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
