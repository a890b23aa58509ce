"""`entrepot enrol`: makes this region's login, asks headquarters with a one-time token, and writes what comes back."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import ConfigError

if TYPE_CHECKING:
    from runtime.setup.enrolment import Enrolled

WAIT_SECONDS = 900.0


def arguments(parser: ArgumentParser) -> None:
    """TOKEN, --wait."""
    parser.add_argument("token", metavar="FILE", help="with the token of headquarters; `-` for standard input")
    parser.add_argument(
        "--wait", type=float, default=WAIT_SECONDS, metavar="SECONDS", help="for the answer (default 900)"
    )
    parser.epilog = (
        "Run it again at any time: it goes on with the same request. Exit code 1: headquarters has not decided yet."
    )


def run(options: Namespace) -> int:
    """Raises `Refused` with the reason when the token is of no use here, or the request was denied."""
    from runtime.cli import places, screen
    from runtime.cli.loop import run_async
    from runtime.config.assemble import load_configuration
    from runtime.fleet.enrolment import read_token
    from runtime.setup.enrolment import Host, ask

    token = read_token(_text(options.token))
    host = Host(load_configuration(places.config_file(options.config)))

    def tell(fingerprint: str) -> None:
        if not options.json:
            print(f"Read this fingerprint to headquarters, over the telephone:\n\n  {fingerprint}\n", flush=True)

    fingerprint, enrolled = run_async(partial(ask, token, host, wait_seconds=options.wait, tell=tell))
    if options.json:
        import msgspec

        screen.show_json({"fingerprint": fingerprint, "enrolled": msgspec.to_builtins(enrolled)})
    elif enrolled is None:
        print("Nobody has decided yet. Run the same command again.")
    else:
        _show(enrolled)
    return 0 if enrolled else 1


def _text(named: str) -> str:
    if named == "-":
        return sys.stdin.read(100_000)
    if named.startswith("entrepot-token"):
        raise ConfigError(
            "a token does not belong on the command line, where others can see it",
            hint="put it into a file, or pipe it in: `entrepot enrol -`",
        )
    try:
        return Path(named).read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{named} cannot be read ({getattr(error, 'strerror', None) or 'it is no text'})",
            hint="name the file with the token",
        ) from None


def _show(enrolled: Enrolled) -> None:
    import json

    from runtime.cli import screen

    screen.say(f"Region {enrolled.region} ({enrolled.environment}) is enrolled. Now let entrepot.toml say:", "ok")
    print(f"\n[hub]\nservers = {json.dumps(enrolled.servers)}\ncredentials = {json.dumps(enrolled.credentials)}")
    if enrolled.tls_ca:
        print(f"tls_ca = {json.dumps(enrolled.tls_ca)}")
    if enrolled.release_keys:
        print(f"\n[fleet]\nrelease_keys = {json.dumps(enrolled.release_keys)}")
    print("\nThen: entrepot check, entrepot doctor")
