"""The downlink on a real hub: everything once, in order, at once; and a stop, never a skip, where the hub contradicts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nats
import pytest

from runtime import record
from runtime.ports import HubRecord
from runtime.signal import Signal
from sync import stream
from tests.support.hubs import link, running
from tests.support.inboxes import BRANCH, StubInbox, branch_link, reading
from tests.support.lanes import REGION, StubLane
from tests.support.nats import NatsServer

pytestmark = pytest.mark.anyio
STREAM = record.stream_name(REGION, BRANCH)
LONG = 3_600.0
"""So far apart that a test which waits for a poll fails."""


def lane(count: int = 0) -> StubLane:
    """Headquarters' lane for the branch."""
    made = StubLane(BRANCH)
    made.add(count)
    return made


async def send(hub: NatsServer, rows: StubLane) -> None:
    """Everything in the lane is at the hub."""
    async with running(link(hub.url), rows):
        await rows.reached(len(rows.rows))


async def test_everything_is_taken_in_once_in_order_and_a_new_record_at_once(
    hub: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, inbox, read = lane(1_200), StubInbox(poll_seconds=LONG), stream.batch
    found_nothing = Signal()

    async def batch(*arguments: Any) -> list[HubRecord]:
        records = await read(*arguments)
        if not records:
            found_nothing.notify()
        return records

    monkeypatch.setattr(stream, "batch", batch)
    await send(hub, rows)
    async with running(link(hub.url), rows), reading(branch_link(hub.url), inbox):
        await inbox.until(lambda: len(inbox.records) == 1_200)
        for count in range(1_201, 1_206):
            await found_nothing.wait()
            rows.add(1)
            await inbox.until(lambda n=count: len(inbox.records) == n)  # type: ignore[misc]
        assert inbox.seqs == list(range(1, 1_206))
        assert [stored.data for stored in inbox.records] == [row.data for row in rows.rows]
        assert inbox.fences == []


async def test_a_region_that_may_not_subscribe_finds_commands_by_looking(tmp_path: Path) -> None:
    rules = """
accounts { A { jetstream: enabled, users: [
  { user: all, password: all },
  { user: branch, password: "secret://branch", permissions: { subscribe: { deny: ["ev.>"] } } } ] } }
no_auth_user: all
"""
    async with NatsServer(tmp_path / "hub", extra=rules) as hub:
        rows, inbox = lane(3), StubInbox(poll_seconds=0.1)
        allowed = branch_link(hub.url, user="branch", password="secret://branch")
        async with running(link(hub.url), rows), reading(allowed, inbox):
            await inbox.until(lambda: len(inbox.records) == 3)
            rows.add(2)
            await inbox.until(lambda: len(inbox.records) == 5)


async def test_it_goes_on_from_its_own_position_after_a_restart_of_hub_and_region(hub: NatsServer) -> None:
    rows, inbox = lane(50), StubInbox()
    await send(hub, rows)
    async with reading(branch_link(hub.url), inbox):
        await inbox.until(lambda: len(inbox.records) == 50)
    await hub.restart()
    rows.add(50)
    async with running(link(hub.url), rows), reading(branch_link(hub.url), inbox):
        await inbox.until(lambda: len(inbox.records) >= 60)
        await hub.restart()
        await inbox.until(lambda: len(inbox.records) == 100)
    assert inbox.seqs == list(range(1, 101))


async def test_a_hub_that_lost_records_stops_it_until_headquarters_has_filled_them_in_again(hub: NatsServer) -> None:
    rows, inbox = lane(20), StubInbox()
    await send(hub, rows)
    hub.stop()
    hub.snapshot("older")
    await hub.start()
    rows.add(20)
    await send(hub, rows)
    async with reading(branch_link(hub.url), inbox):
        await inbox.until(lambda: len(inbox.records) == 40)
    hub.kill()
    hub.swap("older")
    await hub.start()
    async with reading(branch_link(hub.url), inbox):
        await inbox.until(lambda: inbox.stopped is not None)
        assert inbox.fences[0].kind == "rolled_back"
        assert inbox.fences[0].evidence["seq"] == "40"
        rows.add(5)
        async with running(link(hub.url), rows):
            await inbox.until(lambda: len(inbox.records) == 45)
    assert inbox.lifted == 1
    assert inbox.seqs == list(range(1, 46))


@pytest.mark.parametrize("count", [10, 30], ids=["as many", "more"])
async def test_a_stream_that_was_made_again_with_other_records_is_never_believed(count: int, hub: NatsServer) -> None:
    inbox = StubInbox()
    await send(hub, lane(10))
    async with reading(branch_link(hub.url), inbox):
        await inbox.until(lambda: len(inbox.records) == 10)
    await _delete(hub)
    other = StubLane(BRANCH)
    other.add(count, data=b'{"forged":true}')
    await send(hub, other)
    async with reading(branch_link(hub.url), inbox):
        await inbox.until(lambda: inbox.stopped is not None)
    assert inbox.fences[0].kind == "diverged"
    assert len(inbox.records) == 10


async def test_a_missing_stream_stops_it_and_a_region_that_has_had_nothing_waits(hub: NatsServer) -> None:
    rows, fresh, inbox = lane(5), StubInbox(), StubInbox()
    async with reading(branch_link(hub.url), fresh) as diary:
        await diary.heard("downlink_silent")
        await send(hub, rows)
        await fresh.until(lambda: len(fresh.records) == 5)
    assert fresh.fences == []
    inbox.records = list(fresh.records)
    await _delete(hub)
    async with reading(branch_link(hub.url), inbox):
        await inbox.until(lambda: inbox.stopped is not None)
    assert inbox.fences[0].kind == "missing"


async def test_records_that_never_came_are_a_gap_and_nothing_behind_it_is_taken(hub: NatsServer) -> None:
    rows, inbox = lane(20), StubInbox()
    rows.oldest = 11
    rows.acked = 10
    async with running(link(hub.url), rows):
        await rows.reached(20)
    async with reading(branch_link(hub.url), inbox):
        await inbox.until(lambda: inbox.stopped is not None)
    assert inbox.fences[0].kind == "gap"
    assert "1 to 10" in inbox.fences[0].reason
    assert inbox.records == []


async def test_a_record_that_somebody_else_wrote_is_not_taken_in(hub: NatsServer) -> None:
    rows, inbox = lane(5), StubInbox()
    await send(hub, rows)
    connection = await nats.connect(hub.url)
    genuine = rows.rows[-1]
    headers = record.parse_header_block(genuine.headers) | {record.SEQ_HEADER: "6", record.CHAIN_HEADER: "ab" * 32}
    await connection.jetstream().publish(genuine.subject, b'{"order":"forged"}', headers=headers)
    await connection.close()
    async with reading(branch_link(hub.url), inbox):
        await inbox.until(lambda: inbox.stopped is not None)
        assert inbox.fences[0].kind == "diverged"
    assert len(inbox.records) == 5


async def test_a_stream_of_another_environment_is_not_read(hub: NatsServer) -> None:
    inbox = StubInbox()
    await send(hub, lane(5))
    async with reading(branch_link(hub.url, environment="prod"), inbox):
        await inbox.until(lambda: inbox.stopped is not None)
    assert inbox.fences[0].kind == "wrong_stream"
    assert inbox.records == []


async def _delete(hub: NatsServer) -> None:
    """What somebody with every right at the hub may do."""
    connection = await nats.connect(hub.url)
    context = connection.jetstream()
    await context.delete_stream(STREAM)
    await connection.close()
