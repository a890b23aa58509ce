"""`entrepot access`: who may call, what they may do, and the log of every decision about it."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from typing import Any

from runtime.errors import ConfigError

OVERLAP_HOURS = 24.0
DAY_HOURS = 24.0
_UNITS = {"h": 1.0, "d": 24.0, "m": 1 / 60}


def arguments(parser: ArgumentParser) -> None:
    """grant, rotate, revoke, list, audit."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    grant = actions.add_parser("grant", help="let a caller do something (more)")
    _grant_arguments(grant)
    rotate = actions.add_parser("rotate", help="a new key; the old ones hold a while longer")
    rotate.add_argument("name")
    rotate.add_argument(
        "--overlap", type=hours, default=OVERLAP_HOURS, metavar="24h", help="how long the old keys hold"
    )
    rotate.add_argument("--expires", type=hours, metavar="90d", help="when the new key ends (default: never)")
    revoke = actions.add_parser("revoke", help="take it away, at once")
    revoke.add_argument("name", nargs="?", help="the whole caller, unless something else is named")
    revoke.add_argument("--credential", action="append", default=[], metavar="ID", help="only this key or certificate")
    revoke.add_argument("--scope", action="append", default=[], metavar="SCOPE", help="only this scope, or role:NAME")
    revoke.add_argument(
        "--subject", action="append", default=[], help="tokens of the identity provider about this subject"
    )
    revoke.add_argument("--jti", action="append", default=[], metavar="ID", help="one token of the identity provider")
    actions.add_parser("list", help="everybody, with credentials and scopes; never a secret")
    audit = actions.add_parser("audit", help="prove the access log and show its newest entries")
    audit.add_argument("--limit", type=int, default=100, metavar="N", help="at most so many (default 100)")
    audit.add_argument("--after", type=int, default=0, metavar="N", help="only those with a higher number")


def _grant_arguments(grant: ArgumentParser) -> None:
    grant.add_argument("name", help="of an organisation or system, not of a person: it stands in logs")
    grant.add_argument("--scope", action="append", default=[], metavar="SCOPE", help="such as source:wms:write")
    grant.add_argument("--role", action="append", default=[], metavar="ROLE", help="of [access.roles]")
    grant.add_argument("--key", action="store_true", help="make an API key (a new caller gets one by default)")
    grant.add_argument("--expires", type=hours, metavar="90d", help="when the key ends (default: never)")
    shown = "what it shows instead of a key"
    grant.add_argument(
        "--certificate", action="append", default=[], metavar="FILE", help=f"{shown}: this certificate (PEM)"
    )
    grant.add_argument("--fingerprint", action="append", default=[], metavar="HEX", help=f"{shown}: SHA-256 of it")
    grant.add_argument(
        "--certificate-subject", action="append", default=[], metavar="CN=…", help=f"{shown}: any with this subject"
    )
    grant.add_argument(
        "--subject", action="append", default=[], help=f"{shown}: tokens of the identity provider about it"
    )
    grant.add_argument("--rate-per-second", type=float, metavar="N", help="requests in the long run")
    grant.add_argument("--burst", type=int, metavar="N", help="requests at once before the rate holds")
    grant.add_argument("--in-flight-max", type=int, metavar="N", help="requests under way at once")
    grant.add_argument("--requests-per-day-max", type=int, metavar="N", help="from midnight to midnight UTC")


def run(options: Namespace) -> int:
    """`audit`: exit code 2 when the log was changed."""
    from runtime.cli.ask import asking

    if options.action == "grant":
        _check_name(options.name)
    with asking(options) as ask:
        if options.action == "list":
            return _list(options, ask("access.list"))
        if options.action == "audit":
            return _audit(options, ask("access.audit", after=options.after, limit=options.limit))
        if options.action == "grant":
            return _granted(options, ask("access.grant", **_wanted(options)))
        if options.action == "rotate":
            wanted = {"name": options.name, "overlap_hours": options.overlap, "key_hours": options.expires}
            return _granted(options, ask("access.rotate", **wanted))
        return _revoked(options, ask)


def _wanted(options: Namespace) -> dict[str, Any]:
    import msgspec

    from runtime.access.settings import CallerLimits
    from runtime.config.load import convert

    given = {name: getattr(options, name) for name in CallerLimits.__struct_fields__}
    if "" in (*options.certificate_subject, *options.subject):
        raise ConfigError("a subject must not be empty", hint="for example --certificate-subject CN=wms-1,O=Example")
    limits = {name: value for name, value in given.items() if value is not None}
    convert(limits, CallerLimits, where="access grant")
    return {
        "name": options.name,
        "scopes": options.scope,
        "roles": options.role,
        "key": True if options.key else None,
        "key_hours": options.expires,
        "limits": msgspec.to_builtins(limits),
        "shown": {
            "fingerprints": [*options.fingerprint, *(_fingerprint(path) for path in options.certificate)],
            "certificate_subjects": options.certificate_subject,
            "oidc_subjects": options.subject,
        },
    }


def _revoked(options: Namespace, ask: Any) -> int:
    from runtime.cli import screen

    if not (options.name or options.credential or options.subject or options.jti):
        raise ConfigError("revoke what?", hint="name a caller, or --credential, --subject or --jti")
    if options.scope and not options.name:
        raise ConfigError("--scope needs the name of the caller", hint="entrepot access revoke NAME --scope SCOPE")
    answer = ask(
        "access.revoke",
        name=options.name,
        credentials=options.credential,
        scopes=options.scope,
        subjects=options.subject,
        token_ids=options.jti,
    )
    if options.json:
        screen.show_json(answer)
        return 0
    what = [f"caller {answer['caller']}"] if answer["caller"] and not (options.credential or options.scope) else []
    what += [f"scope {scope}" for scope in answer["scopes"]] + [f"credential {c}" for c in answer["credentials"]]
    what += ["tokens of a subject"] * answer["subjects"] + ["a token"] * answer["token_ids"]
    screen.say(f"revoked, in force at once: {', '.join(what)}", "ok")
    return 0


def _granted(options: Namespace, answer: dict[str, Any]) -> int:
    from runtime.cli import screen

    if options.json:
        screen.show_json(answer)
        return 0
    screen.say(f"{answer['name']} may now: {', '.join(_grants(answer)) or 'nothing'}", "ok")
    for missing in answer["roles_missing"]:
        screen.say(f"role {missing} is not configured: it grants nothing", "warning")
    if "key" in answer:
        print(f"\n  {answer['key']}\n\nThis key is shown once: hand it over safely. Use: Authorization: Bearer KEY")
    if answer.get("older_until"):
        print(f"The older keys of {answer['name']} hold until {answer['older_until'][:19]} UTC at the latest.")
    return 0


def _list(options: Namespace, everybody: list[dict[str, Any]]) -> int:
    from runtime.cli import screen

    if options.json:
        screen.show_json(everybody)
        return 0
    if not everybody:
        print("nobody: `entrepot access grant NAME --scope source:NAME:write` lets somebody in")
        return 0
    rows = []
    for caller in everybody:
        may = "revoked" if caller["revoked_at"] else ", ".join(_grants(caller))
        rows.append((caller["name"], may, "", "", ""))
        rows += [
            ("", "", c["id"], f"{c['kind']}, {c['state']}", (c["expires_at"] or "")[:19]) for c in caller["credentials"]
        ]
    screen.table(("caller", "may", "credential", "kind", "ends (UTC)"), [[cell or " " for cell in row] for row in rows])
    return 0


def _audit(options: Namespace, answer: dict[str, Any]) -> int:
    from runtime.cli import screen

    if options.json:
        screen.show_json(answer)
        return 0 if answer["ok"] else 2
    for entry in answer["entries"]:
        said = {
            name: value
            for name, value in entry.items()
            if name not in {"number", "at", "event"} and value not in ("", [])
        }
        words = ", ".join(f"{name} {_plain(value)}" for name, value in said.items())
        print(screen.clean(f"{entry['number']:>6}  {entry['at'][:19]}  {entry['event']:<12}  {words}"))
    if answer["ok"]:
        screen.say(f"the access log is intact: {answer['count']} entries, each bound to all before it", "ok")
        return 0
    screen.say(answer["problem"], "critical")
    print("  next: keep a copy of the data folder, and find out who could write to it")
    return 2


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(_plain(item) for item in value)
    return "/".join(str(part) for part in value.values() if part) if isinstance(value, dict) else str(value)


def _grants(answer: dict[str, Any]) -> list[str]:
    return [*answer["scopes"], *(f"role {role}" for role in answer["roles"])]


def _check_name(name: str) -> None:
    import re

    if not re.fullmatch(r"[a-z0-9-]{1,40}", name):
        raise ConfigError(f"{name!r} is no name for a caller", hint="use only a-z, 0-9 and - (at most 40)")


def hours(text: str) -> float:
    """`24h`, `90d`, `30m` as hours, for argparse."""
    number, unit = text[:-1], text[-1:]
    try:
        hours = float(number) * _UNITS[unit]
    except (ValueError, KeyError):
        hours = -1.0
    if not 0 <= hours <= 10 * 366 * DAY_HOURS:
        raise ArgumentTypeError(f"{text!r} is no time span; write for example 24h or 90d")
    return hours


def _fingerprint(path: str) -> str:
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        with open(path, "rb") as file:
            return x509.load_pem_x509_certificate(file.read(1_000_000)).fingerprint(SHA256()).hex()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror})") from None
    except ValueError:
        raise ConfigError(f"{path} holds no certificate in PEM form") from None
