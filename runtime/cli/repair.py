"""`entrepot journal repair`: shows what can be saved of a damaged journal; with --yes the new one takes its place."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from runtime.errors import Refused

if TYPE_CHECKING:
    from runtime.salvage.report import Ranges, Report

RANGES_SHOWN_MAX = 20
DAY_SECONDS = 86_400


def run(options: Namespace) -> int:
    """Exit code 0: nothing is lost; 1: something is, or nothing was done because nobody said yes."""
    import msgspec

    from runtime.cli import screen

    report = _repair(options)
    if options.json:
        screen.show_json({"repaired": options.yes, "report": msgspec.to_builtins(report)})
    else:
        _show(report, done=options.yes)
    return 0 if options.yes and not _loses(report) else 1


def _repair(options: Namespace) -> Report:
    from runtime.admin import client
    from runtime.cli import places
    from runtime.fleet.force import load_in_force
    from runtime.identity import PUBLIC_FILE, parse_public_key
    from runtime.kernel import IDENTITY
    from runtime.salvage.repair import Owner, repair

    configuration = load_in_force(places.config_file(options.config))
    data_dir, model = configuration.data_dir, configuration.model
    if client.is_running(data_dir):
        raise Refused("the agent is running", hint="stop it first; `entrepot journal verify` asks it what it finds")
    key = data_dir / IDENTITY / PUBLIC_FILE
    if not key.exists():
        raise Refused(f"the region's public key is missing: {key}", hint="restore the identity folder from the backup")
    owner = Owner(
        region=model.region,
        environment=model.environment,
        lanes=list(model.lanes),
        key_seconds=model.journal.key_days * DAY_SECONDS,
        public_key=parse_public_key(key.read_text("utf-8")),
    )
    return repair(data_dir, owner, confirm=options.yes)


def _loses(report: Report) -> bool:
    return bool(report.facts.lost or report.torn or not report.facts.end_known)


def _show(report: Report, *, done: bool) -> None:
    from runtime.cli import screen

    facts = report.facts
    rows = [
        ("messages saved", facts.saved),
        ("of these: the hub has them", facts.settled),
        ("of these: translated again", facts.pending),
        ("of these: letters, for you to decide", facts.letters),
        ("messages lost", sum(gap.last - gap.first + 1 for gap in facts.lost)),
        ("pages that cannot be read, in", ", ".join(report.torn)),
    ]
    screen.table(("", ""), rows)
    print()
    columns = ("lane", "saved", "lost", "acknowledged up to", "adopt reads the hub from")
    lanes = [
        (name, _ranges(lane.saved), _ranges(lane.lost), lane.acked, lane.reads_hub_from)
        for name, lane in report.lanes.items()
    ]
    screen.table(columns, lanes, title="sealed records, by their number at the hub")
    if facts.lost:
        print()
        lost = [(gap.first, gap.last, gap.after[:19], gap.before[:19]) for gap in facts.lost]
        screen.table(
            ("first", "last", "after (UTC)", "before (UTC)"), lost, title="lost: their senders must send them again"
        )
    if not facts.end_known:
        screen.say(f"it is not known how many messages came after number {facts.last:,}: ask every sender", "critical")
    for note in report.notes:
        screen.say(f"note: {note}", "warning")
    print()
    if done:
        screen.say(f"repaired; the damaged journal and this report lie in {report.aside}", "ok")
        print(
            "  every lane is fenced: start the agent, it accepts and sends nothing; then decide with `entrepot adopt`"
        )
    else:
        print("nothing was changed; add --yes to put the new journal in place. A backup may lose less: compare first.")


def _ranges(found: Ranges) -> str:
    shown = [f"{first}" if first == last else f"{first}–{last}" for first, last in found[:RANGES_SHOWN_MAX]]
    more = len(found) - RANGES_SHOWN_MAX
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")
