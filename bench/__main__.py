"""`python -m bench [--quick] [--only NAME] [--peers] [--json] [--dir DIR] [--keep]`: one run, one table, JSON beside it."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import traceback
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from bench.agent import available
from bench.machine import describe
from bench.measures import ALL
from bench.results import Row, show, write
from bench.scale import Bench

OUT = Path(__file__).parent / "out"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="Measures Entrepot and its peers on this machine.")
    parser.add_argument("--quick", action="store_true", help="small sizes, all measures within three minutes")
    parser.add_argument("--only", action="append", choices=list(ALL), metavar="NAME", help=f"one of: {', '.join(ALL)}")
    parser.add_argument("--peers", action="store_true", help="measure the peers alone")
    parser.add_argument("--json", action="store_true", help="print the JSON instead of the table")
    parser.add_argument("--dir", type=Path, default=OUT, help="where to work: must lie on the disk to be measured")
    parser.add_argument("--keep", action="store_true", help="leave the working directory with its logs and journals")
    return parser.parse_args()


def _measure(bench: Bench, names: list[str], console: Console) -> tuple[list[Row], list[str]]:
    """One measure that breaks does not take the others with it, but it is in the exit code."""
    rows: list[Row] = []
    broken: list[str] = []
    for name in names:
        begin = datetime.now(UTC)
        try:
            rows += ALL[name](bench)
        except Exception:  # whatever broke: the others still count, and the reason is printed in full
            broken.append(name)
            console.print(f"{name} broke\n{traceback.format_exc()}", markup=False, highlight=False)
        console.print(f"[dim]{name}: {(datetime.now(UTC) - begin).total_seconds():.0f} s[/]")
    return rows, broken


def main() -> int:
    arguments = _arguments()
    console = Console(stderr=arguments.json, width=None if sys.stdout.isatty() else 160)
    with_agent = not arguments.peers
    if with_agent and not available():
        console.print("runtime.cli is missing: only the peers can be measured (--peers)")
        return 2
    arguments.dir.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="work-", dir=arguments.dir))
    started = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        machine = {"started": started, "quick": arguments.quick, **describe(work)}
        bench = Bench(work=work, quick=arguments.quick, with_agent=with_agent)
        rows, broken = _measure(bench, arguments.only or list(ALL), console)
    finally:
        if arguments.keep:
            console.print(f"kept: {work}")
        else:
            shutil.rmtree(work, ignore_errors=True)
    machine["broken"] = broken
    path = write(rows, machine, OUT, started)
    if arguments.json:
        print(json.dumps(json.loads(path.read_text())))
    else:
        show(rows, machine, console)
        console.print(f"written: {path}")
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
