"""`entrepot check`: the configuration and every file it names, without starting or writing anything."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runtime.config.assemble import Configuration


def arguments(parser: ArgumentParser) -> None:
    """Nothing of its own."""
    parser.epilog = "Exit code 0: fine. 1: works, with warnings. 2: the agent would not start, or not reach the hub."


def run(options: Namespace) -> int:
    """Raises `ConfigError` with the first thing that is wrong."""
    from runtime.cli import screen
    from runtime.cli.places import config_file
    from runtime.fleet.force import load_in_force

    path = config_file(options.config)
    configuration = load_in_force(path)
    configuration.read_secrets()
    configuration.try_sources()
    configuration.check_hub_files()
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
