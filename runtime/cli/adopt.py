"""`entrepot adopt`: a person decides that this journal goes on where the hub stands, in a new epoch."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from typing import Any


def arguments(parser: ArgumentParser) -> None:
    """--reason, --yes."""
    parser.add_argument("--reason", required=True, help="why; it is signed and kept for ever")
    parser.add_argument("--yes", action="store_true", help="do it without asking")
    parser.epilog = "Only for a fence of the kind stale_self, after a restored backup. It cannot be undone."


def run(options: Namespace) -> int:
    """Exit code 1: nothing was done, because nobody said yes."""
    from runtime.cli import screen
    from runtime.cli.ask import asking

    with asking(options) as ask:
        if not options.yes:
            plan = ask("adopt", reason=options.reason, confirm=False)
            if options.json:
                screen.show_json({"adopted": False, "plan": plan})
                return 1
            _show_plan(plan)
            if not _agreed():
                print("nothing was changed; add --yes to do it")
                return 1
        report = ask("adopt", reason=options.reason, confirm=True)
    if options.json:
        screen.show_json({"adopted": True, "lanes": report})
        return 0
    columns = ("lane", "epoch", "hub_last", "common", "found_at_hub", "sealed_anew")
    screen.table([c.replace("_", " ") for c in columns], [[row[c] for c in columns] for row in report])
    screen.say("adopted: the lanes send again, in a new epoch", "ok")
    return 0


def _show_plan(plan: list[dict[str, Any]]) -> None:
    from runtime.cli import screen

    columns = ("lane", "hub_last", "common", "found_at_hub")
    screen.table([c.replace("_", " ") for c in columns], [[row[c] for c in columns] for row in plan])
    print(
        "Everything that the hub has would count as delivered, what it lacks would be sent anew,\n"
        "and a signed record of a new epoch would follow. This cannot be undone."
    )


def _agreed() -> bool:
    if not sys.stdin.isatty():
        return False
    return input("Type the word adopt to do it: ").strip() == "adopt"
