"""`entrepot fleet plan|apply|refresh|topology|keygen`: from files to signed revisions at the hub."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.cli import fleet_rehearsal
from runtime.cli.fleet_office import agreed, change_arguments, folder_argument, region_arguments, with_office
from runtime.errors import ConfigError, Refused

if TYPE_CHECKING:
    from runtime.headquarters.office import Office
    from runtime.headquarters.proposal import Proposal
    from runtime.headquarters.rehearsal import Rehearsed

KEY_FILE = "release.key"
LEAVES_SHOWN_MAX = 10


def _plan_arguments(parser: ArgumentParser) -> None:
    folder_argument(parser)
    region_arguments(parser)
    parser.add_argument(
        "--rehearse", action="store_true", help="ask each agent, too; needs the release key and offers nothing"
    )
    fleet_rehearsal.wait_argument(parser)
    parser.epilog = "Exit code 1: worth a second look, or an agent did not say. 2: at least one region is refused."


def _apply_arguments(parser: ArgumentParser) -> None:
    change_arguments(parser)
    parser.add_argument("regions", nargs="+", metavar="REGION", help="or group:NAME")
    parser.add_argument("--yes", action="store_true", help="do it without asking")
    parser.add_argument("--despite-freeze", action="store_true", help="in a freeze, too; needs --ticket")
    fleet_rehearsal.pass_argument(parser)


def _refresh_arguments(parser: ArgumentParser) -> None:
    change_arguments(parser)
    region_arguments(parser)
    parser.add_argument("--all", action="store_true", help="also those with more than half of their time left")
    parser.epilog = "Exit code 1: a region was left out, and why."


def _topology_arguments(parser: ArgumentParser) -> None:
    folder_argument(parser)
    parser.add_argument("--apply", action="store_true", help="make what is missing, mend what is weak")


def _keygen_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--to", metavar="FILE", default=KEY_FILE, help=f"where it goes (default: {KEY_FILE})")


# ---------------------------------------------------------------- plan


def _plan(options: Namespace) -> int:
    from runtime.cli import screen

    async def look(office: Office) -> tuple[list[Proposal], list[Rehearsed] | None]:
        found = await proposals(office, options.regions)
        if not options.rehearse:
            return found, None
        return found, await fleet_rehearsal.rehearsed(office, found, seconds_max=options.wait)

    found, rehearsed = with_office(options, look, signs=options.rehearse)
    if options.json:
        screen.show_json(_as_plain(found, rehearsed))
    else:
        show_proposals(found)
        fleet_rehearsal.show(rehearsed or [])
    return max(level(found), fleet_rehearsal.level(rehearsed or []))


async def proposals(office: Office, names: list[str]) -> list[Proposal]:
    """Of these regions, or of all; says on a terminal which one is being tried."""
    from runtime.headquarters.proposal import propose

    def progress(region: str) -> None:
        if sys.stderr.isatty():
            print(f"\r\033[Ktrying {region}", end="", file=sys.stderr, flush=True)

    try:
        return await propose(office, office.folder.pick(names), progress)
    finally:
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def level(found: list[Proposal]) -> int:
    """0, 1 or 2, as an exit code."""
    if any(proposal.trial.refused for proposal in found):
        return 2
    return 1 if any(p.trial.warnings or p.trial.golden or p.rendered.unused for p in found) else 0


def _as_plain(found: list[Proposal], rehearsed: list[Rehearsed] | None) -> list[dict[str, Any]]:
    """For programs. `rehearsal` stands there if it was asked for: null where there is nothing to ask."""
    import msgspec

    said = fleet_rehearsal.as_plain(rehearsed or [])
    return [
        {
            "region": proposal.region,
            "plan": msgspec.to_builtins(proposal.plan),
            "trial": msgspec.to_builtins(proposal.trial),
            "unused_files": proposal.rendered.unused,
        }
        | ({} if rehearsed is None else {"rehearsal": said.get(proposal.region)})
        for proposal in found
    ]


def show_proposals(found: list[Proposal]) -> None:
    """For people: regions with the same difference are shown together."""
    from runtime.cli import screen
    from runtime.headquarters.proposal import describe

    changing = [proposal for proposal in found if not proposal.plan.empty]
    for group in describe(changing):
        screen.say(", ".join(f"{region} (version {version})" for region, version in group["regions"].items()))
        for line in group["changes"]:
            screen.say(f"  {line}")
    for said, level_of, regions in _findings(changing):
        names = ", ".join(regions[:5]) + (f" and {len(regions) - 5} more" if len(regions) > 5 else "")
        screen.say(f"{names}: {said}", level_of)
    same = len(found) - len(changing)
    if same:
        screen.say(f"{same} of {counted(found)} have what the files say", "ok")
    samples = sum(proposal.trial.samples for proposal in changing)
    refused = [proposal.region for proposal in changing if proposal.trial.refused]
    if changing and not refused:
        screen.say(f"{counted(changing)} would change; tried, with {samples} golden messages", "ok")


def counted(regions: Collection[Any]) -> str:
    """`1 region`, `50 regions`."""
    return f"{len(regions)} region{'' if len(regions) == 1 else 's'}"


def _findings(changing: list[Proposal]) -> list[tuple[str, str, list[str]]]:
    """(sentence, level, regions), the same sentence of several regions once."""
    found: dict[tuple[str, str], list[str]] = {}
    for proposal in changing:
        trial = proposal.trial
        said = [(f"{one.sample}: {one.says}{_leaves(one.differences)}", "warning") for one in trial.golden]
        said += [(warning, "warning") for warning in trial.warnings]
        said += [(f"nothing names the file {path}", "warning") for path in proposal.rendered.unused]
        said += [(f"would let out more: {leaf}", "critical") for leaf in trial.loosened[:LEAVES_SHOWN_MAX]]
        if len(trial.loosened) > LEAVES_SHOWN_MAX:
            said.append((f"and {len(trial.loosened) - LEAVES_SHOWN_MAX} more leaves; --json shows all", "critical"))
        if trial.refused:
            said.append((f"refused: {trial.refused}" + (f"\n  next: {trial.hint}" if trial.hint else ""), "critical"))
        for one in said:
            found.setdefault(one, []).append(proposal.region)
    return [(said, level_of, regions) for (said, level_of), regions in found.items()]


def _leaves(differences: list[Any]) -> str:
    return "".join(f"\n  {d.leaf}: {d.before or '–'} → {d.after or '–'}" for d in differences)


def check_may_go(found: list[Proposal]) -> list[Proposal]:
    """Those that change something. Raises `Refused` when one of them may not, or none does."""
    for proposal in found:
        if proposal.trial.refused:
            raise Refused(f"{proposal.region}: {proposal.trial.refused}", hint=proposal.trial.hint)
    changing = [proposal for proposal in found if not proposal.plan.empty]
    if not changing:
        raise Refused("the files change nothing: every region has what they say")
    return changing


async def rehearse_first(office: Office, changing: list[Proposal], options: Namespace) -> list[Rehearsed]:
    """The agents' dry run before anything is offered. Raises `Refused` when one of them would not take it."""
    if options.no_rehearsal:
        return []
    found = await fleet_rehearsal.rehearsed(office, changing, seconds_max=options.wait)
    if not options.json:
        fleet_rehearsal.show(found)
    fleet_rehearsal.check(found)
    return found


# ---------------------------------------------------------------- apply


def _apply(options: Namespace) -> int:
    from runtime.cli import screen

    async def work(office: Office) -> int:
        found = await proposals(office, options.regions)
        if not options.json:
            show_proposals(found)
        changing = check_may_go(found)
        await _check_free(office, changing, options)
        rehearsed = await rehearse_first(office, changing, options)
        if not agreed(options, f"send this to {counted(changing)}?"):
            screen.say("nothing was offered; add --yes to do it")
            return 1
        await _send(office, changing, options)
        if options.json:
            sent = {p.region: p.plan.version for p in changing}
            screen.show_json({"sent": sent, "rehearsal": fleet_rehearsal.as_plain(rehearsed)})
        else:
            screen.say(f"offered to {counted(changing)}; `entrepot fleet ls` shows what they make of it", "ok")
        return 0

    return with_office(options, work, signs=True)


async def _check_free(office: Office, changing: list[Proposal], options: Namespace) -> None:
    """Raises `Refused` for a freeze, a veto, or a rollout that is under way."""
    from runtime import clock
    from runtime.fleet.rollout import find_freeze
    from runtime.headquarters.conduct import check_free

    regions = [proposal.region for proposal in changing]
    await check_free(office, regions)
    vetoed = [proposal for proposal in changing if proposal.sight.veto]
    if vetoed:
        raise Refused(f"{vetoed[0].region} takes no change now: {vetoed[0].sight.veto}", hint="ask its regional IT")
    freeze = find_freeze(office.folder.freezes, regions, clock.now_us())
    if freeze is not None and not (options.despite_freeze and options.ticket):
        raise Refused(
            f"frozen until {freeze.until} ({freeze.reason})", hint="wait, or use --despite-freeze with a --ticket"
        )


async def _send(office: Office, changing: list[Proposal], options: Namespace) -> None:
    from runtime.headquarters.proposal import describe, revision_of

    for proposal in changing:
        revision = revision_of(office, proposal, ticket=options.ticket, note=options.note)
        await office.lay_down(revision, proposal.rendered)
    detail = {"regions": [p.region for p in changing], "changes": describe(changing), "says": options.note}
    await office.note("revision.publish", detail, ticket=options.ticket)
    for proposal in changing:
        await office.offer(proposal.region, proposal.plan.version)


# ---------------------------------------------------------------- refresh, topology, keygen


def _refresh(options: Namespace) -> int:
    from runtime.cli import screen

    async def work(office: Office) -> dict[str, str]:
        sights = await office.sights(office.folder.pick(options.regions))
        return {region: await _renew(office, sight, everybody=options.all) for region, sight in sights.items()}

    found = with_office(options, work, signs=True)
    left_out = {region: why for region, why in found.items() if why not in {"renewed", "fresh", "nothing offered"}}
    if options.json:
        screen.show_json(found)
    else:
        renewed = list(found.values()).count("renewed")
        screen.say(f"renewed for {renewed} of {counted(found)}", "ok")
        for region, why in left_out.items():
            screen.say(f"{region}: {why}", "warning")
    return 1 if left_out else 0


async def _renew(office: Office, sight: Any, *, everybody: bool) -> str:
    from runtime import clock
    from runtime.errors import Overtaken

    if not sight.offered:
        return "nothing offered" if not sight.problems else "; ".join(sight.problems)
    if sight.confirmed > sight.offered:
        return f"it has version {sight.confirmed}, the hub offers {sight.offered}: `entrepot fleet apply` it anew"
    left_us = sight.expires_us - clock.now_us()
    if not everybody and left_us > office.folder.settings.timestamp_days * 43_200 * 1_000_000:
        return "fresh"
    try:
        await office.renew(sight)
    except Overtaken:
        return "renewed"  # by a newer offer
    return "renewed"


def _topology(options: Namespace) -> int:
    from runtime.cli import screen

    async def work(office: Office) -> list[dict[str, Any]]:
        import msgspec

        return [msgspec.to_builtins(report) for report in await office.desk.topology(apply=options.apply)]

    rows = with_office(options, work)
    worry = any(not row["exists"] or row["notes"] for row in rows)
    if options.json:
        screen.show_json(rows)
        return 1 if worry else 0
    columns = ("stream", "state", "messages")
    screen.table(columns, [(r["stream"], "there" if r["exists"] else "missing", r["messages"]) for r in rows])
    for row in rows:
        for change in row["changed"]:
            screen.say(f"{row['stream']}: {change}", "ok")
        for note in row["notes"]:
            screen.say(f"{row['stream']}: {note}", "warning")
    if not options.apply and worry:
        print("`entrepot fleet topology --apply` makes and mends")
    return 1 if worry else 0


def _keygen(options: Namespace) -> int:
    from runtime.cli import screen
    from runtime.headquarters.key import create

    path = Path(options.to)
    if path.is_dir():
        raise ConfigError(f"--to: {path} is a folder", hint=f"name the file, such as {path / KEY_FILE}")
    public = create(path)
    if options.json:
        screen.show_json({"key": str(path), "public_key": public})
        return 0
    screen.say(f"{path} holds the private key: keep it on this machine, out of git", "ok")
    print(f"public key: {public}")
    print("  next: add it to release_keys in fleet.toml, and to [fleet] release_keys in each region's entrepot.toml")
    return 0


ARGUMENTS = {
    "plan": _plan_arguments,
    "apply": _apply_arguments,
    "refresh": _refresh_arguments,
    "topology": _topology_arguments,
    "keygen": _keygen_arguments,
}
RUNS = {"plan": _plan, "apply": _apply, "refresh": _refresh, "topology": _topology, "keygen": _keygen}
