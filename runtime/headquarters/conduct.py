"""Drives a rollout: reads what regions say, writes the next state into the audit, then does what the state asks for.

Nothing is remembered between two looks but what stands at the hub, so it can end anywhere and go on on another machine.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import msgspec

from runtime import clock
from runtime.errors import Overtaken, Refused
from runtime.fleet.rollout import OPEN, Order, Rollout, Step, abort, advance, find_orders, pause, resume
from runtime.fleet.sight import Sight
from runtime.headquarters.office import Office, Standing

_NONE = "there is no rollout under way"


def detail_of(rollout: Rollout, **more: Any) -> dict[str, Any]:
    """What a record of the audit says about it: the whole state, so that anybody can go on."""
    return {"rollout": msgspec.to_builtins(rollout, str_keys=True), **more}


async def check_free(office: Office, regions: Collection[str] | None = None) -> Standing:
    """Raises `Refused` while a rollout is under way: any, or one that has some of these regions."""
    standing = await office.standing()
    rollout = standing.rollout
    if rollout is not None and rollout.state in OPEN and (regions is None or set(regions) & set(rollout.target)):
        raise Refused(
            f"rollout {rollout.id} is {rollout.state}"
            + (": one at a time" if regions is None else " and has these regions"),
            hint="`entrepot fleet rollout --continue` goes on with it, `entrepot fleet abort` stops it",
        )
    return standing


async def start(office: Office, rollout: Rollout, *, ticket: str, **more: Any) -> None:
    """Write it down; nobody is offered anything yet. Raises `Refused` while another one is under way."""
    standing = await check_free(office)
    await office.write_down(standing, "rollout.start", detail_of(rollout, **more), ticket=ticket)


class Look(NamedTuple):
    """One look: the state, what was decided, and what could not be done."""

    rollout: Rollout
    step: Step
    sights: dict[str, Sight]
    problems: list[str]
    progress: bool
    """Something was decided or done: look again at once, it may ask for more."""


async def drive(office: Office, show: Callable[[Look], None]) -> Rollout:
    """Until it is done or aborted. Raises `Retryable` when the hub is away."""
    await office.desk.stirred(0)
    while True:
        found = await look(office)
        show(found)
        if found.rollout.state not in OPEN:
            return found.rollout
        if not found.progress:
            await office.desk.stirred(_patience(office, found.rollout))


async def look(office: Office) -> Look:
    """One look, one step, and what it asks for. Raises `Refused` when there is nothing to drive."""
    while True:
        standing = await office.standing()
        rollout = standing.rollout
        if rollout is None:
            raise Refused(_NONE)
        sights = await office.sights(list(rollout.target))
        step = advance(rollout, sights, office.folder.freezes, clock.now_us())
        try:
            if step.what:
                await office.write_down(standing, step.what, detail_of(step.rollout, says=step.says))
            done, problems = await _carry_out(office, step.rollout, find_orders(step.rollout, sights))
        except Overtaken:
            continue  # another desk has written: its word is read first
        return Look(step.rollout, step, sights, problems, bool(step.what or done))


async def _carry_out(office: Office, rollout: Rollout, orders: list[Order]) -> tuple[int, list[str]]:
    """What one region cannot be told keeps nobody else from hearing it. Raises `Overtaken`."""
    done, problems = 0, []
    for order in orders:
        try:
            await office.carry_out(order, ticket="", note=f"rollout {rollout.id}: {rollout.reason}"[:500])
            done += 1
        except Refused as error:
            problems.append(f"{order.region}: {error}")
    return done, problems


async def stop(office: Office, reason: str, *, ticket: str) -> Rollout:
    """Abort what is under way and bring the old content back to everybody who was offered the change."""

    def decide(rollout: Rollout, sights: dict[str, Sight]) -> Step:
        return abort(rollout, sights, reason, clock.now_us(), whole=True)

    return await _decide(office, decide, ticket)


async def take_back(office: Office, reason: str, *, ticket: str) -> Rollout:
    """Bring the old content back after a rollout has ended, wherever nothing newer was offered. Raises `Refused`."""
    standing = await office.standing()
    rollout = standing.rollout
    if rollout is None:
        raise Refused("there was no rollout yet", hint="name regions and --to VERSION")
    if rollout.state in OPEN:
        return await stop(office, reason, ticket=ticket)
    step = abort(rollout, await office.sights(list(rollout.target)), reason, clock.now_us(), whole=True)
    await office.write_down(standing, "rollout.rollback", detail_of(step.rollout, says=step.says), ticket=ticket)
    return step.rollout


async def hold(office: Office, reason: str, *, ticket: str) -> Rollout:
    """Pause it."""
    return await _decide(office, lambda rollout, _: pause(rollout, reason), ticket)


async def go_on(office: Office, *, ticket: str) -> Rollout:
    """The end of a pause; a rollout that runs is left as it is."""

    def decide(rollout: Rollout, _: dict[str, Sight]) -> Step:
        return resume(rollout) if rollout.state == "paused" else Step(rollout=rollout)

    return await _decide(office, decide, ticket)


async def _decide(office: Office, decide: Callable[[Rollout, dict[str, Sight]], Step], ticket: str) -> Rollout:
    while True:
        standing = await office.standing()
        rollout = standing.rollout
        if rollout is None or rollout.state not in OPEN:
            last = "" if rollout is None else f"; the last one, {rollout.id}, is {rollout.state}"
            raise Refused(f"{_NONE}{last}")
        if rollout.state == "aborting":
            return rollout
        step = decide(rollout, await office.sights(list(rollout.target)))
        try:
            if step.what:
                await office.write_down(standing, step.what, detail_of(step.rollout, says=step.says), ticket=ticket)
            return step.rollout
        except Overtaken:
            continue


def _patience(office: Office, rollout: Rollout) -> float:
    """Look again when the soak ends, and often enough without a word from anybody."""
    seconds = office.folder.settings.rollout.poll_seconds
    if rollout.calm_since_us:
        left = rollout.limits.soak_seconds - (clock.now_us() - rollout.calm_since_us) / 1_000_000
        return max(0.05, min(seconds, left))
    return seconds
