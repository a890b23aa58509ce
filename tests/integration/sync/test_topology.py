"""Streams are made as recommended, mended, or refused; weaker settings are named."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from runtime.errors import Refused, Retryable
from runtime.ports import TRIAL_ENVIRONMENT
from sync.link import NatsLink
from sync.settings import HubSettings
from tests.support.hubs import link, scope
from tests.support.nats import NatsServer, free_port

pytestmark = pytest.mark.anyio
NAME = "EU-DE_REALTIME"


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[NatsServer]:
    async with NatsServer(tmp_path) as server:
        yield server


async def config(hub: NatsServer, **change: Any) -> dict[str, Any]:
    """The stream's configuration, after it was changed."""
    async with link(hub.url).opened() as channel:
        found: dict[str, Any] = (await channel.ask(f"STREAM.INFO.{NAME}"))["config"]
        if change:
            found = (await channel.ask(f"STREAM.UPDATE.{NAME}", found | change))["config"]
        return found


async def test_show_makes_nothing(hub: NatsServer) -> None:
    reports = await link(hub.url).topology({"realtime": 1}, apply=False)
    assert [(report.stream, report.exists) for report in reports] == [(NAME, False), ("EU-DE_CHECKPOINTS", False)]
    assert not (await link(hub.url).topology({"realtime": 1}, apply=False))[0].exists


async def test_apply_makes_streams_as_recommended_and_then_changes_nothing(hub: NatsServer) -> None:
    made = await link(hub.url).topology({"realtime": 41}, apply=True)
    assert [report.exists for report in made] == [True, True]
    found = await config(hub)
    expected = {
        "subjects": ["ev.eu-de.realtime.>"], "storage": "file", "discard": "new", "max_age": 0, "deny_delete": True,
        "deny_purge": True, "allow_direct": True, "allow_batched": True, "first_seq": 41,
    }  # fmt: skip
    assert {key: found[key] for key in expected} == expected
    assert found["metadata"]["entrepot-environment"] == "test"
    assert [report.changed for report in await link(hub.url).topology({"realtime": 41}, apply=True)] == [[], []]


async def test_apply_mends_weaker_settings_and_show_only_names_them(hub: NatsServer) -> None:
    await link(hub.url).topology({"realtime": 1}, apply=True)
    await config(hub, allow_batched=False, max_age=3_600_000_000_000)
    shown = (await link(hub.url).topology({"realtime": 1}, apply=False))[0]
    assert any("age out" in note for note in shown.notes)
    assert any("fast ingest is off" in note for note in shown.notes)
    assert len(shown.changed) == 2
    await link(hub.url).topology({"realtime": 1}, apply=True)
    found = await config(hub)
    assert (found["allow_batched"], found["max_age"]) == (True, 0)


async def test_a_stream_of_another_environment_is_refused_and_untouched(hub: NatsServer) -> None:
    await link(hub.url, environment="prod").topology({"realtime": 1}, apply=True)
    before = await config(hub)
    with pytest.raises(Refused, match="entrepot-environment is `prod`"):
        await link(hub.url).topology({"realtime": 1}, apply=True)
    assert await config(hub) == before


async def test_an_empty_unmarked_stream_is_adopted_and_a_filled_one_is_refused(hub: NatsServer) -> None:
    async with link(hub.url).opened() as channel:
        await channel.ask(f"STREAM.CREATE.{NAME}", {"name": NAME, "subjects": ["ev.eu-de.realtime.>"]})
        reports = await link(hub.url).topology({"realtime": 1}, apply=True)
        assert not any("not usable" in note for note in reports[0].notes)
        await channel.ask(f"STREAM.DELETE.{NAME}")
        await channel.ask(f"STREAM.CREATE.{NAME}", {"name": NAME, "subjects": ["ev.eu-de.realtime.>"]})
        await channel.write(b"PUB ev.eu-de.realtime.x.y 1\r\nx\r\n")
        await channel.ask(f"STREAM.INFO.{NAME}")
    with pytest.raises(Refused, match="does not say whose they are"):
        await link(hub.url).topology({"realtime": 1}, apply=True)


async def test_a_hub_that_is_away_says_so_without_a_password(tmp_path: Path) -> None:
    with pytest.raises(Retryable) as caught:
        await link(f"nats://ada:word@127.0.0.1:{free_port()}").topology({"realtime": 1}, apply=False)
    assert "cannot connect to nats://127.0.0.1:" in str(caught.value)
    assert "word" not in str(caught.value)


async def test_only_a_trials_streams_are_ever_removed(hub: NatsServer) -> None:
    await link(hub.url).topology({"realtime": 1}, apply=True)
    for environment in ("test", TRIAL_ENVIRONMENT):
        with pytest.raises(Refused, match="is never removed"):
            await link(hub.url, environment=environment).remove(["realtime"])
    assert (await link(hub.url).topology({"realtime": 1}, apply=False))[0].exists

    settings = HubSettings(servers=[hub.url])
    trial = NatsLink(settings, scope(region="trial-1", environment=TRIAL_ENVIRONMENT))
    assert (await trial.topology({"trial": 1}, apply=True))[0].exists
    await trial.remove(["trial", "checkpoints", "never-made"])
    assert [report.exists for report in await trial.topology({"trial": 1}, apply=False)] == [False, False]
