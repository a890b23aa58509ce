"""`entrepot source`: let a source wait, for maintenance or because it sends nonsense, and let it go on."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any


def arguments(parser: ArgumentParser) -> None:
    """list, pause, resume."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("list", help="every source, and why it waits if it does")
    pause = actions.add_parser("pause", help="senders are told to try again; what was accepted goes on")
    pause.add_argument("source")
    pause.add_argument("--reason", required=True, help="shown in the status and the alert")
    resume = actions.add_parser("resume", help="let it go on")
    resume.add_argument("source")


def run(options: Namespace) -> int:
    """See the module."""
    from runtime.cli import screen
    from runtime.cli.ask import asking

    with asking(options) as ask:
        answer = _answer(ask, options)
    if options.json:
        screen.show_json(answer)
    elif options.action == "list":
        rows = [(s["source"], s["adapter"], s["lane"], _state(s["paused"])) for s in answer]
        screen.table(("source", "adapter", "lane", "state"), rows)
    elif options.action == "pause":
        screen.say(f"{answer['source']} {_state(answer['paused'])}", "warning")
    else:
        screen.say(f"{answer['source']} goes on" if answer["waited"] else f"{answer['source']} was not paused", "ok")
    return 0


def _answer(ask: Any, options: Namespace) -> Any:
    if options.action == "list":
        return ask("source.list")
    if options.action == "pause":
        return ask("source.pause", source=options.source, reason=options.reason)
    return ask("source.resume", source=options.source)


def _state(paused: dict[str, Any] | None) -> str:
    return "open" if paused is None else f"paused since {paused['since']} by {paused['by']}: {paused['reason']}"
