"""`entrepot fleet`: the central team's commands for all regions together."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from runtime.cli import fleet_enrol


def arguments(parser: ArgumentParser) -> None:
    """enrol."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    fleet_enrol.ARGUMENTS["enrol"](actions.add_parser("enrol", help="let regions in: tokens, logins, revocation"))


def run(options: Namespace) -> int:
    """See each action."""
    return fleet_enrol.RUNS[options.action](options)
