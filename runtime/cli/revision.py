"""`entrepot revision (show|override|resume|veto)`: what headquarters has put into force here, and the region's own word."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runtime.fleet.lifecycle import State, Word


def arguments(parser: ArgumentParser) -> None:
    """One sub-command each."""
    verbs = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    verbs.add_parser("show", help="what is in force and from where")
    override = verbs.add_parser("override", help="break-glass: work by the local file alone, or by an earlier version")
    override.add_argument("--hours", type=float, required=True, help="it ends by itself after so long")
    override.add_argument("--reason", required=True, help="stands in the alert, the status and headquarters' view")
    override.add_argument("--to", type=int, default=0, metavar="VERSION", help="a version that still has its slot")
    verbs.add_parser("resume", help="end an override before its time")
    veto = verbs.add_parser("veto", help="do not take the newest revision, or go back from it")
    veto.add_argument("--reason", required=True, help="headquarters sees it")
    parser.epilog = (
        "Works on a running agent at once, and on a stopped one for its next start. No revision can change"
        " region, jurisdiction, environment, data_dir, secrets or [fleet]."
    )


def run(options: Namespace) -> int:
    """Exit code 0; 1 while an override is in force, or what headquarters offers is refused or taken back."""
    from runtime.cli import places, screen

    config = places.config_file(options.config)
    answer = _ask(options, config)
    if options.json:
        screen.show_json(answer)
    else:
        _show(answer)
    return 1 if answer["override"] or answer["complaint"] or answer["stage"] in {"reverted", "rejected"} else 0


def _ask(options: Namespace, config: Path) -> Any:
    from runtime.admin import client
    from runtime.cli import places

    data_dir = places.data_dir(config)
    if client.is_running(data_dir):
        return client.call(data_dir, f"revision.{options.what}", _parameters(options))
    return _stopped(options, config)


def _parameters(options: Namespace) -> dict[str, Any]:
    if options.what == "override":
        return {"hours": options.hours, "reason": options.reason, "version": options.to}
    return {"reason": options.reason} if options.what == "veto" else {}


def _stopped(options: Namespace, config: Path) -> Any:
    """The state is written for the next start, under the lock that an agent would need."""
    from runtime.errors import Refused
    from runtime.fleet import lifecycle, regional
    from runtime.fleet.force import slots_of
    from runtime.journal.file import held

    slots = slots_of(config)
    if slots is None:
        raise regional.unsteered()
    if options.what != "show":
        if not slots.data_dir.is_dir():
            raise Refused(f"no agent has ever run on {slots.data_dir}", hint="`entrepot run` makes the folder")
        with held(slots.data_dir):
            slots.write(lifecycle.note(_decided(options, slots.read()), _word(options.what)))
    return regional.shown(slots, slots.read())


def _decided(options: Namespace, state: State) -> State:
    from runtime.fleet import lifecycle, regional

    if options.what == "override":
        return lifecycle.override(state, regional.wanted(options.hours, options.reason, options.to))
    if options.what == "veto":
        return lifecycle.veto(state, regional.said(options.reason))
    return lifecycle.resume(state)


def _word(what: str) -> Word:
    """For the access log, which stands in the journal: the next start opens it."""
    import os

    from runtime import clock
    from runtime.fleet.lifecycle import Word

    return Word(verb=f"revision.{what}", by=f"uid {os.getuid()}", at=clock.rfc3339(clock.now_us()))


def _show(answer: dict[str, Any]) -> None:
    from runtime.cli import screen

    for level, sentence in sentences(answer):
        screen.say(sentence, level)
    if answer["settings"]:
        print()
        screen.table(("key", "said by"), [(key, layer or "revision") for key, layer in answer["settings"].items()])
    if answer["files"]:
        print()
        screen.table(("file of the revision",), [(name,) for name in answer["files"]])


def sentences(answer: dict[str, Any]) -> list[tuple[str, str]]:
    """(level, sentence), the most important first."""
    found = [("ok", f"in force: {named(answer['in_force'])}{_by(answer)}")]
    held = answer["override"]
    if held:
        found.append(
            ("warning", f"override until {held['until'][:16]} UTC: {held['reason']}; `entrepot revision resume`")
        )
    if answer["complaint"]:
        found.append(("warning", f"refused at the door: {answer['complaint']}"))
    if answer["stage"]:
        why = f": {answer['reason']}" if answer["reason"] else ""
        level = "warning" if answer["stage"] in {"reverted", "rejected"} else ""
        found.append((level, f"revision {answer['version']} is {answer['stage']}{why}"))
    else:
        found.append(("", "headquarters has offered nothing yet"))
    if answer["stale"]:
        until = answer["believed_until"][:16]
        found.append(("warning", f"the word of headquarters ended on {until} UTC: nothing changes until a newer one"))
    if answer["previous"]:
        found.append(
            (
                "",
                f"can be pinned: {named(answer['previous'])} (`entrepot revision override --to {answer['previous']} …`)",
            )
        )
    return found


def named(version: int) -> str:
    """For people."""
    return f"revision {version} on top of the local file" if version else "the local file alone"


def _by(answer: dict[str, Any]) -> str:
    if not answer["by"]:
        return ""
    ticket = f", ticket {answer['ticket']}" if answer["ticket"] else ""
    return f" (by {answer['by']}{ticket})"
