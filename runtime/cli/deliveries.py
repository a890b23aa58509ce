"""`entrepot deliveries`: what targets are to get, why they did not take it, and what a person decides about it."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

STATES = ("open", "letter", "delivered", "expired", "discarded")


def arguments(parser: ArgumentParser) -> None:
    """list, show, retry, discard, enable, adopt."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="those that wait, oldest first")
    listing.add_argument("--state", choices=STATES, default="open", help="letter: rejected for good (default: open)")
    listing.add_argument("--limit", type=int, default=100, metavar="N", help="at most so many (default 100)")
    listing.add_argument("--after", type=int, default=0, metavar="ID", help="only those with a higher number")
    show = actions.add_parser("show", help="one delivery with its content; personal data is masked")
    show.add_argument("id", type=int)
    show.add_argument("--unmask", action="store_true", help="show the content as it is")
    retry = actions.add_parser("retry", help="deliver rejected ones after all, or waiting ones at once")
    retry.add_argument("ids", type=int, nargs="*", metavar="ID", help="which (default: all that were rejected)")
    retry.add_argument("--target", help="all rejected ones of this target")
    discard = actions.add_parser("discard", help="decide that they shall not be delivered; they stay counted")
    discard.add_argument("ids", type=int, nargs="+", metavar="ID")
    enable = actions.add_parser("enable", help="give a target deliveries again that wanted no more")
    enable.add_argument("target")
    adopt = actions.add_parser("adopt", help="go on reading what headquarters sends, after the downlink stopped")
    adopt.add_argument(
        "--after", type=int, metavar="N", help="behind record N of its stream (default: where this region stands)"
    )
    adopt.add_argument("--confirm", action="store_true", help="do it; without this only say what would happen")


def run(options: Namespace) -> int:
    """See the module."""
    from runtime.cli.ask import asking, collect

    with asking(options) as ask:
        match options.action:
            case "list":
                return _list(options, collect(ask, "deliveries.list", options))
            case "show":
                return _show(options, ask("deliveries.show", id=options.id, unmask=options.unmask))
            case "retry":
                return _done(options, ask("deliveries.retry", ids=options.ids or None, target=options.target))
            case "discard":
                return _done(options, [ask("deliveries.discard", id=number) for number in sorted(set(options.ids))])
            case "enable":
                return _enabled(options, ask("deliveries.enable", target=options.target))
            case _:
                return _adopted(options, ask("deliveries.adopt", after=options.after, confirm=options.confirm))


def _list(options: Namespace, rows: list[dict[str, Any]]) -> int:
    from runtime.cli import screen

    if options.json:
        screen.show_json(rows)
        return 0
    if not rows:
        screen.say(f"no deliveries ({options.state})", "ok")
        return 0
    table = [
        (str(row["id"]), row["target"], row["type"], row["first_at"][:19], row["attempts"], row["reason"])
        for row in rows
    ]
    screen.table(("id", "target", "type", "since (UTC)", "attempts", "reason"), table)
    print("\n`entrepot deliveries show ID` says more")
    return 0


def _show(options: Namespace, row: dict[str, Any]) -> int:
    from runtime.cli import screen

    if options.json:
        screen.show_json(row)
        return 0
    screen.say(f"delivery {row['id']} to {row['target']}: {row['state']}", "warning" if row["reason"] else "ok")
    if row["reason"]:
        print(f"  reason: {screen.clean(row['reason'])}")
    if row["hint"]:
        print(f"  next: {screen.clean(row['hint'])}")
    print()
    shown = ("type", "key", "key_id", "attempts", "first_at", "last_at", "next_at", "expires_at", "reference", "bytes")
    screen.table(("", ""), [(name.replace("_", " "), screen.cell(row.get(name))) for name in shown])
    if row.get("data") is not None:
        print(f"\ncontent{' (masked; --unmask shows it)' if row.get('masked') else ''}:")
        print(screen.clean(row["data"]))
    return 0


def _done(options: Namespace, rows: list[dict[str, Any]]) -> int:
    from runtime.cli import screen

    if options.json:
        screen.show_json(rows)
    elif not rows:
        screen.say("no rejected deliveries: nothing to do", "ok")
    for row in rows if not options.json else ():
        print(f"delivery {row['id']} to {row['target']}: {row['state']}")
    return 0


def _enabled(options: Namespace, answer: dict[str, Any]) -> int:
    from runtime.cli import screen

    if options.json:
        screen.show_json(answer)
    elif answer["was"] is None:
        screen.say(f"{answer['target']} was not disabled", "ok")
    else:
        screen.say(f"{answer['target']} gets deliveries again; it had stopped because: {answer['was']}", "ok")
    return 0


def _adopted(options: Namespace, answer: dict[str, Any]) -> int:
    from runtime.cli import screen

    if options.json:
        screen.show_json(answer)
    else:
        screen.say(f"stopped because: {answer['reason']}", "warning")
        behind = f"behind record {answer['continues_after']} of headquarters ({answer['headquarters']})"
        print(f"this region stands at record {answer['stands_at']}")
        print(f"goes on {behind}" if answer["confirmed"] else f"--confirm goes on {behind}; nothing was changed")
    return 0 if answer["confirmed"] else 1
