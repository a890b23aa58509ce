"""`entrepot doctor`: everything the agent stands on, one row each, with the next step where one is needed."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runtime.ports import Finding

Bundle = tuple[Path, dict[str, Any]]


BUNDLE = "entrepot-support-{at}.tar.gz"


def arguments(parser: ArgumentParser) -> None:
    """--bundle."""
    parser.add_argument(
        "--bundle",
        metavar="FILE",
        nargs="?",
        const="",
        help="also write what support needs into one file, without secrets, keys or messages",
    )
    parser.epilog = (
        "Exit code: that of the worst row. Writes one small file into the data folder, to measure how long a flush"
        " takes, and removes it."
    )


def run(options: Namespace) -> int:
    """The exit code is that of the worst row."""
    from runtime.cli.places import config_file
    from runtime.doctor.examine import CODES, examine, worst

    findings = list(examine(lambda: config_file(options.config)))
    bundle = None if options.bundle is None else _bundle(options, findings)
    level = worst(findings)
    _show(findings, level, bundle, as_json=options.json)
    return CODES[level]


def _bundle(options: Namespace, findings: list[Finding]) -> Bundle:
    from runtime import clock
    from runtime.doctor import bundle

    at = clock.rfc3339(clock.now_us())[:19].replace(":", "").replace("-", "")
    path = Path(options.bundle or BUNDLE.format(at=at)).absolute()
    return path, bundle.write(path, options, findings)


def _show(findings: list[Finding], level: str, bundle: Bundle | None, *, as_json: bool) -> None:
    from runtime.cli import screen

    if as_json:
        rows = [{"subject": f.subject, "level": f.level, "found": f.found, "next": f.next_step} for f in findings]
        written = {} if bundle is None else {"bundle": str(bundle[0]), "manifest": bundle[1]}
        screen.show_json({"level": level, "findings": rows, **written})
        return
    screen.table(("", "what", "found"), [(f.level, f.subject, f.found) for f in findings])
    steps = [f for f in findings if f.next_step]
    if steps:
        print()
    for finding in steps:
        screen.say(f"{finding.subject}: {finding.next_step}", finding.level)
    if bundle is not None:
        print(f"\n{bundle[0]} is for support: no secret, key or message is in it; manifest.json lists what is.")
