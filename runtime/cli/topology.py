"""`entrepot topology`: the hub's streams beside what this region needs; `apply` makes or mends them."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runtime.config.assemble import Configuration


def arguments(parser: ArgumentParser) -> None:
    """show, apply."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    actions.add_parser("show", help="compare, change nothing (the default)")
    actions.add_parser("apply", help="make what is missing, mend what is weak")
    parser.epilog = "Exit code 1: something is missing or weaker than recommended."


def run(options: Namespace) -> int:
    """Raises `Retryable` while the hub is away, `Refused` for a stream that belongs to somebody else."""
    from runtime.cli import screen

    streams = read_streams(options, apply=options.action == "apply")
    worry = any(not row["exists"] or row["notes"] for row in streams)
    if options.json:
        screen.show_json(streams)
        return 1 if worry else 0
    rows = [
        (row["stream"], "there" if row["exists"] else "missing", row["messages"], row["first"], row["last"])
        for row in streams
    ]
    screen.table(("stream", "state", "messages", "first", "last"), rows)
    for row in streams:
        for change in row["changed"]:
            screen.say(f"{row['stream']}: {change}", "ok")
        for note in row["notes"]:
            screen.say(f"{row['stream']}: {note}", "warning")
    if any(not row["exists"] for row in streams):
        print("`entrepot topology apply` makes what is missing")
    return 1 if worry else 0


def read_streams(options: Namespace, *, apply: bool) -> list[dict[str, Any]]:
    """One row a stream. Before the first start there is no journal: every stream may then begin at 1."""
    from runtime.cli import places
    from runtime.cli.ask import asking, has_journal

    config = places.config_file(options.config)
    if has_journal(places.data_dir(config)):
        with asking(options) as ask:
            found: list[dict[str, Any]] = ask("topology", apply=apply)
            return found
    from runtime.cli.loop import run_async
    from runtime.fleet.force import load_in_force

    return run_async(_without_journal, load_in_force(config), apply)


async def _without_journal(configuration: Configuration, apply: bool) -> list[dict[str, Any]]:
    import msgspec

    link = configuration.link()
    try:
        reports = await link.topology(dict.fromkeys(configuration.model.lanes, 1), apply=apply)
    finally:
        await link.close()
    return [msgspec.to_builtins(report) for report in reports]
