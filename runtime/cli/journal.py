"""`entrepot journal`: prove it, measure it, save it, mend it, and export what left the region and what stayed."""

from __future__ import annotations

import csv
import json
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from runtime.errors import ConfigError

COLUMNS = ("lane", "seq", "epoch", "origin", "type", "result", "policy", "path", "data_class", "action", "rule")
PAGE_ROWS = 5_000


def arguments(parser: ArgumentParser) -> None:
    """verify, stats, export, backup, restore, repair."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("verify", help="chain, contiguity and books of the journal itself")
    actions.add_parser("stats", help="rows, bytes and incidents")
    export = actions.add_parser("export", help="what left, what stayed, by which rule")
    export.add_argument("--dispositions", action="store_true", required=True, help="one row a field of each event")
    export.add_argument("--format", choices=("csv", "json"), default="csv")
    export.add_argument("--out", metavar="FILE", help="default: standard output")
    export.add_argument("--lane", action="append", metavar="LANE", help="only this lane; may be repeated")
    backup = actions.add_parser("backup", help="copy it, while the agent runs or not")
    backup.add_argument(
        "path", metavar="PATH", help="a folder to put it in, or the name of a new one; never overwritten"
    )
    backup.add_argument(
        "--with-keys", action="store_true", help="put the region's private keys in it too: then keep it secret"
    )
    repair = actions.add_parser("repair", help="save what is provable of a damaged journal; the agent must be stopped")
    repair.add_argument(
        "--yes", action="store_true", help="put the new journal in place; without it: only say what it would hold"
    )
    restore = actions.add_parser("restore", help="go back to a backup; the agent must be stopped")
    restore.add_argument("path", metavar="PATH", help="the folder that `backup` has made")


def run(options: Namespace) -> int:
    """See the module. `verify`: exit code 2 for a problem."""
    if options.action in {"backup", "restore"}:
        from runtime.cli import backups

        return backups.backup(options) if options.action == "backup" else backups.restore(options)
    if options.action == "repair":
        from runtime.cli import repair

        return repair.run(options)
    from runtime.cli.ask import asking

    with asking(options) as ask:
        if options.action == "verify":
            return _verify(options, ask("journal.verify"))
        if options.action == "stats":
            return _stats(options, ask("journal.stats"))
        return _export(options, ask)


def _verify(options: Namespace, answer: dict[str, Any]) -> int:
    from runtime.cli import screen

    if options.json:
        screen.show_json(answer)
    elif answer["ok"]:
        screen.say("the journal is intact: contiguous, unchanged, and the books balance", "ok")
    else:
        for problem in answer["problems"]:
            screen.say(problem, "critical")
        print("  next: stop the agent, keep a copy of the data folder, and report this")
    return 0 if answer["ok"] else 2


def _stats(options: Namespace, answer: dict[str, Any]) -> int:
    from runtime import clock
    from runtime.cli import screen

    if options.json:
        screen.show_json(answer)
        return 0
    rows = [
        ("used", screen.size(answer["used_bytes"])),
        ("free inside the file", screen.size(answer["reusable_bytes"])),
        ("SQLite", answer["sqlite"]),
        ("messages taken in", f"{answer['facts']:,}"),
        ("translated", f"{answer['translated']:,}"),
        *((name.replace("_", "-"), screen.cell(value)) for name, value in answer["books"].items()),
        *((f"first kept in {name}", f"{first:,}") for name, first in answer["first_kept"].items()),
    ]
    screen.table(("", ""), rows)
    if answer["incidents"]:
        print()
        incidents = [
            (clock.rfc3339(i["at_us"])[:19], i["kind"], str(i["lane"] or ""), i["text"]) for i in answer["incidents"]
        ]
        screen.table(("at (UTC)", "incident", "lane", "what happened"), incidents)
    return 0


# ---------------------------------------------------------------- export


def _export(options: Namespace, ask: Any) -> int:
    from runtime.nearest import nearest

    known = list(ask("status")["lanes"])
    for lane in options.lane or []:
        if lane not in known:
            raise ConfigError(f"there is no lane {lane!r}{nearest(lane, known)}")
    rows = (row for lane in options.lane or known for row in _rows(ask, lane))
    with _target(options.out) as target:
        count = _write_csv(rows, target) if options.format == "csv" else _write_json(rows, target)
    if options.out:
        from runtime.cli import screen

        screen.show_json({"rows": count, "out": options.out}) if options.json else print(
            f"{count:,} rows in {options.out}"
        )
    return 0


def _rows(ask: Any, lane: str) -> Iterator[dict[str, Any]]:
    after = 0
    while page := ask("journal.dispositions", lane=lane, after=after, limit=PAGE_ROWS):
        yield from page
        after = page[-1]["seq"]


def _write_csv(rows: Iterable[dict[str, Any]], target: TextIO) -> int:
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(COLUMNS)
    count = 0
    for row in rows:
        writer.writerow([row[column] for column in COLUMNS])
        count += 1
    return count


def _write_json(rows: Iterable[dict[str, Any]], target: TextIO) -> int:
    count = 0
    for row in rows:
        target.write(("[\n" if count == 0 else ",\n") + json.dumps(row))
        count += 1
    target.write("\n]\n" if count else "[]\n")
    return count


@contextmanager
def _target(out: str | None) -> Iterator[TextIO]:
    """Standard output, or a file that appears under its name only when it is complete."""
    if out is None:
        yield sys.stdout
        return
    path = Path(out)
    unfinished = path.with_name(f".{path.name}.part")
    try:
        with unfinished.open("w", encoding="utf-8", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:
        raise ConfigError(f"--out: {path} cannot be written ({error.strerror})") from None
    finally:
        unfinished.unlink(missing_ok=True)
