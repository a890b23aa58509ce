"""`entrepot topology`: the hub's streams beside what this region needs; `apply` makes or mends them.

`hub-config` writes everything for a hub of the central team's own: machines, certificates, accounts, keys.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runtime.config.assemble import Configuration
    from runtime.fleet.trust import HubFile

GIVEN_BYTES_MAX = 1_000_000


def arguments(parser: ArgumentParser) -> None:
    """show, apply, hub-config."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    actions.add_parser("show", help="compare, change nothing (the default)")
    actions.add_parser("apply", help="make what is missing, mend what is weak")
    hub = actions.add_parser("hub-config", help="write nats-server's configuration, in operator mode, with all keys")
    hub.add_argument("--plan", required=True, metavar="FILE", help="what the hub shall be (TOML); docs/hub.md")
    hub.add_argument("--out", required=True, metavar="DIR", help="where it goes; keys that lie there are kept")
    parser.epilog = "Exit code 1: something is missing or weaker than recommended."


def run(options: Namespace) -> int:
    """Raises `Retryable` while the hub is away, `Refused` for a stream that belongs to somebody else."""
    from runtime.cli import screen

    if options.action == "hub-config":
        return _hub_config(options)
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


def _hub_config(options: Namespace) -> int:
    from runtime import clock, plugins
    from runtime.cli import screen
    from runtime.config.load import convert, read_toml

    trust, out, plan = plugins.trust(), Path(options.out), Path(options.plan)
    wanted = convert(read_toml(plan), trust.plan, where=str(plan))
    files = trust.hub_files(wanted, _given(out), now=clock.now_us() // 1_000_000)
    _put(out, files)
    if options.json:
        screen.show_json({"out": str(out), "files": {path: "secret" if f.secret else "" for path, f in files.items()}})
    else:
        screen.say(f"{len(files)} files are in {out}; {out / 'README.txt'} says what to do with them", "ok")
        print("Put the folders offline, operations and headquarters-… apart: together they are the whole hub.")
    return 0


def _given(out: Path) -> dict[str, bytes]:
    """What an earlier run has left."""
    if not out.is_dir():
        return {}
    found = [path for path in sorted(out.rglob("*")) if path.is_file() and path.stat().st_size <= GIVEN_BYTES_MAX]
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in found}


def _put(out: Path, files: Mapping[str, HubFile]) -> None:
    from runtime.admission import write

    for name, file in files.items():
        path = out / name
        private = not name.startswith("nodes/") and "/" in name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700 if private else 0o755)
        write(path, file.content, 0o600 if file.secret else 0o644)
