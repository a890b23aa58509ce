"""`python -m recipes [--only NAME …] [--dist FOLDER]`: build packages, print their sizes; all of them: the offline bundle too."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

from recipes import bundle
from recipes.environment import run
from recipes.package import package
from recipes.staging import BILL, stage
from recipes.targets import ROOT, TARGETS, Target


def epoch() -> int:
    """Seconds since 1970 that every file gets: SOURCE_DATE_EPOCH, else the time of the last commit."""
    named = os.environ.get("SOURCE_DATE_EPOCH")
    return int(named or run("git", "log", "-1", "--format=%ct", cwd=ROOT))


def build(target: Target, dist: Path, seconds: int) -> Path:
    """One package and its bill of materials beside it; the package's path."""
    with tempfile.TemporaryDirectory(prefix="entrepot-") as folder:
        work = Path(folder)
        stage(target, work / "root", seconds)
        made = package(target, work / "root", work, dist, seconds)
        shutil.copyfile(work / "root" / BILL, f"{made}{bundle.BILL_SUFFIX}")
        installed = sum(f.lstat().st_size for f in (work / "root").rglob("*") if not f.is_dir())
    print(f"{made.name}: {_megabytes(made.stat().st_size)}, installed {_megabytes(installed)}", flush=True)
    return made


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _missing_tools() -> str:
    """Debian packages with the tools that no lock can bring."""
    wanted = {"strip": "binutils", "objdump": "binutils", "dpkg-deb": "dpkg", "git": "git"}
    return " ".join(sorted({package for name, package in wanted.items() if shutil.which(name) is None}))


def main() -> None:
    """Build what was asked for."""
    parser = argparse.ArgumentParser(prog="recipes", description=__doc__)
    parser.add_argument("--only", action="append", choices=[t.name for t in TARGETS], help="repeatable; default: all")
    parser.add_argument("--dist", type=Path, default=ROOT / "dist", help="default: dist/")
    asked = parser.parse_args()
    if missing := _missing_tools():
        sys.exit(f"packages cannot be built here: install {missing}")
    seconds = epoch()
    os.environ["SOURCE_DATE_EPOCH"] = str(seconds)
    asked.dist.mkdir(parents=True, exist_ok=True)
    chosen = [target for target in TARGETS if not asked.only or target.name in asked.only]
    made = [build(target, asked.dist, seconds) for target in chosen]
    files = made + [Path(f"{package}{bundle.BILL_SUFFIX}") for package in made]
    if not asked.only:
        files.append(bundle.bundle(asked.dist, made, seconds))
        print(f"{files[-1].name}: {_megabytes(files[-1].stat().st_size)}")
    bundle.checksums(asked.dist, files)
    print(f"checksums: {asked.dist / bundle.SUMS}")


if __name__ == "__main__":
    main()
