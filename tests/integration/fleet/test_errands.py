"""Headquarters asks a region for something through a real hub: done once, in order, before it expires, and answered."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from runtime.fleet import signing
from runtime.fleet.documents import ACTION, RESULT, WATERMARK, Action, Result, Watermark
from runtime.identity import Identity, parse_public_key
from sync import fleet_names as names
from tests.support.fleet import REGION, Headquarters, at, new_key
from tests.support.nats import NatsServer
from tests.support.region import Region, fact, until

pytestmark = pytest.mark.anyio


class Desk(Headquarters):
    """Headquarters, and what it asks for."""

    previous = ""

    async def make_streams(self) -> None:
        await super().make_streams()
        await self._stream.add_stream(
            name=names.ACTIONS_STREAM, subjects=[names.ACTIONS_SUBJECTS], allow_direct=True, max_msgs_per_subject=1
        )

    async def send(
        self, identifier: str, verb: Any, *, signer: Identity | None = None, seconds: float = 60.0, **parameters: Any
    ) -> None:
        action = Action(
            environment="test", region=REGION, issued_at=at(), id=identifier, previous=self.previous, verb=verb,
            parameters=parameters, expires_at=at(seconds), by="ada", ticket="CHG-7",
        )  # fmt: skip
        document = signing.sign(signer or self.release, ACTION, action)
        self.previous = identifier
        await self.put(names.action(REGION, identifier), document)
        await self.put(names.newest_action(REGION), document)
        await self._connection.publish(names.poke(REGION))

    async def result(self, region: Region, identifier: str) -> Result:
        """What came of it, signed by the region."""

        async def there() -> bytes | None:
            return await self._newest(names.result(REGION, identifier))

        key = parse_public_key(region.public_key.read_text())
        document = await until(there, f"the result of {identifier}; {region.log[-1500:]}")
        return signing.read(document, RESULT, Result, keys=[key], environment="test", region=REGION)

    async def ask(self, name: str, question: bytes = b"") -> Any:
        """As an older headquarters does, without a question of its own."""
        answer = await self._connection.request(names.probe(REGION, name), question, timeout=20)
        return json.loads(answer.data)

    async def count(self, subject: str) -> int:
        info = await self._stream.stream_info(names.STATE_STREAM, subjects_filter=subject)
        return sum((info.state.subjects or {}).values())


@asynccontextmanager
async def scene(tmp_path: Path) -> AsyncIterator[tuple[Desk, Region, NatsServer]]:
    async with NatsServer(tmp_path / "hub") as hub, Desk(hub.url) as desk:
        region = Region(tmp_path / "region", hub.url, more=desk.table())
        async with region:
            yield desk, region, hub


async def test_actions_are_done_in_order_and_answered_and_not_done_again_after_a_restart(tmp_path: Path) -> None:
    async with scene(tmp_path) as (desk, region, _):
        await desk.send("a-1", "pause", source="wms", reason="stocktaking")
        assert (await desk.result(region, "a-1")).state == "done"
        assert (await region.send(fact(1)))[0] == 503
        listed = await region.ask("source.list")
        assert listed[0]["paused"]["by"] == "headquarters, ada"
        assert listed[0]["paused"]["reason"] == "stocktaking (CHG-7)"
        region.kill()
        await desk.send("a-2", "resume", source="wms")
        await region.start()
        assert (await desk.result(region, "a-2")).state == "done"
        assert (await region.send(fact(1)))[0] == 202
        await region.stop()
        await region.start()
        assert (await region.send(fact(2)))[0] == 202, "the pause was not done again"


async def test_what_was_missed_while_the_hub_was_away_is_done_in_order(tmp_path: Path) -> None:
    async with scene(tmp_path) as (desk, region, _):
        await region.stop()
        await desk.send("b-1", "pause", source="wms", reason="one")
        await desk.send("b-2", "resume", source="wms")
        await desk.send("b-3", "pause", source="wms", reason="three")
        await region.start()
        assert (await desk.result(region, "b-3")).state == "done"
        assert (await desk.result(region, "b-1")).state == "done"
        assert (await region.ask("source.list"))[0]["paused"]["reason"] == "three (CHG-7)"


async def test_forged_and_expired_actions_are_not_done(tmp_path: Path) -> None:
    async with scene(tmp_path) as (desk, region, _):
        await desk.send("c-1", "pause", source="wms", reason="late", seconds=-1.0)
        result = await desk.result(region, "c-1")
        assert (result.state, "expired" in result.reason) == ("refused", True)
        await desk.send("c-2", "pause", source="wms", reason="evil", signer=new_key())

        async def told() -> bool:
            return "an action at the hub is not believed" in region.log

        await until(told, "the log names the forgery")
        assert (await region.send(fact(1)))[0] == 202


@pytest.mark.parametrize(
    ("verb", "parameters", "state", "told"),
    [
        ("pause", {}, "failed", "needs the parameter 'source'"),
        ("pause", {"source": "wsm"}, "failed", "there is no source 'wsm'"),
        ("replay", {"source": "wms", "first": 1, "sql": "drop"}, "failed", "knows no parameter 'sql'"),
        ("replay", {"source": "wms", "first": 1, "dry_run": True}, "done", ""),
        ("drain", {}, "done", ""),
        ("rotate", {}, "done", ""),
    ],
)
async def test_every_verb_ends_with_an_answer(
    tmp_path: Path, verb: str, parameters: dict[str, Any], state: str, told: str
) -> None:
    async with scene(tmp_path) as (desk, region, _):
        await region.persist([fact(1)])
        await desk.send("d-1", verb, **parameters)
        result = await desk.result(region, "d-1")
        assert (result.state, told in result.reason) == (state, True), result
        await region.settled(facts=1)


async def test_an_action_of_a_newer_headquarters_is_refused_and_holds_up_none_behind_it(tmp_path: Path) -> None:
    async with scene(tmp_path) as (desk, region, _):
        await desk.send("a-1", "defragment")
        await desk.send("a-2", "pause", source="wms")
        refused = await desk.result(region, "a-1")
        assert (refused.state, "does not know 'defragment'; it knows drain, pause" in refused.reason) == (
            "refused",
            True,
        ), refused
        assert (await desk.result(region, "a-2")).state == "done"


async def test_questions_are_answered_through_the_gate_and_unknown_ones_too(tmp_path: Path) -> None:
    async with scene(tmp_path) as (desk, region, _):
        await region.persist([b'{"kind":"STOCK","id":"x","qty":"CANARY"}', fact(1)])
        await region.alerted("letters_waiting")
        for name in ("status", "config", "sources", "letters", "journal", "doctor", "versions"):
            answer = await desk.ask(name)
            assert "error" not in answer, (name, answer)
            assert "CANARY" not in json.dumps(answer)
        assert (await desk.ask("letters"))[0]["count"] == 1
        assert "status" in (await desk.ask("shell"))["probes"]
        assert "cannot be read" in (await desk.ask("status", b'{"nonce": "the moon"}'))["error"]


async def test_the_watermark_of_headquarters_is_taken_over_if_the_chain_is_ours(tmp_path: Path) -> None:
    async with scene(tmp_path) as (desk, region, _):
        await region.persist([fact(n) for n in range(5)])
        status = await region.settled(facts=5)
        assert status["lanes"]["realtime"]["acked"] == 5
        await desk.put(names.watermark(REGION), mark(desk.release, 3, "00" * 32))

        async def told() -> bool:
            return "headquarters has verified another chain" in region.log

        await until(told, "the log names the disagreement")


def mark(key: Identity, seq: int, chain: str) -> bytes:
    said = Watermark(environment="test", region=REGION, issued_at=at(), lanes={"realtime": (1, seq, chain)})
    return signing.sign(key, WATERMARK, said)
