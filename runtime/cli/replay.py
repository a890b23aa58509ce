"""`entrepot replay`: translate kept messages again. What was sealed once is never sealed again."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections import Counter
from typing import Any

ROWS_SHOWN_MAX = 200


def arguments(parser: ArgumentParser) -> None:
    """--source, --from, --to, --dry-run."""
    position = "an intake number, or an instant such as 2026-03-02T08:00:00Z"
    parser.add_argument("--source", required=True, help="whose messages")
    parser.add_argument("--from", dest="first", required=True, metavar="POSITION", help=position)
    parser.add_argument("--to", dest="last", metavar="POSITION", help=f"{position} (default: the newest)")
    parser.add_argument(
        "--dry-run", action="store_true", help="only say what would happen, old and new results side by side"
    )
    parser.epilog = (
        "Exit code 1: something differs from what was sealed, or cannot be translated; it was left as it is."
    )


def run(options: Namespace) -> int:
    """See the module."""
    from runtime.cli import screen
    from runtime.cli.ask import asking

    first, last = _position(options.first), None if options.last is None else _position(options.last)
    changes: list[dict[str, Any]] = []
    with asking(options) as ask:
        while first is not None:
            found = ask("replay", source=options.source, first=first, last=last, dry_run=options.dry_run)
            changes += found["changes"]
            first, last = found["next"], found["last"]
    counts = Counter(change["result"] for change in changes)
    worry = counts["differs"] + counts["dropped"] + counts["letter"]
    if options.json:
        screen.show_json({"dry_run": options.dry_run, "counts": dict(counts), "changes": changes})
        return 1 if worry else 0
    telling = [change for change in changes if change["result"] not in {"same", "ignored"}]
    if telling:
        rows = [(c["origin"], c["type"], c["result"], c["reason"]) for c in telling[:ROWS_SHOWN_MAX]]
        screen.table(("origin", "type", "result", "reason"), rows)
    _show_differences(telling)
    if len(telling) > ROWS_SHOWN_MAX:
        print(f"… and {len(telling) - ROWS_SHOWN_MAX:,} more; --json shows all")
    done = "would be " if options.dry_run else ""
    parts = ", ".join(f"{count:,} {result}" for result, count in sorted(counts.items())) or "nothing in this range"
    new = f"; {counts['new']:,} {done}sent as late" if counts["new"] else ""
    screen.say(f"{parts}{new}", "warning" if worry else "ok")
    return 1 if worry else 0


def _show_differences(changes: list[dict[str, Any]]) -> None:
    """Old and new results side by side, of a dry run; values of persons come masked."""
    from runtime.cli import screen

    found = [(c["origin"], d["leaf"], d["before"], d["after"]) for c in changes for d in c.get("differences", [])]
    if found:
        screen.table(("origin", "leaf", "kept", "by the rules of today"), found[:ROWS_SHOWN_MAX])
    if len(found) > ROWS_SHOWN_MAX:
        print(f"… and {len(found) - ROWS_SHOWN_MAX:,} more leaves; --json shows all")


def _position(text: str) -> int | str | None:
    return int(text) if text.isascii() and text.isdigit() else text
