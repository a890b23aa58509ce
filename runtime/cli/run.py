"""`entrepot run`: the agent, until SIGTERM or Ctrl-C. The log goes to stderr."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace


def arguments(parser: ArgumentParser) -> None:
    """Nothing of its own."""
    parser.epilog = "The log is JSON, one event a line, on stderr; in colours on a terminal."


def run(options: Namespace) -> int:
    """Returns after an orderly stop. Raises `ConfigError`, `Refused` at the start, `StorageFailed` later."""
    from runtime.activation import require_agreement, take_sockets
    from runtime.agent import Agent
    from runtime.cli.loop import run_async
    from runtime.cli.places import config_file
    from runtime.fleet.force import load_at_start

    sockets = take_sockets()
    standing = load_at_start(config_file(options.config))
    configuration = standing.configuration
    require_agreement(sockets, configuration.model.gateway.listen)
    run_async(Agent(configuration, sockets=sockets, standing=standing).run)
    return 0
