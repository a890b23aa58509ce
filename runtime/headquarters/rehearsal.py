"""The agents' dry run: each says what a revision would change there, or why it cannot be, before anybody is offered it.

Its files are laid down at the hub by their digests, as a rollout does; nothing else of it stays anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import anyio
import msgspec
from msgspec import Struct

from runtime.errors import Permanent, Refused, Retryable
from runtime.fleet.documents import DryRun
from runtime.fleet.probes import REHEARSE, UNKNOWN
from runtime.headquarters.interview import Heard, ask
from runtime.headquarters.office import Office
from runtime.headquarters.proposal import Proposal, revision_of

ASKED_MAX = 32
"""Agents that are asked at a time."""
EXPIRES_SECONDS = 300.0
"""Nobody answers the question after that: time for clocks that differ, and no more."""

State = Literal["ready", "waits", "refused", "silent", "older", "not believed"]


class Rehearsed(Struct, frozen=True, kw_only=True):
    """What came of it in one region."""

    region: str
    state: State
    """`silent`: no answer; `older`: its agent knows no dry run; `not believed`: it was not the region that answered."""
    reason: str


async def rehearse(office: Office, proposals: Sequence[Proposal], *, seconds_max: float) -> list[Rehearsed]:
    """Of all that may go, in their order. `seconds_max`: how long each agent may take."""
    found: dict[str, Rehearsed] = {}
    limiter = anyio.CapacityLimiter(ASKED_MAX)

    async def one(proposal: Proposal) -> None:
        async with limiter:
            state, reason = await _rehearsed(office, proposal, seconds_max)
            found[proposal.region] = Rehearsed(region=proposal.region, state=state, reason=reason)

    asked = [proposal for proposal in proposals if proposal.may_go]
    async with anyio.create_task_group() as tasks:
        for proposal in asked:
            tasks.start_soon(one, proposal)
    return [found[proposal.region] for proposal in asked]


async def _rehearsed(office: Office, proposal: Proposal, seconds_max: float) -> tuple[State, str]:
    region = proposal.region
    if region not in office.folder.region_keys:
        return "silent", "not asked: it is not enrolled, so its answer could not be believed"
    try:
        await office.lay_down_files(region, proposal.rendered)
        document = office.rehearsal(revision_of(office, proposal, ticket="", note=""), seconds_max=EXPIRES_SECONDS)
        heard = await ask(office, region, REHEARSE, seconds_max=seconds_max, rehearsal=document)
    except Retryable as error:
        return "silent", str(error)
    except Refused as error:
        return "not believed", str(error)
    except Permanent as error:
        return "refused", str(error)
    return judge(heard)


def judge(heard: Heard) -> tuple[State, str]:
    """What an answer means. Pure."""
    said: Any = heard.answer
    error = said.get("error") if isinstance(said, dict) else None
    if error == UNKNOWN:
        return "older", "its agent knows no dry run; it tries the revision when it is offered"
    if heard.doubt:
        return "not believed", heard.doubt
    if error is not None:
        return "silent", str(error)
    try:
        verdict = msgspec.convert(said, DryRun)
    except msgspec.ValidationError:
        return "older", "its answer cannot be read: its agent is of another version"
    return verdict.state, verdict.reason
