"""The hub: a scratch stream of its own, and a connection that is cut without a goodbye, again and again.

Afterwards the stream must be what was accepted: every event once, in order, at its own position.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from secrets import token_hex
from typing import Any

import anyio

from runtime import record
from runtime.certify import scratch, subject
from runtime.certify.ground import Finding, Ground, judged, not_tried
from runtime.config.assemble import Configuration
from runtime.errors import EntrepotError
from runtime.kernel import Kernel, open_kernel
from runtime.ports import TRIAL_ENVIRONMENT, HubLink, Scope

CUTS = 12
MESSAGES_OF_A_CUT = 40
CUT_SECONDS_MAX = 0.25
SECONDS_MAX = 60.0
ANSWER_SECONDS_MAX = 15.0
TRIAL = "partition"
LANES = (scratch.LANE, record.CHECKPOINTS_LANE)
SHOWS_NOT = (
    "The connection is cut at this end. The hub itself is not killed: other regions use it. Its acknowledgements come "
    "before its disks are synced, which is why acknowledged rows are kept for refill."
)


class _Silent:
    """Implements `runtime.ports.HubObserver`."""

    def connected(self, server: str, version: str) -> None: ...
    def disconnected(self, reason: str, hint: str = "") -> None: ...
    def lane(self, name: str, *, hub_last: int, notes: Sequence[str]) -> None: ...
    def refused(self, lane: str, reason: str) -> None: ...
    def log(self, event: str, **fields: Any) -> None: ...


def run(ground: Ground, configuration: Configuration) -> Finding:
    """With the hub and the credentials of the real configuration, under a name that no region has."""
    region = f"{TRIAL_ENVIRONMENT}-{token_hex(4)}"
    scope = Scope(
        region=region,
        environment=TRIAL_ENVIRONMENT,
        directory=str(configuration.directory),
        secret=configuration.vault.secret,
    )
    link = configuration.hub.link(configuration.hub_settings, scope)
    return anyio.run(_run, ground, link, region, lambda: configuration.hub.link(configuration.hub_settings, scope))


async def _run(ground: Ground, link: HubLink, region: str, new_link: Callable[[], HubLink]) -> Finding:
    names = " and ".join(record.stream_name(region, lane) for lane in LANES)
    why = await _made(link)
    left = await _removed(link)  # before anything is tried: what cannot be removed must not be filled
    if why and left:
        return not_tried(TRIAL, f"the hub takes no scratch stream from this agent: {why}")
    if left:
        return not_tried(TRIAL, f"{left}; ask the central team to remove {names}")
    why = await _made(link)
    if why:
        return not_tried(TRIAL, f"the hub takes no scratch stream from this agent: {why}")
    try:
        finding = await _tried(ground, link, region, new_link)
    finally:
        left = await _removed(link)
    return judged(TRIAL, [f"{left}: {names}"], "", figures=finding.figures, shows_not=SHOWS_NOT) if left else finding


async def _made(link: HubLink) -> str:
    """Why the scratch streams cannot be made; empty when they are there."""
    try:
        with anyio.fail_after(ANSWER_SECONDS_MAX):
            await link.topology({scratch.LANE: 1}, apply=True)
    except (EntrepotError, TimeoutError) as error:
        return str(error) or "it did not answer"
    return ""


async def _removed(link: HubLink) -> str:
    """Why the scratch streams are still there; empty when they are gone."""
    try:
        with anyio.fail_after(ANSWER_SECONDS_MAX):
            await link.remove(LANES)
    except (EntrepotError, TimeoutError) as error:
        return f"the scratch streams could not be removed again: {str(error) or 'the hub did not answer'}"
    return ""


async def _tried(ground: Ground, link: HubLink, region: str, new_link: Callable[[], HubLink]) -> Finding:
    home = ground.folder / "hub"
    home.mkdir()
    messages = CUTS * MESSAGES_OF_A_CUT
    try:
        with anyio.fail_after(SECONDS_MAX):
            async with open_kernel(scratch.configuration(home, region)) as kernel:
                await _ship_through_cuts(ground, kernel, new_link)
                wrong = await _differences(kernel, link, messages)
    except TimeoutError:
        wrong = [f"not everything had reached the hub after {SECONDS_MAX:.0f} s"]
    return judged(
        TRIAL,
        wrong,
        f"through {CUTS} cut connections each of {messages} events reached the hub once, in order, at its own position",
        figures={"cuts": CUTS, "events": messages},
        shows_not=SHOWS_NOT,
    )


async def _ship_through_cuts(ground: Ground, kernel: Kernel, new_link: Callable[[], HubLink]) -> None:
    """Accept a batch, ship for a random moment, cut; at the end ship until everything is acknowledged."""
    for cut in range(CUTS):
        first = cut * MESSAGES_OF_A_CUT + 1
        with anyio.move_on_after(ground.chance.uniform(0.0, CUT_SECONDS_MAX)):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_ship, kernel, new_link())
                await anyio.sleep_forever()
        for number in range(first, first + MESSAGES_OF_A_CUT):
            await subject.accept(kernel, number, lambda _: None)
        await _translated(kernel)
        ground.say(f"partition: {cut + 1} cuts")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_ship, kernel, new_link())
        lane = kernel.lanes[scratch.LANE]
        while (await lane.head()).acked < CUTS * MESSAGES_OF_A_CUT:  # noqa: ASYNC110 - the lane tells the uplink, nobody else
            await anyio.sleep(0.02)
        tasks.cancel_scope.cancel()


async def _ship(kernel: Kernel, link: HubLink) -> None:
    await link.run(list(kernel.lanes.values()), kernel.checkpoints, _Silent())


async def _translated(kernel: Kernel) -> None:
    while (tally := await kernel.journal.write(kernel.translate.batch)).facts:
        kernel.moved(tally.positions)


async def _differences(kernel: Kernel, link: HubLink, messages: int) -> list[str]:
    """The hub's stream, read by a connection of its own, against what was accepted."""
    lane = kernel.lanes[scratch.LANE]
    wrong: list[str] = []
    last = await link.last(scratch.LANE)
    if last is None or last.seq != messages:
        wrong.append(f"the stream ends at {last.seq if last else 0}, {messages} events were accepted")
    position = 0
    async for stored in link.read(scratch.LANE, 1, messages):
        position += 1
        chain = await lane.chain_at(position)
        said = stored.headers.get(record.ORIGIN_HEADER), stored.headers.get(record.CHAIN_HEADER)
        if stored.seq != position or said != (f"1.{position}.0", chain.hex() if chain else ""):
            wrong.append(f"position {stored.seq} of the stream holds event {said[0]}")
    if position != messages:
        wrong.append(f"{messages - position} events are not in the stream")
    return wrong
