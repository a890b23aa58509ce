"""Words and options of the command line. Only the chosen verb's file is imported, for its own options.

`--json` and `--config` may stand anywhere. Mistakes become `ConfigError`s with the nearest choice.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

from runtime.errors import ConfigError

VERBS: dict[str, str] = {
    "init": "the first run: asks, writes the configuration, makes the keys",
    "run": "run the agent of a region",
    "demo": "see it work: a real hub, one region, three simulated partners",
    "check": "check the configuration and everything that it names",
    "reload": "let the running agent work by the changed configuration, without a restart",
    "revision": "what headquarters has put into force here: show, override, resume, veto",
    "status": "the books, the lanes, and what somebody should do",
    "source": "let a source wait, or go on: list, pause, resume",
    "letters": "rejected messages: list, show, retry, release, discard",
    "deliveries": "what targets are to get: list, show, retry, discard, enable a target, go on reading headquarters",
    "access": "callers: grant, rotate, revoke, list, and audit every decision about access",
    "onboard": "one page for a partner: where to send, how to sign, requests that work",
    "replay": "translate a range of a source again, after a mapping was mended",
    "topology": "show or make the hub's streams, or write the configuration of a whole hub",
    "enrol": "get this region's login from headquarters, with a one-time token",
    "fleet": "for the central team: what every region has, changes in waves, who is let in",
    "adopt": "go on where the hub stands, after a restored backup",
    "verify": "prove from the hub alone that nothing was lost, changed or invented",
    "schema": "the canonical event types as JSON Schema, the API as OpenAPI, the streams as AsyncAPI",
    "map": "try a mapping on a sample message",
    "adapter": "start an adapter of your own: a package that passes the conformance suite",
    "packs": "the mapping packs: which platforms, which messages, what to tell the platform",
    "doctor": "look at everything that the agent stands on",
    "certify": "try this host's own disk and hub, and sign what was seen",
    "hq": "headquarters: verify every region for ever, read along, export",
    "journal": "verify, measure, export, back up, restore or repair the journal",
}
_CHOICE = re.compile(r"argument (?P<what>\S+): invalid choice: '(?P<value>.*?)' \(choose from (?P<choices>.*)\)$")
_WITH_VALUE = frozenset({"--config"})


class Parser(argparse.ArgumentParser):
    """argparse, with the two shared options at every level and errors that are sentences."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **settings})
        shared = self.add_argument_group("every command")
        shared.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="answer as JSON")
        shared.add_argument(
            "--config",
            metavar="FILE",
            default=argparse.SUPPRESS,
            help="entrepot.toml (default: in this folder, else in /etc/entrepot)",
        )

    def error(self, message: str) -> NoReturn:
        """Raises `ConfigError`: `main` prints it like every other mistake."""
        found = _CHOICE.match(message)
        if found:
            from runtime.nearest import nearest

            choices = re.findall(r"[\w.-]+", found["choices"])
            message = f"there is no {found['what'].lower()} {found['value']!r}{nearest(found['value'], choices)}"
        raise ConfigError(message, hint=f"`{self.prog} --help` shows what is possible")


def chosen_verb(words: Sequence[str]) -> str | None:
    """The verb that these words name. Raises `ConfigError` for one that does not exist."""
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word in _WITH_VALUE:
            skip = True
        elif not word.startswith("-"):
            if word not in VERBS:
                from runtime.nearest import nearest

                sentence = f"there is no command {word!r}{nearest(word, VERBS)}"
                raise ConfigError(sentence, hint="`entrepot --help` shows all commands")
            return word
    return None


def build(verb: str | None) -> Parser:
    """The parser for a command line with this verb (None: for --help alone)."""
    return _built(frozenset() if verb is None else frozenset({verb}))


def build_all() -> Parser:
    """The parser with the options of every verb, for manual pages and shell completion."""
    return _built(frozenset(VERBS))


def _built(chosen: frozenset[str]) -> Parser:
    parser = Parser(
        prog="entrepot",
        description="Receives, keeps, translates, clears and ships regional events to a central hub; loses nothing.",
        epilog="Exit codes: 0 fine, 1 warning, 2 critical. `entrepot COMMAND --help` says more about one.",
    )
    parser.add_argument("--version", action="store_true", help="show the version and leave")
    parser.set_defaults(json=False, config=None)
    verbs = parser.add_subparsers(dest="verb", metavar="COMMAND", title="commands")
    for name, sentence in VERBS.items():
        own = verbs.add_parser(name, help=sentence, description=sentence[0].upper() + sentence[1:] + ".")
        if name in chosen:
            import_module(f"runtime.cli.{name}").arguments(own)
    return parser
