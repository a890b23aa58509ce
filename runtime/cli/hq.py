"""`entrepot hq`: what the central team runs beside the hub: verify every region for ever, or read along.

`verify` countersigns what held long enough, so that regions may forget it; `tail` and `export` write NDJSON.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.errors import ConfigError, Refused

if TYPE_CHECKING:
    from runtime.fleet.signing import Signer
    from runtime.oversight.inspection import Finding
    from runtime.oversight.lines import Filter

POLL_SECONDS = 5.0
PAUSE_SECONDS = 1.0
"""Between two looks: a busy hub stirs all the time, and each look asks it about every stream."""
STATE = "hq-state"
KEY_SUFFIX = ".pub"


def arguments(parser: ArgumentParser) -> None:
    """verify, tail, export."""
    verbs = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    verify = verbs.add_parser("verify", help="check every region as its records arrive; countersign; report gaps")
    _hub_arguments(verify)
    verify.add_argument("--keys", metavar="FOLDER", required=True, help="public keys of the regions: <region>.pub")
    verify.add_argument("--state", metavar="FOLDER", default=STATE, help=f"what was verified (default: {STATE})")
    verify.add_argument("--sign-with", metavar="FILE", help="release key: announce what regions may forget")
    verify.add_argument(
        "--settle-seconds", type=float, default=300.0, help="how long it must have stood (default: 300)"
    )
    verify.add_argument("--once", action="store_true", help="one look, then leave")
    verify.epilog = "Exit code 0: everything holds. 2: something does not. Without --once it ends with the process."
    for name, sentence in (
        ("tail", "records as they arrive"),
        ("export", "records that are there, then leave"),
    ):
        reading = verbs.add_parser(name, help=sentence)
        _hub_arguments(reading)
        for word, plural in (("region", "regions"), ("lane", "lanes"), ("type", "types")):
            reading.add_argument(
                f"--{word}", dest=plural, action="append", default=[], help="a pattern; may be repeated"
            )
        reading.add_argument("--since", metavar="INSTANT", help="RFC 3339, as 2026-11-23T09:30:00+00:00")
        reading.add_argument("--withheld", action="store_true", help="also the stubs of what stayed in its region")
    verbs.choices["export"].add_argument("--out", metavar="FILE", help="write here instead of standard output")


def _hub_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--hub", metavar="URL", action="append", required=True, help="nats://host:port; may be repeated"
    )
    parser.add_argument("--credentials", metavar="FILE", help="NATS .creds file")
    parser.add_argument("--tls-ca", metavar="FILE", help="certificate of a private authority")
    parser.add_argument("--environment", choices=("test", "prod"), default="prod", help="default: prod")


def run(options: Namespace) -> int:
    """See the module."""
    from runtime.cli.loop import run_async

    if options.action == "verify":
        return run_async(_verify, options)
    return run_async(_read, options)


def _opened(options: Namespace) -> Any:
    """A connection for reading; a context."""
    from runtime import plugins
    from runtime.config.load import convert

    raw: dict[str, Any] = {"servers": options.hub}
    raw |= {key: value for key in ("credentials", "tls_ca") if (value := getattr(options, key))}
    hub = plugins.hub()
    settings = convert(raw, hub.settings, where="--hub")
    return hub.observatory(settings, environment=options.environment, directory=str(Path.cwd()))


# ---------------------------------------------------------------- verify


async def _verify(options: Namespace) -> int:
    from runtime.oversight.inspection import Inspection
    from runtime.oversight.notebook import Notebook

    inspection = Inspection(
        _keys(Path(options.keys)),
        Notebook(Path(options.state), options.environment),
        environment=options.environment,
        settle_seconds=options.settle_seconds,
        signer=_signer(options.sign_with),
        told=_json if options.json else _sentence,
    )
    if options.once:
        async with _opened(options) as observatory:
            await inspection.round(observatory)
    else:
        await _for_ever(options, inspection)
    return 2 if inspection.troubled else 0


async def _for_ever(options: Namespace, inspection: Any) -> None:
    import anyio

    from runtime.errors import Retryable
    from runtime.policy.retry import Backoff, wait_seconds

    attempt = 0
    while True:
        try:
            async with _opened(options) as observatory:
                while True:
                    await inspection.round(observatory)
                    attempt = 0
                    await anyio.sleep(PAUSE_SECONDS)
                    with anyio.move_on_after(POLL_SECONDS):
                        await observatory.stirred()
        except Retryable as error:
            attempt += 1
            print(f"entrepot: {error}; trying again", file=sys.stderr)
            await anyio.sleep(wait_seconds(Backoff(), attempt, 0.5))


def _keys(folder: Path) -> dict[str, bytes]:
    from runtime.errors import Permanent
    from runtime.identity import parse_public_key

    if not folder.is_dir():
        raise ConfigError(
            f"--keys: {folder} is no folder", hint="each region's <data_dir>/identity/signing.pub belongs there"
        )
    found: dict[str, bytes] = {}
    for path in sorted(folder.glob(f"*{KEY_SUFFIX}")):
        try:
            found[path.stem] = parse_public_key(path.read_text("ascii", "replace"))
        except (OSError, Permanent) as error:
            raise ConfigError(f"--keys: {path}: {error}") from None
    if not found:
        raise ConfigError(
            f"--keys: there is no <region>{KEY_SUFFIX} in {folder}", hint="without keys nothing can be proven"
        )
    return found


def _signer(path: str | None) -> Signer | None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from runtime.identity import Identity

    if path is None:
        return None
    try:
        return Identity(Ed25519PrivateKey.from_private_bytes(Path(path).read_bytes()), b"")
    except OSError as error:
        raise ConfigError(f"--sign-with: {path} cannot be read ({error.strerror})") from None
    except ValueError:
        raise ConfigError(f"--sign-with: {path} does not hold the 32 bytes of an Ed25519 key") from None


def _json(finding: Finding) -> None:
    import msgspec

    print(msgspec.json.encode(finding).decode(), flush=True)


def _sentence(finding: Finding) -> None:
    from runtime.cli import screen

    level = {"incident": "critical", "recovered": "ok"}.get(finding.kind, "")
    count = f" {finding.records:,} records" if finding.records else ""
    places = ", ".join(f"{lane} {at.seq:,}" for lane, at in finding.lanes.items())
    screen.say(
        f"{finding.at}  {finding.region}  {finding.kind}{count}: {finding.text}{f' ({places})' if places else ''}",
        level,
    )
    sys.stdout.flush()


# ---------------------------------------------------------------- tail, export


async def _read(options: Namespace) -> int:
    from runtime.oversight.lines import Filter

    since = _instant(options.since)
    wanted = Filter(regions=options.regions, lanes=options.lanes, types=options.types, withheld=options.withheld)
    if options.action == "tail":
        await _tail(options, wanted, since)
        return 0
    return await _export(options, wanted, since)


async def _export(options: Namespace, wanted: Filter, since: str | None) -> int:
    from runtime.oversight.reading import Reader

    out = sys.stdout.buffer
    if options.out is not None:
        try:
            out = Path(options.out).open("xb")  # noqa: SIM115, ASYNC230 - closed below
        except FileExistsError:
            raise Refused(f"--out: {options.out} exists", hint="nothing is overwritten: name another file") from None
    try:
        async with _opened(options) as observatory:
            async for text in Reader(observatory, wanted).so_far(since):
                out.write(text)
        out.flush()
    finally:
        if options.out is not None:
            out.close()
    return 0


async def _tail(options: Namespace, wanted: Filter, since: str | None) -> None:
    import anyio

    from runtime.oversight.reading import Reader

    async with _opened(options) as observatory:
        reader = Reader(observatory, wanted)
        if since is None:
            await reader.skip_to_end()
        while True:
            async for text in reader.so_far(since):
                sys.stdout.buffer.write(text)
            sys.stdout.buffer.flush()
            await anyio.sleep(PAUSE_SECONDS)
            with anyio.move_on_after(POLL_SECONDS):
                await observatory.stirred()


def _instant(text: str | None) -> str | None:
    """The instant in UTC, as the hub writes it."""
    from datetime import UTC, datetime

    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"--since: {text!r} is no RFC 3339 instant", hint="as 2026-11-23T09:30:00+00:00") from None
    if found.tzinfo is None:
        raise ConfigError(f"--since: {text!r} has no offset", hint=f"write for example {text}+00:00")
    return found.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
