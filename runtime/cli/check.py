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
    configuration.try_targets()
    configuration.check_hub_files()
    _look_at_the_journal(configuration)
    warnings = [*configuration.warnings, *_closed_to_the_agent(path, configuration)]
    if options.json:
        screen.show_json(_answer(path, configuration, warnings))
        return 1 if warnings else 0
    for warning in warnings:
        screen.say(f"warning: {warning}", "warning")
    sources, lanes = len(configuration.sources), len(configuration.model.lanes)
    found = f"{path}: region {configuration.model.region}, {_count(sources, 'source')}, {_count(lanes, 'lane')}"
    screen.say(
        f"{found}; {_count(len(warnings), 'warning') if warnings else 'everything fits'}", "" if warnings else "ok"
    )
    return 1 if warnings else 0


def _look_at_the_journal(configuration: Configuration) -> None:
    """Raises `ConfigError` for something else in its place. What this user may not read is the agent's to say."""
    from runtime.errors import ConfigError, Refused
    from runtime.journal import header
    from runtime.setup.place import JOURNAL_FILE

    try:
        header.check(configuration.data_dir / JOURNAL_FILE)
    except Refused as error:
        raise ConfigError(f"{configuration.path}: data_dir: {error}", hint=error.hint) from None
    except OSError:
        return


def _closed_to_the_agent(path: Path, configuration: Configuration) -> list[str]:
    """Root reads everything, so root is told what the service's own user will not be able to read."""
    from runtime.doctor.files import closed_to
    from runtime.setup import place

    owner = place.agent_user() if place.service_of(path) is not None else None
    closed = closed_to(owner, configuration) if owner is not None else []
    return [
        f"{path}: the agent runs as the user {place.USER}, who may not read {file}; "
        f"chgrp {place.USER} it and chmod g+r it (and g+x its folder), or chown it if it is a secret"
        for file in closed
    ]


def _answer(path: Path, configuration: Configuration, warnings: list[str]) -> dict[str, Any]:
    return {
        "ok": True,
        "config": str(path),
        "region": configuration.model.region,
        "environment": configuration.model.environment,
        "sources": sorted(configuration.sources),
        "targets": sorted(configuration.targets),
        "lanes": sorted(configuration.model.lanes),
        "policy": configuration.clearance.digest,
        "digest": configuration.digest,
        "warnings": warnings,
    }


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
