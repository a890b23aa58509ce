"""`entrepot letters`: rejected messages, why they were rejected, and what a person decides about them."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from operator import itemgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runtime.cli.ask import Ask

RETRIED_MAX = 500
"""Letters that one call retries."""
STATES = ("open", "draining", "discarded")


def arguments(parser: ArgumentParser) -> None:
    """list, show, retry, release, discard."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="those that wait, oldest first")
    listing.add_argument("--state", choices=STATES, default="open")
    listing.add_argument("--limit", type=int, default=100, metavar="N", help="at most so many (default 100)")
    listing.add_argument("--after", type=int, default=0, metavar="ID", help="only those with a higher number")
    show = actions.add_parser("show", help="one letter with its message; personal data is masked")
    show.add_argument("id", type=int)
    show.add_argument("--unmask", action="store_true", help="show the message as it came in")
    retry = actions.add_parser("retry", help="translate again, after the mapping was mended")
    retry.add_argument("ids", type=int, nargs="*", metavar="ID", help="which (default: all that are open)")
    retry.add_argument("--source", help="all open ones of this source")
    release = actions.add_parser("release", help='let later messages pass that wait behind it (on_letter = "park")')
    release.add_argument("ids", type=int, nargs="+", metavar="ID")
    discard = actions.add_parser("discard", help="decide that the message says nothing; it stays counted")
    discard.add_argument("ids", type=int, nargs="+", metavar="ID")


def run(options: Namespace) -> int:
    """See the module. Exit code 1: a retried letter is still a letter."""
    from runtime.cli.ask import asking, collect

    with asking(options) as ask:
        if options.action == "list":
            return _list(options, collect(ask, "letters.list", options))
        if options.action == "show":
            return _show(options, ask("letters.show", id=options.id, unmask=options.unmask))
        if options.action == "retry":
            return _retried(options, _retry(ask, options))
        verb = f"letters.{options.action}"
        return _settled(options, [ask(verb, id=number) for number in sorted(set(options.ids))])


def _retry(ask: Ask, options: Namespace) -> list[dict[str, Any]]:
    """Those that are named, or all in order of acceptance: some at a time, for the agent tells what came of all at once."""
    from runtime.cli.ask import collect

    if options.ids:
        return list(ask("letters.retry", ids=options.ids))
    found = collect(ask, "letters.list", Namespace(state="open", after=0, limit=sys.maxsize))
    found.sort(key=itemgetter("intake_seq"))
    ids = [row["id"] for row in found if options.source in (None, row["source"])]
    return [row for n in range(0, len(ids), RETRIED_MAX) for row in ask("letters.retry", ids=ids[n : n + RETRIED_MAX])]


def _list(options: Namespace, letters: list[dict[str, Any]]) -> int:
    from runtime.cli import screen

    if options.json:
        screen.show_json(letters)
        return 0
    if not letters:
        screen.say(f"no letters ({options.state}): nothing was rejected", "ok")
        return 0
    rows = [
        (str(row["id"]), row["source"], row["created_at"][:19], row["attempts"], row["position"], row["reason"])
        for row in letters
    ]
    screen.table(("id", "source", "since (UTC)", "attempts", "position", "reason"), rows)
    print("\n`entrepot letters show ID` says more; mend the mapping, then `entrepot letters retry`")
    return 0


def _show(options: Namespace, letter: dict[str, Any]) -> int:
    from runtime.cli import screen

    if options.json:
        screen.show_json(letter)
        return 0
    body = letter.pop("body", None)
    letter.pop("body_base64", None)
    screen.say(f"letter {letter['id']}: {letter['reason']}", "warning")
    if letter["hint"]:
        print(f"  next: {screen.clean(letter['hint'])}")
    print()
    shown = ("source", "position", "state", "mapping", "attempts", "intake_seq", "received_at", "bytes", "content_type")
    screen.table(("", ""), [(name.replace("_", " "), screen.cell(letter.get(name))) for name in shown])
    if body is not None:
        print(f"\nmessage{' (masked; --unmask shows it)' if letter.get('masked') else ''}:")
        print(screen.clean(body))
    return 0


def _retried(options: Namespace, results: list[dict[str, Any]]) -> int:
    from runtime.cli import screen

    left = sum(row["result"] == "letter" for row in results)
    if options.json:
        screen.show_json(results)
    elif not results:
        screen.say("no open letters: nothing to retry", "ok")
    else:
        rows = [(str(row["id"]), row["result"], row["successors"], row["reason"]) for row in results]
        screen.table(("id", "result", "successors that went on", "reason"), rows)
        screen.say(f"{len(results) - left:,} settled, {left:,} still letters", "warning" if left else "ok")
    return 1 if left else 0


def _settled(options: Namespace, results: list[dict[str, Any]]) -> int:
    from runtime.cli import screen

    if options.json:
        screen.show_json(results)
        return 0
    done = {"release": "released", "discard": "discarded"}[options.action]
    for row in results:
        print(f"letter {row['id']} {done}; {row['successors']:,} messages that waited behind it went on")
    return 0
