"""The doctor of a region with `[downlink]`: what its login may read of headquarters, tried at a hub in operator mode."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sync import fleet_names
from tests.support.madehub import MadeHub
from tests.support.region import Region

pytestmark = pytest.mark.anyio
READS = {f"$JS.API.{asks}.HQ_EU-DE" for asks in ("STREAM.INFO", "STREAM.MSG.GET", "DIRECT.GET")}


def member(directory: Path, hub: MadeHub, login: Path, headquarters: str = "hq") -> Region:
    """The region `eu-de` with this login, and its downlink."""
    return Region(
        directory,
        hub.urls[0],
        manage=False,
        hub_more=f'credentials = "{login}"\ntls_ca = "{hub.ca}"\nreplicas = 1',
        more=f'[downlink]\nregion = "{headquarters}"\n' if headquarters else "",
    )


async def rows(region: Region) -> list[dict[str, Any]]:
    _, out, err = await region.run("doctor", "--json")
    assert out, err
    return [row for row in json.loads(out)["findings"] if row["subject"].startswith(("hub permission", "stream HQ_"))]


async def apply(hub: MadeHub, directory: Path, region: str, lane: str) -> None:
    """Headquarters makes the streams of a region, or its own that a region reads."""
    made = Region(
        directory, hub.urls[0], region=region, lane=lane,
        hub_more=f'credentials = "{hub.keys() / "hub.creds"}"\ntls_ca = "{hub.ca}"\nreplicas = 1',
    )  # fmt: skip
    code, out, err = await made.run("topology", "apply", "--json")
    assert code in {0, 1}, out + err


async def test_the_doctor_tells_whether_a_login_may_use_the_downlink(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = MadeHub(tmp_path / "hub", 1, environments=["test"])
    async with hub:
        login = hub.login("agent", "eu-de")
        member_of = lambda name, *more: member(tmp_path / name, hub, *more)  # noqa: E731

        # A login as headquarters signs it, before and after headquarters has made the stream.
        found = await rows(member_of("before", login))
        assert {row["level"] for row in found[:-1]} == {"ok"}, found
        assert found[-1]["subject"] == "stream HQ_EU-DE"
        assert (found[-1]["level"], "missing" in found[-1]["found"]) == ("warning", True)
        await apply(hub, tmp_path / "hq", "hq", "eu-de")
        found = await rows(member_of("after", login))
        assert {row["level"] for row in found} == {"ok"}, found
        said = [row["found"] for row in found]
        assert "may read what headquarters sends (stream HQ_EU-DE)" in said
        assert "may hear at once when headquarters sends" in said
        channel = await hub.enter(hub.keys() / "hub.creds", region="hq")
        info = await channel.ask("STREAM.INFO.HQ_EU-DE")
        channel.close()
        assert info["state"]["messages"] == 0, "nothing was stored by looking"

        async with member_of("running", login) as region:
            assert await rows(region) == found, "a running agent looks in the same way"

        # Without the table nobody looks.
        assert not any("headquarters" in row["found"] for row in await rows(member_of("none", login, "")))

        # Another headquarters than the login was made for.
        *_, reads, hears = await rows(member_of("other", login, "head"))
        assert (reads["level"], hears["level"]) == ("critical", "warning")
        assert "STREAM.INFO.HEAD_EU-DE" in reads["found"]
        assert "nothing from headquarters arrives" in reads["next"]
        assert "ev.head.eu-de.>" in hears["found"]

        # A login of before there were downlinks: made for a headquarters that sends nothing here.
        monkeypatch.setattr(fleet_names, "HEADQUARTERS", "nobody")
        older = hub.login("agent", "eu-de")
        monkeypatch.undo()
        *_, reads, hears = await rows(member_of("older", older))
        assert (reads["level"], hears["level"]) == ("critical", "warning")
        assert all(subject in reads["found"] for subject in READS), reads
