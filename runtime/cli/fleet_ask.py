"""`entrepot fleet diagnose|action`: one question to one agent, or one thing that it shall do once."""

from __future__ import annotations

import secrets
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING, Any

from runtime.cli.access import hours
from runtime.cli.fleet_office import change_arguments, folder_argument, pairs, with_office
from runtime.errors import ConfigError

if TYPE_CHECKING:
    from runtime.fleet.documents import Action, Result
    from runtime.headquarters.office import Office

ANSWER_SECONDS = 5.0
EXPIRES_HOURS = 1.0
VERBS = ("pause", "resume", "replay", "drain", "rotate")


def _diagnose_arguments(parser: ArgumentParser) -> None:
    from runtime.fleet.probes import PROBES

    folder_argument(parser)
    parser.add_argument("region", metavar="REGION")
    parser.add_argument("probe", metavar="PROBE", help=f"one of {', '.join(PROBES)}")
    parser.add_argument("--wait", type=float, default=ANSWER_SECONDS, metavar="SECONDS", help="how long (default 5)")
    parser.epilog = "Exit code 1: the answer is not signed by the region. 2: it is an error, or somebody else answers."


def _action_arguments(parser: ArgumentParser) -> None:
    change_arguments(parser)
    parser.add_argument("region", metavar="REGION")
    parser.add_argument("verb", choices=VERBS, metavar="VERB", help=f"one of {', '.join(VERBS)}")
    parser.add_argument("--parameter", action="append", default=[], metavar="NAME=VALUE", help="such as source=wms")
    parser.add_argument("--id", help="to send it again without it being done twice (default: a new one)")
    parser.add_argument("--expires", type=hours, default=EXPIRES_HOURS, metavar="1h", help="not done after that")
    parser.add_argument("--wait", type=float, default=0.0, metavar="SECONDS", help="for the result (default: do not)")
    parser.epilog = "Exit code 1: no result yet. 2: the agent has refused it or failed."


def _diagnose(options: Namespace) -> int:
    import sys

    from runtime.cli import screen
    from runtime.fleet.probes import PROBES
    from runtime.headquarters import interview
    from runtime.nearest import nearest

    if options.probe not in PROBES:
        raise ConfigError(f"there is no probe {options.probe!r}{nearest(options.probe, PROBES)}")

    async def ask(office: Office) -> interview.Heard:
        (region,) = office.folder.pick([options.region])
        return await interview.ask(office, region, options.probe, seconds_max=options.wait)

    heard = with_office(options, ask)
    screen.show_json(heard.answer)
    if heard.doubt:
        print(f"{heard.doubt}; for looking, not for proving", file=sys.stderr)
    if isinstance(heard.answer, dict) and "error" in heard.answer:
        return 2
    return 1 if heard.doubt else 0


def _action(options: Namespace) -> int:
    from runtime.cli import screen

    identifier = options.id or f"{options.verb}-{secrets.token_hex(6)}"

    async def work(office: Office) -> Result | None:
        (region,) = office.folder.pick([options.region])
        return await _send(office, region, identifier, options)

    result = with_office(options, work, signs=True)
    if options.json:
        import msgspec

        screen.show_json({"id": identifier, "result": msgspec.to_builtins(result)})
    elif result is None:
        screen.say(f"sent as {identifier}; no result yet")
    else:
        said = f"{result.verb} {result.state}" + (f": {result.reason}" if result.reason else "")
        screen.say(f"{options.region}: {said}", "ok" if result.state == "done" else "critical")
    if result is None:
        return 1 if options.wait else 0
    return 0 if result.state == "done" else 2


async def _send(office: Office, region: str, identifier: str, options: Namespace) -> Result | None:
    """Into the audit first, then to the agent. The same id again only asks for the result."""
    import anyio

    from runtime import clock
    from runtime.fleet.documents import Action

    now = clock.now_us()
    action = Action(
        environment=office.environment,
        region=region,
        issued_at=clock.rfc3339(now),
        id=checked(identifier),
        verb=options.verb,
        parameters=pairs(options.parameter, "--parameter"),
        expires_at=clock.rfc3339(now + int(options.expires * 3_600_000_000)),
        by=office.by,
        ticket=options.ticket,
    )
    await office.desk.stirred(0)
    result = await office.result(region, action.id)
    if result is None and not await office.was_sent(region, action.id):
        await _tell(office, action)
    with anyio.move_on_after(options.wait):
        while result is None:
            await office.desk.stirred(options.wait)
            result = await office.result(region, action.id)
    return result


async def _tell(office: Office, action: Action) -> None:
    detail: dict[str, Any] = {
        "regions": [action.region],
        "says": f"{action.verb} ({action.id})",
        "action": action.parameters,
    }
    await office.note("action.send", detail, ticket=action.ticket)
    await office.act(action)


def checked(identifier: str) -> str:
    """Raises `ConfigError` for what cannot stand in a subject."""
    import re

    if not re.fullmatch(r"[a-z0-9-]{1,64}", identifier):
        raise ConfigError(f"--id: {identifier!r} is no id", hint="use only a-z, 0-9 and - (at most 64)")
    return identifier


ARGUMENTS = {"diagnose": _diagnose_arguments, "action": _action_arguments}
RUNS = {"diagnose": _diagnose, "action": _action}
