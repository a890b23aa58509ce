"""`entrepot fleet rollout|pause|abort|rollback`: a change in waves, watched while it spreads."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from runtime.cli.fleet_change import check_may_go, counted, proposals, rehearse_first, show_proposals
from runtime.cli.fleet_office import agreed, change_arguments, with_office
from runtime.cli.fleet_rehearsal import pass_argument
from runtime.errors import ConfigError, Refused, Retryable

if TYPE_CHECKING:
    from runtime.fleet.rollout import Rollout
    from runtime.headquarters.conduct import Look
    from runtime.headquarters.office import Office
    from runtime.headquarters.proposal import Proposal

AWAY_SECONDS = 2.0
"""Pause before the hub is tried again."""
BROKEN_SHOWN_MAX = 20


def _rollout_arguments(parser: ArgumentParser) -> None:
    change_arguments(parser)
    parser.add_argument("regions", nargs="*", metavar="REGION", help="in this order; or group:NAME (default: all)")
    parser.add_argument("--yes", action="store_true", help="do it without asking")
    parser.add_argument("--continue", dest="go_on", action="store_true", help="go on with the one under way")
    parser.add_argument("--first", action="append", default=[], metavar="REGION", help="this one before all others")
    pass_argument(parser)
    parser.epilog = "Exit code 2: it was stopped. Leaving (Ctrl-C) changes nothing: --continue goes on, on any machine."


def _stop_arguments(parser: ArgumentParser) -> None:
    change_arguments(parser)
    parser.add_argument("--reason", required=True, help="why; it is signed and kept")


def _rollback_arguments(parser: ArgumentParser) -> None:
    _stop_arguments(parser)
    parser.add_argument("regions", nargs="*", metavar="REGION", help="with --to; default: the last rollout as a whole")
    parser.add_argument("--to", type=int, metavar="VERSION", help="whose content; 0: the local file alone")


# ---------------------------------------------------------------- rollout


def _rollout(options: Namespace) -> int:
    async def work(office: Office) -> bool:
        from runtime.headquarters import conduct

        if options.go_on:
            await conduct.go_on(office, ticket=options.ticket)
            return True
        return await _begin(office, options)

    if not with_office(options, work, signs=True):
        return 1
    return _drive(options)


async def _begin(office: Office, options: Namespace) -> bool:
    """Lay everything down and write the rollout into the audit; False when nobody agreed."""
    from runtime.cli import screen
    from runtime.headquarters import conduct
    from runtime.headquarters.proposal import describe, revision_of

    await conduct.check_free(office)
    found = await proposals(office, options.regions)
    if not options.json:
        show_proposals(found)
    changing = [proposal for proposal in check_may_go(found) if not proposal.sight.veto]
    if not changing:
        raise Refused("every region that would change takes no change now (veto)")
    await rehearse_first(office, changing, options)
    rollout = _new(office, _ordered(changing, options.first))
    if not options.json:
        counts = ", ".join(str(len(wave)) for wave in rollout.waves)
        screen.say(f"rollout {rollout.id}: {len(rollout.waves)} waves of {counts} regions")
    if not agreed(options, "begin?"):
        screen.say("nothing was offered; add --yes to do it")
        return False
    for proposal in changing:
        revision = revision_of(office, proposal, ticket=options.ticket, note=options.note)
        await office.lay_down(revision, proposal.rendered)
    more = {"changes": describe(changing), "note": options.note}
    await conduct.start(office, rollout, ticket=options.ticket, **more)
    return True


def _ordered(changing: list[Proposal], first: list[str]) -> list[Proposal]:
    known = {proposal.region for proposal in changing}
    for region in first:
        if region not in known:
            raise ConfigError(f"--first: {region} is not among the regions that change")
    return sorted(changing, key=lambda p: first.index(p.region) if p.region in first else len(first))


def _new(office: Office, changing: list[Proposal]) -> Rollout:
    import msgspec

    from runtime import clock
    from runtime.fleet.judgement import Limits
    from runtime.fleet.rollout import Rollout, make_waves

    settings = office.folder.settings.rollout
    stamp = clock.rfc3339(clock.now_us())
    return Rollout(
        id=f"{stamp[:10]}-{stamp[11:19].replace(':', '')}",
        state="running",
        waves=make_waves([proposal.region for proposal in changing], settings.waves_percent),
        target={proposal.region: proposal.plan.version for proposal in changing},
        before={proposal.region: proposal.plan.base for proposal in changing},
        limits=msgspec.convert(msgspec.to_builtins(settings), Limits),
    )


def _drive(options: Namespace) -> int:
    """Watch it to its end; a hub that is away is waited for."""
    import anyio

    from runtime.cli import screen
    from runtime.headquarters import conduct

    with _shown(options) as show:

        async def work(office: Office) -> Rollout:
            return await conduct.drive(office, show)

        while True:
            try:
                ended = with_office(options, work, signs=True)
                break
            except Retryable as error:
                print(f"waiting: {error}", file=sys.stderr)
                anyio.run(anyio.sleep, AWAY_SECONDS)
    if options.json:
        return 0 if ended.state == "done" else 2
    if ended.state == "done":
        screen.say(f"rollout {ended.id} is done: {counted(ended.target)}", "ok")
        return 0
    screen.say(f"rollout {ended.id} was stopped: {ended.reason}", "critical")
    broken = {region: fate for region, fate in ended.fates.items() if fate.startswith("broken")}
    if broken:
        screen.table(("region", "what became of it"), list(broken.items())[:BROKEN_SHOWN_MAX])
    return 2


# ---------------------------------------------------------------- progress


@contextmanager
def _shown(options: Namespace) -> Iterator[Any]:
    """A function that shows one look: JSON lines, a live table, or lines that say what is new."""
    if options.json:
        yield _json_line
    elif sys.stdout.isatty():
        from rich.console import Console
        from rich.live import Live

        with Live(console=Console(highlight=False), auto_refresh=False) as live:
            yield lambda look: live.update(_drawn(look), refresh=True)
    else:
        told: list[str] = []

        def say(look: Look) -> None:
            from runtime.cli import screen

            line = sentence(look)
            if [line] != told:
                told[:] = [line]
                screen.say(line)

        yield say


def summary(look: Look) -> dict[str, Any]:
    """One look as plain values."""
    rollout, step = look.rollout, look.step
    return {
        "rollout": rollout.id,
        "state": rollout.state,
        "wave": rollout.wave + 1,
        "waves": len(rollout.waves),
        "regions": len(rollout.target),
        "counts": dict(Counter(fate.word for fate in step.fates.values())),
        "broken": {region: fate.reason for region, fate in step.fates.items() if fate.word == "broken"},
        "says": step.says,
        "problems": look.problems,
    }


def _json_line(look: Look) -> None:
    import json

    print(json.dumps(summary(look)), flush=True)


def sentence(look: Look) -> str:
    """One look as one line."""
    found = summary(look)
    counts = ", ".join(f"{count} {word}" for word, count in sorted(found["counts"].items()))
    parts = [f"{found['state']}, wave {found['wave']} of {found['waves']}", found["says"], counts, *found["problems"]]
    return "; ".join(part for part in parts if part)


def _drawn(look: Look) -> Any:
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    from runtime.cli.screen import clean

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("wave", "regions", "", "confirmed", "under way", "broken", "unreachable", "vetoed"):
        table.add_column(column, justify="left" if column == "" else "right")
    for number, wave in enumerate(look.rollout.waves, 1):
        counts = Counter(look.step.fates[region].word for region in wave if region in look.step.fates)
        words = [counts[word] for word in ("confirmed", "pending", "broken", "unreachable", "vetoed")]
        bar = ProgressBar(total=len(wave), completed=counts["confirmed"], width=24)
        table.add_row(str(number), str(len(wave)), bar, *(str(word or "–") for word in words))
    found = summary(look)
    lines = ["; ".join(filter(None, (f"rollout {found['rollout']}: {found['state']}", found["says"])))]
    lines += [f"{region}: {reason}" for region, reason in list(found["broken"].items())[:BROKEN_SHOWN_MAX]]
    lines += found["problems"]
    return Group(table, *(Text(clean(line)) for line in lines))


# ---------------------------------------------------------------- pause, abort, rollback


def _pause(options: Namespace) -> int:
    from runtime.cli import screen
    from runtime.headquarters import conduct

    async def work(office: Office) -> Rollout:
        return await conduct.hold(office, options.reason, ticket=options.ticket)

    rollout = with_office(options, work, signs=True)
    if options.json:
        screen.show_json({"rollout": rollout.id, "state": rollout.state})
    else:
        screen.say(f"rollout {rollout.id} is {rollout.state}; `entrepot fleet rollout --continue` goes on", "ok")
    return 0


def _abort(options: Namespace) -> int:
    from runtime.headquarters import conduct

    async def work(office: Office) -> None:
        await conduct.stop(office, options.reason, ticket=options.ticket)

    with_office(options, work, signs=True)
    _drive(options)
    return 0


def _rollback(options: Namespace) -> int:
    from runtime.headquarters import conduct

    if bool(options.regions) != (options.to is not None):
        raise ConfigError("regions and --to VERSION go together", hint="without both the last rollout is taken back")
    if options.regions:
        return _rollback_regions(options)

    async def work(office: Office) -> None:
        await conduct.take_back(office, options.reason, ticket=options.ticket)

    with_office(options, work, signs=True)
    _drive(options)
    return 0


def _rollback_regions(options: Namespace) -> int:
    from runtime.cli import screen
    from runtime.fleet.plan import next_version
    from runtime.fleet.rollout import Order
    from runtime.headquarters import conduct

    async def work(office: Office) -> dict[str, int]:
        regions = office.folder.pick(options.regions)
        await conduct.check_free(office, regions)
        sights = await office.sights(regions)
        orders = [Order(region=r, version=next_version([sights[r].highest]), content_of=options.to) for r in regions]
        for order in orders:
            if options.to:
                await office.revision(order.region, options.to)
        detail = {"regions": regions, "says": f"back to the content of {options.to}: {options.reason}"}
        await office.note("revision.rollback", detail, ticket=options.ticket)
        for order in orders:
            await office.carry_out(order, ticket=options.ticket, note=options.reason)
        return {order.region: order.version for order in orders}

    versions = with_office(options, work, signs=True)
    if options.json:
        screen.show_json({"offered": versions})
    else:
        told = ", ".join(f"{region} (version {version})" for region, version in versions.items())
        screen.say(f"the content of version {options.to} is offered again: {told}", "ok")
    return 0


ARGUMENTS = {
    "rollout": _rollout_arguments,
    "pause": _stop_arguments,
    "abort": _stop_arguments,
    "rollback": _rollback_arguments,
}
RUNS = {"rollout": _rollout, "pause": _pause, "abort": _abort, "rollback": _rollback}
