"""`entrepot fleet enrol`: let regions in at the hub, renew and revoke their logins, and issue those of headquarters."""

from __future__ import annotations

import getpass
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.errors import ConfigError

if TYPE_CHECKING:
    from runtime.admission import Office
    from runtime.fleet.enrolment import Enrolment

TOKEN_HOURS = 72.0
PEOPLE_DAYS = 90.0
ROLES = ("reader", "auditor", "headquarters")
ENROLLED_FOLDER = "enrolled"


def arguments(parser: ArgumentParser) -> None:
    """new, list, approve, deny, renew, revoke, issue."""
    actions = parser.add_subparsers(dest="enrol_action", metavar="ACTION", required=True)
    new = _action(actions, "new", "a one-time token for a region")
    new.add_argument("region")
    new.add_argument("--hours", type=_positive, default=TOKEN_HOURS, metavar="N", help="how long it works (default 72)")
    new.add_argument("--websocket", action="store_true", help="the region can reach the hub on port 443 only")
    new.add_argument("--release-key", action="append", default=[], metavar="KEY", help="instead of those in hub.toml")
    new.add_argument("--out", metavar="FILE", help="where the token goes (default: shown)")
    _action(actions, "list", "every token, and what became of it")
    approve = _action(actions, "approve", "let a region in, after its fingerprint was read to you")
    approve.add_argument("fingerprint")
    approve.add_argument(
        "--fleet", metavar="DIR", help="folder of fleet.toml: the region's public key is written there"
    )
    deny = _action(actions, "deny", "refuse a request")
    deny.add_argument("fingerprint")
    deny.add_argument("--reason", default="", help="the region is told")
    _action(actions, "renew", "new logins for the regions whose own is half over; run it every hour")
    revoke = _action(actions, "revoke", "throw a region out, at once and for good")
    revoke.add_argument("region")
    revoke.add_argument("--operations", required=True, metavar="DIR", help="the folder that vouches for accounts")
    issue = _action(actions, "issue", "a login for a person or a program of headquarters")
    issue.add_argument("role", choices=ROLES)
    issue.add_argument("name", help="whose: a-z, 0-9 and -")
    issue.add_argument("--days", type=_positive, default=PEOPLE_DAYS, metavar="N", help="how long (default 90)")
    issue.add_argument("--out", required=True, metavar="FILE", help="where the credentials go")


def _action(actions: Any, name: str, sentence: str) -> ArgumentParser:
    parser: ArgumentParser = actions.add_parser(name, help=sentence)
    parser.add_argument("--keys", default=".", metavar="DIR", help="folder headquarters-… of `topology hub-config`")
    return parser


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 3_650:
        raise ArgumentTypeError(f"{text!r} is no number above 0")
    return value


def run(options: Namespace) -> int:
    """Raises `Refused` with the reason, `Retryable` while the hub is away."""
    from runtime.admission import Office

    actions = {
        "new": _new,
        "list": _list,
        "approve": _approve,
        "deny": _deny,
        "renew": _renew,
        "revoke": _revoke,
        "issue": _issue,
    }
    return actions[options.enrol_action](options, Office(Path(options.keys)))


ARGUMENTS = {"enrol": arguments}
RUNS = {"enrol": run}


def _new(options: Namespace, office: Office) -> int:
    from runtime.admission import write
    from runtime.cli.loop import run_async
    from runtime.fleet.enrolment import write_token

    offer = partial(
        office.offer,
        options.region,
        seconds=int(options.hours * 3_600),
        websocket=options.websocket,
        release_keys=options.release_key,
        by=_who(),
    )
    token = run_async(offer)
    text = write_token(token)
    if options.out:
        write(Path(options.out), text.encode() + b"\n", 0o600)
    shown = {
        "id": token.id,
        "region": token.region,
        "environment": token.environment,
        "expires_at": _at(token.expires_at),
    }
    if options.json:
        _json(shown | ({"file": options.out} if options.out else {"token": text}))
    else:
        print(
            f"Token {token.id} for region {token.region} ({token.environment}) works once, until {_at(token.expires_at)}."
        )
        print(f"It is in {options.out}; hand it over where nobody else sees it." if options.out else text)
    return 0


def _list(options: Namespace, office: Office) -> int:
    from runtime.cli import screen
    from runtime.cli.loop import run_async

    found = run_async(office.enrolments)
    rows = [_row(one) for one in found]
    if options.json:
        _json(rows)
    else:
        columns = ("id", "region", "environment", "state", "fingerprint", "expires_at")
        screen.table(columns, [tuple(row[column] for column in columns) for row in rows])
        for row in rows:
            if row["fault"]:
                screen.say(f"{row['id']}: {row['fault']}", "warning")
    return 0


def _row(one: Enrolment) -> dict[str, Any]:
    from runtime import clock

    state = one.state(clock.now_us() // 1_000_000)
    return {
        "id": one.id,
        "region": one.offer.region,
        "environment": one.offer.environment,
        "state": state,
        "fingerprint": one.fingerprint,
        "expires_at": _at(one.offer.expires_at),
        "lanes": one.request.lanes if one.request else [],
        "fault": one.fault,
    }


def _approve(options: Namespace, office: Office) -> int:
    from runtime.admission import public_key, write
    from runtime.cli import screen
    from runtime.cli.loop import run_async

    one, reports = run_async(partial(office.approve, options.fingerprint, by=_who()))
    region = one.offer.region
    written = ""
    if options.fleet:
        folder = Path(options.fleet, ENROLLED_FOLDER)
        folder.mkdir(exist_ok=True)
        written = str(folder / f"{region}.pub")
        write(Path(written), public_key(one), 0o644)
    if options.json:
        _json(
            _row(one)
            | {
                "state": "approved",
                "public_key": public_key(one).decode().strip(),
                "streams": [r.stream for r in reports],
            }
        )
    else:
        screen.say(f"region {region} is let in; its streams: {', '.join(report.stream for report in reports)}", "ok")
        print(
            f"Its public key, for `entrepot verify`: {public_key(one).decode().strip()}{f' (in {written})' if written else ''}"
        )
    return 0


def _deny(options: Namespace, office: Office) -> int:
    from runtime.cli.loop import run_async

    one = run_async(partial(office.deny, options.fingerprint, reason=options.reason, by=_who()))
    if options.json:
        _json(_row(one) | {"state": "denied"})
    else:
        print(f"The request of region {one.offer.region} is denied; its token is used up.")
    return 0


def _renew(options: Namespace, office: Office) -> int:
    from runtime.cli import screen
    from runtime.cli.loop import run_async

    found = run_async(office.renew)
    if options.json:
        _json([one._asdict() | {"ends_at": _at(one.ends_at) if one.ends_at else ""} for one in found])
    else:
        screen.table(
            ("region", "login", "until", "why"),
            [(one.region, one.state, _at(one.ends_at) if one.ends_at else "", one.reason) for one in found],
        )
    return 1 if any(one.state == "refused" for one in found) else 0


def _revoke(options: Namespace, office: Office) -> int:
    from runtime.cli.loop import run_async

    gone = run_async(office.revoke, options.region, Path(options.operations))
    if options.json:
        _json([_row(one) | {"state": "revoked"} for one in gone])
    else:
        print(f"Region {options.region} is out: the hub takes its login no more. A new token lets it in again.")
    return 0


def _issue(options: Namespace, office: Office) -> int:
    from runtime.admission import write

    path = Path(options.out)
    if path.exists():
        raise ConfigError(f"{path} is there already; it is not overwritten", hint="name another file")
    write(path, office.issue(options.role, options.name, seconds=int(options.days * 86_400)).encode(), 0o600)
    if options.json:
        _json({"role": options.role, "name": options.name, "file": str(path)})
    else:
        print(f"A login of the {options.role} {options.name}, for {options.days:g} days, is in {path}.")
    return 0


def _json(answer: Any) -> None:
    from runtime.cli import screen

    screen.show_json(answer)


def _at(seconds: int) -> str:
    from runtime import clock

    return clock.rfc3339(seconds * 1_000_000)


def _who() -> str:
    """The account of whoever types this."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""
