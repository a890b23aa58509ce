"""`entrepot init`: asks, or reads answers, and writes configuration, policy and keys. Overwrites nobody's work."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.errors import ConfigError

if TYPE_CHECKING:
    from runtime.setup.answers import Answers
    from runtime.setup.place import Done

ANSWERS_BYTES_MAX = 1_000_000


def arguments(parser: ArgumentParser) -> None:
    """--answers."""
    parser.add_argument(
        "--answers", metavar="FILE", help="answers as TOML, `-` for standard input; then nothing is asked"
    )
    parser.epilog = (
        "Without --config it writes to /etc/entrepot where that folder is, else here. The same answers a second time"
        " change nothing. As root it gives what the agent must read to the user entrepot."
    )


def run(options: Namespace) -> int:
    """Raises `ConfigError` for a wrong answer, or when something would be overwritten."""
    from runtime.cli import screen
    from runtime.cli.places import new_config_file
    from runtime.config.assemble import load_configuration
    from runtime.setup.place import agent_user, set_up

    config = new_config_file(options.config)
    answers = _read(options.answers) if options.answers else _ask(config, as_json=options.json)
    done = set_up(config, answers, agent_user())
    configuration = load_configuration(config)
    configuration.read_secrets()
    if options.json:
        screen.show_json(_answer(config, done, configuration.warnings))
    else:
        _show(config, done, configuration.warnings)
    return 0


def _read(name: str) -> Answers:
    import tomllib

    from runtime.config.load import read_toml
    from runtime.setup.answers import read_answers

    if name != "-":
        path = Path(name)
        return read_answers(read_toml(path), where=name, directory=path.absolute().parent)
    try:
        raw = tomllib.loads(sys.stdin.read(ANSWERS_BYTES_MAX))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"standard input is no valid TOML: {error}") from None
    return read_answers(raw, where="standard input", directory=Path.cwd())


def _ask(config: Path, *, as_json: bool) -> Answers:
    from runtime.setup.dialogue import Dialogue
    from runtime.setup.place import refuse_what_is_set_up

    refuse_what_is_set_up(config)
    if as_json or not sys.stdin.isatty():
        raise ConfigError("there is nobody to ask", hint="give the answers in a file: `entrepot init --answers FILE`")
    print(f"This writes {config}. Enter takes what stands in brackets; Ctrl-C leaves, and nothing is written.")
    return Dialogue(input, print).answers()


def _answer(config: Path, done: Done, warnings: list[str]) -> dict[str, Any]:
    return {
        "config": str(config),
        "changed": "written" in done.files.values(),
        "files": done.files,
        "fingerprint": done.identity.key_id,
        "public_key": _public_key(done),
        "public_key_file": str(done.public_key_file),
        "warnings": warnings,
        "next": list(_next(config)),
    }


def _show(config: Path, done: Done, warnings: list[str]) -> None:
    from runtime.cli import screen

    print()
    screen.table(("file", ""), list(done.files.items()))
    print(f"\nThe region's signing key: fingerprint {done.identity.key_id}")
    print(f"  public key, for `entrepot verify --public-key`: {_public_key(done)}\n")
    for warning in warnings:
        screen.say(f"warning: {warning}", "warning")
    screen.say(f"{config} and every file that it names fit together. Next:", "ok")
    for command in _next(config):
        print(f"  {command}")


def _public_key(done: Done) -> str:
    import base64

    return base64.b64encode(done.identity.public_key).decode()


def _next(config: Path) -> tuple[str, str]:
    from runtime.setup.place import service_of

    service = service_of(config)
    if service is None:
        return f"entrepot run --config {config}", f"entrepot doctor --config {config}"
    named = "" if service.name == "entrepot" else f" --config {config}"
    return f"systemctl enable --now {service.name}.socket {service.name}.service", f"entrepot doctor{named}"
