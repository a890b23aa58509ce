"""Headquarters' commands and a real agent: what one says the other takes, refuses with the reason, and answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest

from tests.support.madehub import MadeHub
from tests.support.nats import NatsServer
from tests.support.region import Region, fact, until
from tests.support.simulated_fleet import BASE, Fleet

pytestmark = pytest.mark.anyio
FAST = "poll_seconds = 0.5\npresence_seconds = 0.5\nsoak_seconds = 0.5\nintake_seconds_max = 1.0\n"


@asynccontextmanager
async def scene(tmp_path: Path) -> AsyncIterator[tuple[Fleet, Region]]:
    """One real region that trusts the fleet's release key, and is enrolled with its own."""
    async with NatsServer(tmp_path / "hub") as hub:
        fleet = await Fleet.made(tmp_path / "fleet", hub.url, ["eu-de"])
        code, out, err = await fleet.run("topology", "--apply")
        assert code == 0, out + err
        region = Region(tmp_path / "region", hub.url, more=f'\n[fleet]\nrelease_keys = ["{fleet.public_key}"]\n{FAST}')
        async with region:
            await anyio.to_thread.run_sync(enrol, fleet, region)
            yield fleet, region


def enrol(fleet: Fleet, region: Region) -> None:
    """As `fleet enrol approve` leaves it: a file beside fleet.toml."""
    file = fleet.directory / "fleet.toml"
    lines = [line for line in file.read_text().splitlines() if not line.startswith("public_key")]
    file.write_text("\n".join(lines) + "\n")
    fleet.write("enrolled/eu-de.pub", region.public_key.read_text())


async def row(fleet: Fleet, **wanted: Any) -> dict[str, Any]:
    """What `ls` says of the region, once it says this."""

    async def is_so() -> dict[str, Any] | None:
        _, rows = await fleet.json("ls")
        return rows[0] if all(rows[0][key] == value for key, value in wanted.items()) else None

    return dict(await until(is_so, f"ls says {wanted}"))


async def test_a_rollout_reaches_a_real_agent_and_what_it_refuses_is_taken_back_with_its_reason(tmp_path: Path) -> None:
    async with scene(tmp_path) as (fleet, region):
        code, out, err = await fleet.run("rollout", "--yes")
        assert code == 0, out + err
        await row(fleet, stage="confirmed", version=1, drift=[], problems=[])
        shown = await region.ask("revision.show")
        assert shown["version"] == 1
        await region.persist([fact(1)])

        auth = 'auth = { scheme = "bearer", secrets = ["secret://nowhere"] }'
        fleet.write("base/entrepot.toml", BASE.replace('auth = { scheme = "none" }', auth))
        code, out, err = await fleet.run("rollout", "--yes", "--no-rehearsal")
        assert code == 2, out + err
        assert "rejected: " in out
        assert "secret 'nowhere' cannot be looked up" in out
        await row(fleet, stage="confirmed", version=3, offered=3, drift=[])
        await region.persist([fact(2)])
        assert (await fleet.json("history"))[1]["ok"]


async def test_a_policy_that_the_region_has_not_is_refused_by_the_agent_itself(tmp_path: Path) -> None:
    async with scene(tmp_path) as (fleet, region):
        policy = (fleet.directory / "base" / "policy.toml").read_text()
        fleet.write(
            "base/policy.toml", policy.replace('"business.confidential"]', '"business.confidential", "personal.quasi"]')
        )
        code, out, err = await fleet.run("rollout", "--yes", "--no-rehearsal")
        assert code == 2, out + err
        assert "only the region may loosen" in out
        await row(fleet, stage="confirmed", version=2)
        assert (await region.ask("revision.show"))["version"] == 2


async def test_a_real_agent_answers_probes_and_does_an_action_once(tmp_path: Path) -> None:
    async with scene(tmp_path) as (fleet, region):
        await row(fleet, problems=[], silent=False)
        code, versions = await fleet.json("diagnose", "eu-de", "versions")
        assert (code, set(versions) >= {"entrepot", "sqlite"}) == (0, True), "signed by the region"
        pause = ("action", "eu-de", "pause", "--parameter", "source=wms", "--id", "p-1", "--wait", "20")
        for _ in range(2):
            code, said = await fleet.json(*pause)
            assert (code, said["result"]["state"]) == (0, "done"), said
        assert (await region.send(fact(1)))[0] == 503
        for word, identifier in (("resume", "r-1"), ("drain", "d-1")):
            more = ("--parameter", "source=wms") if word == "resume" else ()
            code, said = await fleet.json("action", "eu-de", word, *more, "--id", identifier, "--wait", "20")
            assert (code, said["result"]["state"]) == (0, "done"), said
        code, said = await fleet.json("action", "eu-de", "pause", "--parameter", "source=nobody", "--wait", "20")
        assert code == 2
        assert "nobody" in said["result"]["reason"]
        assert (await fleet.json("history"))[1]["count"] == 4


async def test_the_login_of_headquarters_may_do_all_that_its_commands_do(tmp_path: Path) -> None:
    async with MadeHub(tmp_path / "hub") as hub:
        fleet = await Fleet.made(tmp_path / "fleet", hub.urls[0], ["eu-de"])
        login = f'credentials = "{hub.keys() / "hub.creds"}"\ntls_ca = "{hub.ca}"\nreplicas = 3'
        fleet.configure(hub=login)
        for words, expected in (
            (("topology", "--apply"), 0),
            (("plan",), 1),
            (("apply", "eu-de", "--yes"), 0),
            (("refresh", "--all"), 0),
            (("rollback", "eu-de", "--to", "0", "--reason", "x"), 0),
            (("action", "eu-de", "drain"), 0),
            (("ls",), 1),
            (("history",), 0),
            (("show", "eu-de"), 0),
        ):
            code, out, err = await fleet.run(*words)
            assert code == expected, (words, out, err)
        code, _, err = await fleet.run("diagnose", "eu-de", "status")
        assert (code, "nobody listens" in err) == (2, True), err
