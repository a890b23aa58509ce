"""`entrepot journal backup` and `entrepot journal restore`, as people use them."""

from __future__ import annotations

import sys
from argparse import Namespace
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.errors import EntrepotError, Refused

if TYPE_CHECKING:
    from runtime.cli.ask import Ask

LOOK_SECONDS = 0.25
KEYS_INSIDE = (
    "the region's private keys are in it: whoever reads it can sign in the region's name. Encrypt it, or lock it away."
)
KEYS_OUTSIDE = "the region's keys are not in it. Save {folder} once, apart from it: without them it is useless."


def backup(options: Namespace) -> int:
    """The agent makes it if one runs; else this process does."""
    from runtime.cli import places, screen
    from runtime.cli.ask import asking

    place = Path(options.path).absolute()
    with asking(options) as ask:
        made = _followed(ask, str(place), with_keys=options.with_keys)
    folder = places.data_dir(places.config_file(options.config)) / "identity"
    note = KEYS_INSIDE if options.with_keys else KEYS_OUTSIDE.format(folder=folder)
    if options.json:
        screen.show_json(made | {"note": note})
        return 0
    manifest = made["manifest"]
    screen.say(f"{made['path']}: {screen.size(manifest['bytes'])}, up to message {manifest['facts']:,}; proven", "ok")
    screen.say(note, "warning")
    return 0


def _followed(ask: Ask, place: str, *, with_keys: bool) -> dict[str, Any]:
    """Ask for the backup and show how it gets on, on standard error."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        future: Future[dict[str, Any]] = thread.submit(ask, "journal.backup", path=place, with_keys=with_keys)
        told = ""
        while True:
            try:
                return future.result(LOOK_SECONDS)
            except NotYet:
                told = _show(ask, told)
            finally:
                if future.done() and sys.stderr.isatty():
                    print("\r\033[K", end="", file=sys.stderr)


def _show(ask: Ask, told: str) -> str:
    try:
        now = ask("journal.backup_progress")
    except EntrepotError:
        return told  # the backup's own answer says what is wrong
    if now is None:
        return told
    share = f" {100 * now['done'] // now['total']} %" if now["total"] and now["part"] == "copying" else ""
    line = f"{now['part']}{share}"
    if sys.stderr.isatty():
        print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)
    elif now["part"] != told.partition(" ")[0]:
        print(line, file=sys.stderr, flush=True)
    return line


def restore(options: Namespace) -> int:
    """Only on a stopped agent. Changes nothing before the backup is proven."""
    import msgspec

    from runtime.admin import client
    from runtime.backup.restoration import restore as put_back
    from runtime.cli import places, screen
    from runtime.fleet.force import load_in_force
    from runtime.kernel import IDENTITY

    config = places.config_file(options.config)
    configuration = load_in_force(config)
    data_dir = configuration.data_dir
    if client.is_running(data_dir):
        raise Refused("the agent is running", hint="stop it first: a journal is exchanged only while nobody uses it")
    done = put_back(
        Path(options.path).absolute(),
        data_dir,
        data_dir / IDENTITY,
        region=configuration.model.region,
        environment=configuration.model.environment,
        say=lambda part: print(part, file=sys.stderr),
    )
    if options.json:
        screen.show_json(msgspec.to_builtins(done))
        return 0
    screen.say(f"restored: the journal of {done.made_at[:19]}Z, up to message {done.facts:,}", "ok")
    print(f"  the former journal lies in {done.aside}" if done.aside else "  there was no journal before")
    print("  every lane is fenced: start the agent, it accepts and sends nothing; then decide with `entrepot adopt`")
    return 0
