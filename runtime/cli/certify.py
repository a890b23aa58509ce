"""`entrepot certify`: try this host's disk and hub, and sign what was seen; or check such a certificate."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import ConfigError, Refused

if TYPE_CHECKING:
    from runtime.certify.certificate import Certificate
    from runtime.identity import Identity

CODES = {"passed": 0, "incomplete": 1, "failed": 2}
MINUTES, MINUTES_MAX = 2.0, 120.0


def arguments(parser: ArgumentParser) -> None:
    """--minutes, --out, --verify, --public-key."""
    parser.add_argument(
        "--minutes", type=float, default=MINUTES, help=f"how long kills and power cuts are tried (default {MINUTES:g})"
    )
    parser.add_argument("--out", metavar="FOLDER", default=".", help="where the certificate is written (default: here)")
    parser.add_argument("--verify", metavar="FILE", help="only check a certificate that was made before")
    parser.add_argument(
        "--public-key", metavar="FILE", help="with --verify: the region's signing.pub (default: this region's own)"
    )
    parser.epilog = (
        "Works in a scratch folder beside the journal and on scratch streams at the hub, and removes both. "
        "The journal itself is never touched; the agent may run."
    )


def run(options: Namespace) -> int:
    """0: every trial was passed; 1: some could not be tried; 2: one failed, or the certificate does not hold."""
    if options.verify:
        return _verify(options)
    if not 0 < options.minutes <= MINUTES_MAX:
        raise ConfigError(f"--minutes must be above 0 and at most {MINUTES_MAX:g}")
    out = Path(options.out)
    if not out.is_dir():
        raise ConfigError(f"--out: {out} is no folder")
    return _certify(options, out)


def _certify(options: Namespace, out: Path) -> int:
    from runtime import clock
    from runtime.certify import certificate as certificates
    from runtime.certify.conduct import certify
    from runtime.cli import places, screen
    from runtime.fleet.force import load_in_force
    from runtime.journal import file

    configuration = load_in_force(places.config_file(options.config))
    identity = _identity(configuration.data_dir)
    made = certify(configuration, seconds=options.minutes * 60, say=_progress)
    name = f"certificate-{made.region}-{file.stamp(clock.now_us())}"
    signed, page = file.unused(out / f"{name}.json"), file.unused(out / f"{name}.md")
    signed.write_bytes(certificates.sign(made, identity))
    page.write_text(certificates.page(made, identity.key_id), "utf-8")
    _show(options, made, str(signed))
    if not options.json:
        screen.say(f"certificate: {signed}, to read: {page}")
    return CODES[made.verdict]


def _identity(data_dir: Path) -> Identity:
    from runtime.identity import SIGNING_FILE, load_or_create
    from runtime.kernel import IDENTITY

    folder = data_dir / IDENTITY
    if not (folder / SIGNING_FILE).exists():
        raise Refused(f"this region has no keys yet: {folder}", hint="start the agent once; then certify")
    return load_or_create(folder, journal_is_new=False)


def _progress(line: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)


def _verify(options: Namespace) -> int:
    from runtime.certify.certificate import verify
    from runtime.cli import places
    from runtime.identity import PUBLIC_FILE, parse_public_key
    from runtime.kernel import IDENTITY

    key = options.public_key or places.data_dir(places.config_file(options.config)) / IDENTITY / PUBLIC_FILE
    made = verify(Path(options.verify).read_bytes(), parse_public_key(Path(key).read_text("utf-8")))
    _show(options, made, options.verify)
    return CODES[made.verdict]


def _show(options: Namespace, made: Certificate, path: str) -> None:
    import msgspec

    from runtime.cli import screen

    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    if options.json:
        screen.show_json({"file": path, "certificate": msgspec.to_builtins(made)})
        return
    screen.table(("trial", "", "what was seen"), [(t.trial, t.verdict, t.sentence) for t in made.trials])
    host = made.host
    print(f"on {host.name}: {host.device}, {host.file_system}; SQLite {host.sqlite}, entrepot {host.entrepot}")
    level = {"passed": "ok", "incomplete": "warning", "failed": "critical"}[made.verdict]
    screen.say(f"{made.verdict}, {made.made_at[:19]}Z", level)
