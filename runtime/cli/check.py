"""`entrepot check`: the configuration and every file it names, without starting or writing anything."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.errors import ConfigError

if TYPE_CHECKING:
    from runtime.config.assemble import Configuration

SECRET = "secret://"  # noqa: S105 - the scheme, not a secret


def arguments(parser: ArgumentParser) -> None:
    """Nothing of its own."""
    parser.epilog = "Exit code 0: fine. 1: works, with warnings. 2: the agent would not start."


def run(options: Namespace) -> int:
    """Raises `ConfigError` with the first thing that is wrong."""
    from runtime.cli import screen
    from runtime.cli.places import config_file
    from runtime.config.assemble import load_configuration

    path = config_file(options.config)
    configuration = load_configuration(path)
    check_secrets(path, configuration)
    warnings = configuration.warnings
    if options.json:
        screen.show_json(_answer(path, configuration))
        return 1 if warnings else 0
    for warning in warnings:
        screen.say(f"warning: {warning}", "warning")
    sources, lanes = len(configuration.sources), len(configuration.model.lanes)
    found = f"{path}: region {configuration.model.region}, {_count(sources, 'source')}, {_count(lanes, 'lane')}"
    screen.say(
        f"{found}; {_count(len(warnings), 'warning') if warnings else 'everything fits'}", "" if warnings else "ok"
    )
    return 1 if warnings else 0


def check_secrets(path: Path, configuration: Configuration) -> None:
    """Every `secret://name` that is written down can be read. Raises `ConfigError` with the key."""
    from runtime.config.load import read_toml

    for place, reference in _references(read_toml(path), ""):
        try:
            configuration.vault.secret(reference)
        except ConfigError as error:
            raise ConfigError(f"{path}: {place}: {error}", hint=error.hint) from None


def _references(value: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str) and value.startswith(SECRET):
        yield place, value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _references(part, f"{place}.{key}" if place else key)
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _references(part, f"{place}[{index}]")


def _answer(path: Path, configuration: Configuration) -> dict[str, Any]:
    return {
        "ok": True,
        "config": str(path),
        "region": configuration.model.region,
        "environment": configuration.model.environment,
        "sources": sorted(configuration.sources),
        "lanes": sorted(configuration.model.lanes),
        "policy": configuration.clearance.digest,
        "digest": configuration.digest,
        "warnings": configuration.warnings,
    }


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
