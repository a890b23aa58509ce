"""`entrepot fleet ls|show|drift|history`: what the hub shows, as far as it is signed."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING, Any

from runtime.cli.fleet_office import folder_argument, region_arguments, with_office
from runtime.errors import Refused

if TYPE_CHECKING:
    from runtime.fleet.audit import Entry
    from runtime.fleet.documents import Revision
    from runtime.fleet.sight import Sight
    from runtime.headquarters.office import Office

LIMIT = 50


def _regions(parser: ArgumentParser) -> None:
    folder_argument(parser)
    region_arguments(parser)


def _show_arguments(parser: ArgumentParser) -> None:
    folder_argument(parser)
    parser.add_argument("region", metavar="REGION")
    parser.add_argument("--keys", action="store_true", help="every steered key with the layer that said it")


def _history_arguments(parser: ArgumentParser) -> None:
    folder_argument(parser)
    parser.add_argument("--limit", type=int, default=LIMIT, metavar="N", help=f"the newest N (default {LIMIT})")
    parser.epilog = "Exit code 2: a record is missing, changed or not signed by a release key."


# ---------------------------------------------------------------- all regions


def _ls(options: Namespace) -> int:
    from runtime import clock
    from runtime.cli import screen

    async def look(office: Office) -> list[dict[str, Any]]:
        sights = await office.sights(office.folder.pick(options.regions))
        silent, now = office.folder.settings.rollout.silent_seconds, clock.now_us()
        return [describe(sight, now, silent) for sight in sights.values()]

    rows = with_office(options, look)
    worry = any(row["drift"] or row["alerts"] or row["problems"] or row["silent"] for row in rows)
    if options.json:
        screen.show_json(rows)
        return 1 if worry else 0
    columns = ("region", "stage", "version", "offered", "drift", "lag", "buffer", "alerts", "last heard")
    screen.table(columns, [_row(row) for row in rows])
    for row in rows:
        for problem in row["problems"]:
            screen.say(f"{row['region']}: {problem}", "warning")
    return 1 if worry else 0


def describe(sight: Sight, now_us: int, silent_seconds: float) -> dict[str, Any]:
    """One region as plain values; it counts as silent after so long."""
    from runtime.fleet.sight import find_drift

    presence, status = sight.presence, sight.status
    silent = sight.silent_seconds(now_us)
    return {
        "region": sight.region,
        "stage": sight.stage or None,
        "reason": "" if status is None else status.reason,
        "version": sight.confirmed,
        "offered": sight.offered,
        "failed": [] if status is None else status.failed,
        "drift": find_drift(sight, now_us),
        "lag_seconds": None if presence is None else sight.lag_seconds,
        "buffer_seconds_left": None if presence is None else presence.buffer_seconds_left,
        "certificate_days_left": None if presence is None else presence.certificate_days_left,
        "alerts": [] if presence is None else presence.alerts,
        "versions": {} if presence is None else presence.versions,
        "silent_seconds": silent,
        "silent": silent is None or silent > silent_seconds,
        "veto": sight.veto,
        "problems": sight.problems,
    }


def _row(row: dict[str, Any]) -> list[Any]:
    from runtime.cli.screen import duration

    heard = "never" if row["silent_seconds"] is None else f"{duration(row['silent_seconds'])} ago"
    return [
        row["region"],
        row["stage"],
        row["version"],
        row["offered"],
        f"{len(row['drift'])}: {row['drift'][0]}" if row["drift"] else "no",
        duration(row["lag_seconds"]),
        duration(row["buffer_seconds_left"]),
        ", ".join(row["alerts"]),
        heard,
    ]


def _drift(options: Namespace) -> int:
    from runtime import clock
    from runtime.cli import screen
    from runtime.cli.fleet_change import counted
    from runtime.fleet.sight import find_drift

    async def look(office: Office) -> dict[str, list[str]]:
        sights = await office.sights(office.folder.pick(options.regions))
        return {region: find_drift(sight, clock.now_us()) for region, sight in sights.items()}

    found = with_office(options, look)
    drifting = {region: reasons for region, reasons in found.items() if reasons}
    if options.json:
        screen.show_json(drifting)
    elif drifting:
        screen.table(("region", "drift"), [(region, text) for region, texts in drifting.items() for text in texts])
    else:
        screen.say(f"no drift in {counted(found)}", "ok")
    return 1 if drifting else 0


# ---------------------------------------------------------------- one region


def _show(options: Namespace) -> int:
    from runtime import clock
    from runtime.cli import screen

    async def look(office: Office) -> tuple[dict[str, Any], Revision | None]:
        sight = (await office.sights([options.region]))[options.region]
        found = describe(sight, clock.now_us(), office.folder.settings.rollout.silent_seconds)
        try:
            return found, (await office.newest(sight)).revision
        except Refused as error:
            return found | {"problems": [*sight.problems, str(error)]}, None

    found, revision = with_office(options, look)
    if revision is not None:
        said = {"by": revision.by, "ticket": revision.ticket, "note": revision.note, "at": revision.issued_at}
        found |= {"revision": said | {"files": revision.files, "provenance": revision.provenance}}
    if options.json:
        screen.show_json(found)
        return 0
    rows = [(name.replace("_", " "), _told(value)) for name, value in found.items() if name != "revision"]
    screen.table(("", ""), rows)
    if revision is not None:
        screen.say(f"version {revision.version}: by {revision.by}, ticket {revision.ticket or 'none'}: {revision.note}")
        if options.keys:
            screen.table(("key", "said by"), list(revision.provenance.items()))
    return 0


def _told(value: Any) -> Any:
    if isinstance(value, list):
        return "; ".join(map(str, value)) or None
    if isinstance(value, dict):
        return ", ".join(f"{name} {version}" for name, version in value.items()) or None
    return value


# ---------------------------------------------------------------- the audit


def _history(options: Namespace) -> int:
    from runtime.cli import screen
    from runtime.fleet.audit import Chain, plain

    async def read(office: Office) -> tuple[list[Entry], Chain]:
        chain = Chain(keys=office.folder.release_keys, environment=office.environment)
        entries = [chain.add(posted.seq, posted.time, posted.data) async for posted in office.desk.audit()]
        return entries, chain

    entries, chain = with_office(options, read)
    shown = entries[-options.limit :] if options.limit > 0 else []
    if options.json:
        told = [
            {"position": e.seq, "problem": e.problem, **({} if e.change is None else plain(e.change))} for e in shown
        ]
        screen.show_json({"ok": not chain.problems, "count": chain.count, "problems": chain.problems, "records": told})
    else:
        screen.table(("record", "at", "by", "what", "ticket", "about"), [_entry(entry) for entry in shown])
        for problem in chain.problems:
            screen.say(problem, "critical")
        if not chain.problems:
            screen.say(f"the audit is intact: {chain.count} records, each signed and bound to all before it", "ok")
    return 2 if chain.problems else 0


def _entry(entry: Entry) -> tuple[Any, ...]:
    change = entry.change
    if change is None:
        return (entry.seq, entry.time[:19], "", "not believed", "", entry.problem)
    return (change.number, change.issued_at[:19], change.by, change.what, change.ticket, _about(change.detail))


def _about(detail: dict[str, Any]) -> str:
    rollout = detail.get("rollout")
    if rollout:
        wave = f"wave {rollout['wave'] + 1} of {len(rollout['waves'])}"
        return f"{rollout['id']}, {wave}: {detail.get('says') or rollout['state']}"
    regions = detail.get("regions")
    listed = ", ".join(map(str, regions[:5])) + (" …" if len(regions) > 5 else "") if isinstance(regions, list) else ""
    return f"{listed} {detail.get('says', '')}".strip()


ARGUMENTS = {"ls": _regions, "show": _show_arguments, "drift": _regions, "history": _history_arguments}
RUNS = {"ls": _ls, "show": _show, "drift": _drift, "history": _history}
