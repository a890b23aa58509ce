"""`entrepot run`: the agent, until SIGTERM or Ctrl-C. The log goes to stderr."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace


def arguments(parser: ArgumentParser) -> None:
    """Nothing of its own."""
    parser.epilog = "The log is JSON, one event a line, on stderr; in colours on a terminal."


def run(options: Namespace) -> int:
    """Returns after an orderly stop. Raises `ConfigError`, `Refused` at the start, `StorageFailed` later."""
    from runtime.agent import Agent
    from runtime.cli.loop import run_async
    from runtime.cli.places import config_file
    from runtime.config.assemble import load_configuration

    agent = Agent(load_configuration(config_file(options.config)))
    run_async(agent.run)
    return 0
