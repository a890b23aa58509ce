"""`python -m recipes [--only NAME …] [--dist FOLDER]`: build packages, print their sizes."""

from __future__ import annotations

import argparse
import hashlib
import os
import tempfile
from pathlib import Path

from recipes.environment import run
from recipes.package import package
from recipes.staging import stage
from recipes.targets import ROOT, TARGETS


def epoch() -> int:
    """Seconds since 1970 that every file gets: SOURCE_DATE_EPOCH, else the time of the last commit."""
    named = os.environ.get("SOURCE_DATE_EPOCH")
    return int(named or run("git", "log", "-1", "--format=%ct", cwd=ROOT))


def main() -> None:
    """Build what was asked for."""
    parser = argparse.ArgumentParser(prog="recipes", description=__doc__)
    parser.add_argument("--only", action="append", choices=[t.name for t in TARGETS], help="repeatable; default: all")
    parser.add_argument("--dist", type=Path, default=ROOT / "dist")
    asked = parser.parse_args()
    seconds = epoch()
    os.environ["SOURCE_DATE_EPOCH"] = str(seconds)
    asked.dist.mkdir(parents=True, exist_ok=True)
    for target in TARGETS:
        if not asked.only or target.name in asked.only:
            with tempfile.TemporaryDirectory(prefix="entrepot-") as folder:
                work = Path(folder)
                stage(target, work / "root", seconds)
                made = package(target, work / "root", work, asked.dist, seconds)
                installed = sum(f.lstat().st_size for f in (work / "root").rglob("*") if not f.is_dir())
                digest = hashlib.sha256(made.read_bytes()).hexdigest()
                print(f"{made.name}: {made.stat().st_size / 1e6:.1f} MB, installed {installed / 1e6:.1f} MB, {digest}")


if __name__ == "__main__":
    main()
