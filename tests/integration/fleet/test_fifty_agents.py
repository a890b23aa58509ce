"""Fifty real agents on one hub, and headquarters' own commands: what breaks every third region stops in its wave."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from tests.support.nats import NatsServer
from tests.support.region import Region, events, expected, fact, origins, stored, until
from tests.support.simulated_fleet import BASE, Fleet

pytestmark = pytest.mark.anyio
AGENTS = 50
STARTING_MAX = 3
"""Agents that start at once: two cores must stay enough for each to be ready in time."""
STEP_SECONDS_MAX = 200.0
ROLLOUT = "waves_percent = [2, 60, 100]\nsoak_seconds = 1\npoll_seconds = 1"
"""One region; then every third of a crowd breaks at once; then the rest, which must never get it."""
TOO_SMALL = "[sources.wms.limits]\nbody_bytes_max = 10\n"
NUMBERS = count(1)


class Crowd:
    """A hub, headquarters' folder, and a real agent for each region of it. Every third one is in the group `third`."""

    def __init__(self, hub: NatsServer, fleet: Fleet, regions: dict[str, Region]) -> None:
        self.hub, self.fleet, self.regions = hub, fleet, regions
        names = list(regions)
        second_ends = -(-len(names) * 60 // 100)
        self.first, self.second, self.rest = names[:1], names[1:second_ends], names[second_ends:]
        self.broken = [name for name in self.second if is_third(name)]
        self.good = [name for name in self.second if not is_third(name)]

    async def rows(self) -> dict[str, dict[str, Any]]:
        """What `entrepot fleet ls` says."""
        _, rows = await self.fleet.json("ls")
        return {row["region"]: row for row in rows}

    async def told(self, names: list[str], **wanted: Any) -> dict[str, dict[str, Any]]:
        """The same, once it says this of all these regions."""
        wrong: dict[str, Any] = {}

        async def is_so() -> dict[str, dict[str, Any]] | None:
            rows = await self.rows()
            wrong.clear()
            wrong.update({n: rows[n] for n in names if any(rows[n][key] != value for key, value in wanted.items())})
            return None if wrong else rows

        return dict(await within(is_so, f"ls says {wanted}", wrong))

    async def stages(self, names: list[str]) -> dict[str, Any]:
        """What each agent itself says of its revision."""
        return {name: (await self.regions[name].status()).get("revision") for name in names}

    async def on_trial(self, version: int) -> None:
        """Until all that break work by it; each refuses its partner from then on, so none can confirm meanwhile."""
        last: dict[str, Any] = {}

        async def is_so() -> bool:
            last.update(await self.stages(self.broken))
            early = {name: now for name, now in last.items() if now and now["stage"] in {"reverted", "confirmed"}}
            ended = {name: now for name, now in early.items() if now["version"] == version}
            assert not ended, f"a trial ended before all had begun: {ended}"
            begun = [name for name in self.broken if f'"version":{version}' in trials(self.regions[name])]
            if len(begun) < len(self.broken):
                await self.send(begun)
            return len(begun) == len(self.broken)

        await within(is_so, "all that break are on trial", last)

    async def reverted(self, version: int) -> None:
        """Until all that break have gone back, with partners that go on sending."""
        last: dict[str, Any] = {}

        async def is_so() -> bool:
            last.update(await self.stages(self.broken))
            left = [name for name, now in last.items() if not now or now["stage"] != "reverted"]
            await self.send(left)
            return not left

        await within(is_so, "they revert", last)
        assert {(now["version"], now["in_force"], now["confirmed"]) for now in last.values()} == {(version, 1, 1)}

    async def send(self, names: list[str]) -> None:
        """One message to each, whatever it answers."""
        for name in names:
            with suppress(OSError):
                await self.regions[name].send(fact(next(NUMBERS)))

    async def accept(self, names: list[str]) -> None:
        """One message to each, until there is a receipt."""
        for name in names:
            await self.regions[name].persist([fact(next(NUMBERS))])


async def within(condition: Callable[[], Awaitable[Any]], what: str, seen: dict[str, Any]) -> Any:
    """`until`; a failure says what was seen last."""
    try:
        return await until(condition, what, STEP_SECONDS_MAX)
    except AssertionError as error:
        raise AssertionError(f"{error}; seen: {seen}") from None


def is_third(name: str) -> bool:
    return int(name[-2:]) % 3 == 2


def trials(region: Region) -> str:
    """Lines of its log that say that a revision was put on trial."""
    return "\n".join(line for line in region.log.splitlines() if "of headquarters is on trial" in line)


def region_of(directory: Path, name: str, hub: NatsServer, fleet: Fleet, *, patience: float) -> Region:
    """One that breaks must stay on trial until the last one is; all others are quick."""
    soak, intake = (patience / 3, patience) if is_third(name) else (1.0, 5.0)
    table = (
        f'\n[fleet]\nrelease_keys = ["{fleet.public_key}"]\npoll_seconds = 15\npresence_seconds = 30\n'
        f"soak_seconds = {soak}\nintake_seconds_max = {intake}\n"
    )
    region = Region(directory / name, hub.url, region=name, more=table)
    # What is a second elsewhere, so that a test need not wait, would keep the machine busy here.
    text = region.config.read_text().replace("audit_seconds = 1.0", "audit_seconds = 60.0")
    region.config.write_text(text.replace("checkpoint_seconds = 1\n", "checkpoint_seconds = 60\n"))
    return region


@asynccontextmanager
async def crowd(tmp_path: Path, agents: int, *, patience: float) -> AsyncIterator[Crowd]:
    names = [f"r-{number:02}" for number in range(agents)]
    async with NatsServer(tmp_path / "hub") as hub, AsyncExitStack() as running:
        fleet = await Fleet.made(tmp_path / "fleet", hub.url, [])
        tables = "".join(
            f'[regions.{name}]\njurisdiction = "DE"\ngroups = {["eu", "third"] if is_third(name) else ["eu"]}\n'
            for name in names
        )
        fleet.configure(rollout=ROLLOUT, more=f'third = "Every third region"\n{tables}')
        code, out, err = await fleet.run("topology", "--apply")
        assert code == 0, out + err
        regions: dict[str, Region] = {}
        room = anyio.CapacityLimiter(STARTING_MAX)

        async def start(name: str) -> None:
            async with room:
                # Its port is drawn only now: the ports of those before it are taken, so nobody gets one twice.
                regions[name] = region_of(tmp_path, name, hub, fleet, patience=patience)
                await running.enter_async_context(regions[name])
                fleet.write(f"enrolled/{name}.pub", regions[name].public_key.read_text())

        async with anyio.create_task_group() as tasks:
            for name in names:
                tasks.start_soon(start, name)
        yield Crowd(hub, fleet, {name: regions[name] for name in names})


@contextmanager
def desk(fleet: Fleet, log: Path, *words: str) -> Iterator[None]:
    """A command of headquarters that dies with the hub."""
    command = [sys.executable, "-m", "runtime.cli", "fleet", *words, "--fleet", str(fleet.directory)]
    with log.open("wb") as file, subprocess.Popen(command, stdout=file, stderr=file) as process:
        try:
            yield
        finally:
            process.kill()


@pytest.mark.soak
@pytest.mark.parametrize(("agents", "patience"), [(6, 6.0), (AGENTS, 39.0)], ids=["six", "fifty"])
async def test_what_breaks_every_third_agent_reverts_without_the_hub_and_never_reaches_the_rest(
    tmp_path: Path, agents: int, patience: float
) -> None:
    async with crowd(tmp_path, agents, patience=patience) as it:
        code, out, err = await it.fleet.run("rollout", "--yes", "--note", "good", seconds_max=STEP_SECONDS_MAX)
        assert code == 0, out + err
        rows = await it.told(list(it.regions), stage="confirmed", version=1, offered=1)
        assert not any(row["problems"] or row["silent"] for row in rows.values())
        await it.accept(list(it.regions))

        it.fleet.write("base/entrepot.toml", BASE.replace("72", "100"))
        it.fleet.write("groups/third/entrepot.toml", TOO_SMALL)
        with desk(it.fleet, tmp_path / "desk.log", "rollout", "--yes", "--json"):
            await it.on_trial(2)
            it.hub.kill()
        await it.reverted(2)
        await it.accept(it.broken)
        await it.hub.start()

        rows = await it.told(it.broken, stage="reverted", version=1, offered=2, failed=[2])
        assert all("requests to wms are refused" in rows[name]["reason"] for name in it.broken)
        _, shown = await it.fleet.json("show", it.broken[0])
        assert (shown["stage"], shown["failed"]) == ("reverted", [2])
        assert "requests to wms are refused" in shown["drift"][0]
        await it.told(it.good, stage="confirmed", version=2)

        await stopped(it)
        rows = await it.told(it.second, stage="confirmed", version=3, offered=3)
        assert {name for name, row in rows.items() if row["failed"] == [2]} == set(it.broken)
        assert {(rows[name]["version"], rows[name]["offered"]) for name in it.first} == {(2, 2)}, "its wave was good"
        assert {(rows[name]["version"], rows[name]["offered"]) for name in it.rest} == {(1, 1)}
        assert not any('"version":2' in trials(it.regions[name]) for name in it.rest)
        await nothing_is_lost(it)


async def stopped(it: Crowd) -> None:
    """Another desk goes on where the dead one was, and stops the wave for what the regions said."""
    code, out, err = await it.fleet.run("rollout", "--continue", "--json", seconds_max=STEP_SECONDS_MAX)
    assert code == 2, out + err
    looks = [json.loads(line) for line in out.splitlines()]
    assert (looks[-1]["state"], looks[-1]["wave"]) == ("aborted", 2)
    broken = {name: why for look in looks for name, why in look["broken"].items()}
    assert set(broken) == set(it.broken)
    assert all(why.startswith("reverted: intake is broken: ") for why in broken.values()), broken
    _, history = await it.fleet.json("history", "--limit", "100")
    assert history["ok"]
    assert [record["what"] for record in history["records"]][-1] == "rollout.aborted"
    assert all(why in json.dumps(history) for why in broken.values())


async def nothing_is_lost(it: Crowd) -> None:
    """Every region takes messages, and those that broke have kept all they gave a receipt for."""
    await it.accept(list(it.regions))
    for name in it.broken:
        region = it.regions[name]
        await region.settled(facts=len(region.receipts))
        messages = await stored(it.hub.url, f"{name.upper()}_REALTIME")
        assert len(events(messages)) == len(region.receipts) > 2
        assert origins(messages) == expected(region.receipts)
