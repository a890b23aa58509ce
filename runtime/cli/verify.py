"""`entrepot verify`: proves from the hub alone that each lane is contiguous, unchanged, and as the region signed.

Stands alone: with --hub, --region and --public-key it needs neither configuration nor journal.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from runtime.errors import ConfigError

if TYPE_CHECKING:
    from runtime.config.assemble import Configuration
    from runtime.ports import Verdict

KEY_FILE = Path("identity") / "signing.pub"


def arguments(parser: ArgumentParser) -> None:
    """--hub, --region, --public-key, --credentials, --tls-ca."""
    parser.add_argument("--hub", metavar="URL", help="nats://host:port (default: from the configuration)")
    parser.add_argument("--region", help="which region (default: from the configuration)")
    parser.add_argument(
        "--public-key", metavar="FILE|TEXT", help="the region's Ed25519 key (default: from its data_dir)"
    )
    parser.add_argument("--credentials", metavar="FILE", help="NATS .creds file, with --hub")
    parser.add_argument("--tls-ca", metavar="FILE", help="certificate of a private authority, with --hub")
    parser.epilog = "Exit code 0: proven. 2: something is missing, changed, forged or out of order."


def run(options: Namespace) -> int:
    """See the module."""
    from runtime.cli import screen
    from runtime.cli.loop import run_async

    question = _question(options)
    progress = None if options.json or not sys.stderr.isatty() else _progress
    verdict = run_async(_verify, question, progress)
    if options.json:
        import msgspec

        screen.show_json(msgspec.to_builtins(verdict))
    else:
        _show(verdict)
    return 0 if verdict.ok else 2


class Question(NamedTuple):
    """Whom to ask, about whom, and whose signature counts."""

    settings: Any
    region: str
    public_key: bytes
    directory: str


def _question(options: Namespace) -> Question:
    given = all((options.hub, options.region, options.public_key))
    configuration = None if given else _configuration(options)
    settings, directory = _hub(options, configuration)
    if configuration is None:
        return Question(settings, options.region, _public_key(options.public_key), directory)
    key = _public_key(options.public_key or str(configuration.data_dir / KEY_FILE))
    return Question(settings, options.region or configuration.model.region, key, directory)


def _hub(options: Namespace, configuration: Configuration | None) -> tuple[Any, str]:
    """Settings of the hub, and the folder that their paths are relative to."""
    from runtime import plugins
    from runtime.config.load import convert

    if configuration is not None and not options.hub:
        return configuration.hub_settings, str(configuration.directory)
    raw: dict[str, Any] = {"servers": [options.hub]}
    raw |= {key: value for key in ("credentials", "tls_ca") if (value := getattr(options, key))}
    return convert(raw, plugins.hub().settings, where="--hub"), str(Path.cwd())


async def _verify(question: Question, progress: Callable[[str, int, int], None] | None) -> Verdict:
    from runtime import plugins

    return await plugins.hub().verify(
        question.settings,
        region=question.region,
        public_key=question.public_key,
        directory=question.directory,
        progress=progress,
    )


def _configuration(options: Namespace) -> Configuration:
    from runtime.cli.places import config_file
    from runtime.fleet.force import load_in_force

    try:
        return load_in_force(config_file(options.config))
    except ConfigError as error:
        if options.config is not None or not (options.hub or options.region or options.public_key):
            raise
        missing = [f"--{n.replace('_', '-')}" for n in ("hub", "region", "public_key") if not getattr(options, n)]
        sentence = f"{' and '.join(missing)} must be given, since no configuration says so ({error})"
        raise ConfigError(sentence, hint="`entrepot verify --help` shows what is possible") from None


def _public_key(given: str) -> bytes:
    from runtime.errors import Permanent
    from runtime.identity import parse_public_key

    path = Path(given)
    try:
        if path.is_file():
            return parse_public_key(path.read_text("ascii", "replace"))
    except OSError as error:
        raise ConfigError(f"--public-key: {path} cannot be read ({error.strerror})") from None
    except Permanent as error:
        raise ConfigError(f"--public-key: {path}: {error}") from None
    try:
        return parse_public_key(given)
    except Permanent:
        sentence = f"--public-key: {given} is neither a file nor an Ed25519 public key (32 bytes as base64 or hex)"
        raise ConfigError(sentence, hint=f"the region keeps it in <data_dir>/{KEY_FILE}") from None


def _progress(lane: str, done: int, total: int) -> None:
    end = "\n" if done >= total else ""
    print(f"\r{lane}: {done:,} of {total:,} records read", end=end, file=sys.stderr, flush=True)


def _show(verdict: Verdict) -> None:
    from runtime.cli import screen

    rows = [
        (
            lane.lane,
            lane.records,
            f"{lane.first:,} – {lane.last:,}" if lane.records else "–",
            lane.withheld,
            ", ".join(map(str, lane.epochs)),
            lane.chain[:16],
            "wrong" if lane.problems else "ok",
        )
        for lane in verdict.lanes
    ]
    screen.table(("lane", "records", "positions", "withheld", "epochs", "chain ends", "result"), rows)
    for problem in [*verdict.problems, *(f"{lane.lane}: {text}" for lane in verdict.lanes for text in lane.problems)]:
        screen.say(problem, "critical")
    if verdict.ok:
        signed = f"{verdict.checkpoints:,} signed checkpoints agree"
        screen.say(f"proven for {verdict.region}: every lane is contiguous and unchanged, and {signed}", "ok")
    else:
        screen.say(f"not proven for {verdict.region}", "critical")
