"""`entrepot demo`: a real hub, one region and three simulated partners on this machine. Needs no configuration."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace

RATE_MAX = 5_000


def arguments(parser: ArgumentParser) -> None:
    """--seconds, --rate, --keep."""
    parser.add_argument("--seconds", type=_positive, metavar="N", help="stop after so long (default: Ctrl-C)")
    parser.add_argument("--rate", type=_rate, default=60.0, metavar="N", help="messages a second, about (default 60)")
    parser.add_argument("--keep", metavar="DIR", help="keep the state in this folder (default: removed at the end)")
    parser.epilog = "Exit code 0 only if the books balance and the hub's streams equal what was accepted."


def run(options: Namespace) -> int:
    """Raises `ConfigError` when the hub's program is not installed."""
    from runtime.demo.conduct import Wishes, conduct

    return conduct(Wishes(seconds=options.seconds, rate=options.rate, keep=options.keep, json=options.json))


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= 7 * 86_400:
        raise ArgumentTypeError(f"{text!r} is no number of seconds between 0 and a week")
    return number


def _rate(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 1 <= number <= RATE_MAX:
        raise ArgumentTypeError(f"{text!r} is no rate between 1 and {RATE_MAX} messages a second")
    return number
