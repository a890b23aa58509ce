"""What would be sent to each region, and what trying it has shown: the files in git beside what the hub has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import anyio.to_thread
import msgspec
from msgspec import Struct

from runtime import clock
from runtime.errors import Refused
from runtime.fleet.documents import Revision
from runtime.fleet.layers import Rendered
from runtime.fleet.plan import RegionPlan, file_digest, make_plan, make_revision
from runtime.fleet.sight import Sight
from runtime.fleet.steering import check_steering
from runtime.headquarters.folder import Folder
from runtime.headquarters.office import Newest, Office
from runtime.headquarters.trial import Trial, try_region


class Proposal(Struct, frozen=True, kw_only=True):
    """One region."""

    region: str
    sight: Sight
    plan: RegionPlan
    rendered: Rendered
    trial: Trial

    @property
    def may_go(self) -> bool:
        """There is something to send, and nothing speaks against it."""
        return not (self.plan.empty or self.trial.refused)


async def propose(office: Office, regions: Sequence[str], progress: Callable[[str], None]) -> list[Proposal]:
    """Render, compare and try. Raises `ConfigError` for a folder that cannot be read, `Retryable` without a hub."""
    sights = await office.sights(regions)
    tried: dict[bytes, Trial] = {}
    found = []
    for region in regions:
        progress(region)
        found.append(await _propose(office, sights[region], tried))
    return found


async def _propose(office: Office, sight: Sight, tried: dict[bytes, Trial]) -> Proposal:
    folder, region = office.folder, sight.region
    rendered = await anyio.to_thread.run_sync(folder.render, region)
    try:
        newest, problems = await office.newest(sight), sight.problems
    except Refused as error:  # what stands there cannot be believed: it is replaced as if it were not there
        newest, problems = Newest(None, {}), [*sight.problems, str(error)]
    plan = make_plan(region, rendered, newest.revision, newest.files, highest=sight.highest)
    if plan.empty:
        return Proposal(region=region, sight=sight, plan=plan, rendered=rendered, trial=Trial())
    key = await anyio.to_thread.run_sync(_same, folder, region, rendered, newest.revision)
    if key not in tried:
        tried[key] = await anyio.to_thread.run_sync(try_region, folder, region, rendered, newest.revision, newest.files)
    trial = msgspec.structs.replace(tried[key], warnings=[*problems, *tried[key].warnings])
    try:
        check_steering(_statement(office, plan, rendered))
    except Refused as error:
        trial = msgspec.structs.replace(trial, refused=str(error), hint="rename or remove it: an agent would refuse it")
    return Proposal(region=region, sight=sight, plan=plan, rendered=rendered, trial=trial)


def _same(folder: Folder, region: str, rendered: Rendered, last: Revision | None) -> bytes:
    """Equal for regions whose trial can only have the same result: of many that differ in name alone one is tried."""
    files = {path: file_digest(content) for path, content in {**rendered.files, **rendered.golden}.items()}
    old: Any = None if last is None else [last.settings, last.files]
    jurisdiction = folder.settings.regions[region].jurisdiction
    parts = [rendered.settings, files, old, jurisdiction, folder.local(region)]
    return msgspec.json.encode(parts, order="sorted", enc_hook=str)


def revision_of(office: Office, proposal: Proposal, *, ticket: str, note: str) -> Revision:
    """The statement that would be signed."""
    return _statement(office, proposal.plan, proposal.rendered, ticket=ticket, note=note)


def _statement(office: Office, plan: RegionPlan, rendered: Rendered, *, ticket: str = "", note: str = "") -> Revision:
    return make_revision(
        rendered,
        region=plan.region,
        environment=office.environment,
        version=plan.version,
        at=clock.rfc3339(clock.now_us()),
        by=office.by,
        ticket=ticket,
        note=note,
    )


DETAIL_LINES_MAX = 1_000
"""Of one record of the audit, which is one message."""
LINE_CHARACTERS_MAX = 300


def describe(proposals: Sequence[Proposal], *, lines_max: int = DETAIL_LINES_MAX) -> list[dict[str, Any]]:
    """The difference of each; regions with the same one are told together. Bounded."""
    groups: dict[str, dict[str, Any]] = {}
    for proposal in proposals:
        lines = _lines(proposal.plan)
        one = groups.setdefault("\n".join(lines), {"regions": {}, "changes": lines})
        one["regions"][proposal.region] = proposal.plan.version
    left = lines_max
    for one in groups.values():
        told, more = one["changes"][:left], len(one["changes"]) - left
        left = max(0, -more)
        one["changes"] = told if more <= 0 else [*told, f"… and {more} more lines"]
    return list(groups.values())


def _lines(plan: RegionPlan) -> list[str]:
    lines = [f"{change.key}: {change.before or '–'} → {change.after or '–'}" for change in plan.keys]
    for change in plan.files:
        lines += [f"{change.path}: {(change.before or '–')[:16]} → {(change.after or '–')[:16]}", *change.diff]
    return [line if len(line) <= LINE_CHARACTERS_MAX else line[: LINE_CHARACTERS_MAX - 1] + "…" for line in lines]
