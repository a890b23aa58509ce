"""Raising never waits; delivery is patient, bounded and counted."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from aiohttp import web

from runtime.errors import Permanent, Retryable
from runtime.observe.alert_sender import AlertSender, Origin, Webhook
from runtime.observe.alerts import AlertSettings
from runtime.observe.clockwatch import Reading
from runtime.observe.log import open_log
from runtime.observe.metrics import Counters

pytestmark = pytest.mark.anyio


class Receiver:
    """A webhook in memory: gives the next of `answers`, then succeeds; `arrived` is set at each delivery."""

    def __init__(self, *answers: Exception) -> None:
        self.answers = list(answers)
        self.documents: list[dict[str, Any]] = []
        self.arrived = anyio.Event()

    async def __call__(self, body: bytes) -> None:
        if self.answers:
            raise self.answers.pop(0)
        self.documents.append(json.loads(body))
        self.arrived.set()

    def changes(self) -> list[tuple[str, str]]:
        return [(document["alert"], document["change"]) for document in self.documents]


class Desk:
    def __init__(self, post: Callable[[bytes], Awaitable[None]] | None, **settings: Any) -> None:
        self.at = 0.0
        self.stream = io.StringIO()
        self.counters = Counters()
        self.log = open_log(now_us=lambda: 0, monotonic=lambda: self.at, stream=self.stream, counters=self.counters)
        self.sender = AlertSender(
            AlertSettings(**settings),
            origin=Origin("eu-de", "test"),
            log=self.log,
            counters=self.counters,
            read_clocks=lambda: Reading(round(self.at * 1_000_000), self.at),
            post=post,
        )


async def deliver(desk: Desk, until: anyio.Event) -> None:
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(desk.sender.run)
            await until.wait()
            tasks.cancel_scope.cancel()


async def test_a_notice_reaches_the_webhook_the_log_and_the_counters() -> None:
    receiver = Receiver()
    desk = Desk(receiver)
    desk.sender.raise_alert("disk_full", "", "0 bytes left")
    await deliver(desk, receiver.arrived)
    assert receiver.documents[0]["sentence"] == "0 bytes left"
    assert receiver.documents[0]["region"] == "eu-de"
    assert '"alert":"disk_full"' in desk.stream.getvalue()
    assert desk.counters.notices == {"delivered": 1, "dropped": 0, "failed": 0}


async def test_without_a_webhook_the_log_still_tells() -> None:
    desk = Desk(None)
    desk.sender.raise_alert("disk_full", "", "0 bytes left")
    assert '"level":"critical","event":"alert raised: No room on the disk' in desk.stream.getvalue()
    assert await desk.sender.flush(1)


async def test_a_webhook_that_is_away_gets_the_notice_later_and_in_order() -> None:
    receiver = Receiver(Retryable("away"), Retryable("away"))
    desk = Desk(receiver)
    desk.sender.raise_alert("disk_full", "", "0 bytes left")
    desk.sender.clear_alert("disk_full")
    assert await desk.sender.flush(5)
    assert receiver.changes() == [("disk_full", "raised"), ("disk_full", "cleared")]
    assert desk.stream.getvalue().count('"event":"alert webhook failed"') == 1
    assert "alert webhook failed: recovered after 2 errors" in desk.stream.getvalue()


async def test_a_notice_that_the_webhook_will_never_take_is_counted_and_the_next_one_goes() -> None:
    receiver = Receiver(Permanent("answered 400"))
    desk = Desk(receiver)
    desk.sender.raise_alert("disk_full", "", "0 bytes left")
    desk.sender.raise_alert("clock_bad", "", "an hour behind")
    await deliver(desk, receiver.arrived)
    assert receiver.changes() == [("clock_bad", "raised")]
    assert desk.counters.notices == {"delivered": 1, "dropped": 0, "failed": 1}


async def test_the_queue_is_bounded_and_drops_the_oldest_loudly() -> None:
    receiver = Receiver()
    desk = Desk(receiver, queue_max=2)
    for source in ("a", "b", "c"):
        desk.sender.raise_alert("letters_waiting", source, "letters")
    assert await desk.sender.flush(5)
    assert [document["subject"] for document in receiver.documents] == ["b", "c"]
    assert desk.counters.notices["dropped"] == 1
    assert "alert notice dropped" in desk.stream.getvalue()


async def test_a_notice_dropped_while_it_was_on_its_way_does_not_take_the_next_one_with_it() -> None:
    desk: Desk

    class Slow(Receiver):
        async def __call__(self, body: bytes) -> None:
            if not self.documents:
                desk.sender.raise_alert("letters_waiting", "b", "letters")
            await super().__call__(body)

    receiver = Slow()
    desk = Desk(receiver, queue_max=1)
    desk.sender.raise_alert("letters_waiting", "a", "letters")
    assert await desk.sender.flush(5)
    assert [document["subject"] for document in receiver.documents] == ["a", "b"]


async def test_a_last_flush_gives_up_in_time_and_says_so() -> None:
    class Hanging:
        async def __call__(self, body: bytes) -> None:
            await anyio.sleep_forever()

    desk = Desk(Hanging())
    desk.sender.raise_alert("journal_failing", "", "EIO")
    with anyio.fail_after(5):
        assert not await desk.sender.flush(0.01)


async def test_the_tick_tells_a_hub_that_stays_away() -> None:
    receiver = Receiver()
    desk = Desk(receiver)
    desk.sender.raise_alert("hub_away", "", "no answer")
    desk.sender.tick()
    assert desk.stream.getvalue() == ""
    desk.at = 60.0
    desk.sender.tick()
    assert await desk.sender.flush(5)
    assert receiver.changes() == [("hub_away", "raised")]
    assert desk.sender.counts() == {"hub_away": 1}


async def test_an_alert_that_flaps_is_in_the_log_each_time() -> None:
    desk = Desk(None)
    for _ in range(3):
        desk.sender.raise_alert("disk_full", "", "full")
        desk.sender.clear_alert("disk_full")
    assert desk.stream.getvalue().count("alert raised") == 3


async def accept(request: web.Request) -> web.Response:
    """Where a redirect leads: it would take the notice."""
    return web.Response(status=200)


@asynccontextmanager
async def http_server(handle: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    application = web.Application()
    application.router.add_post("/alert", handle)
    application.router.add_post("/elsewhere", accept)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/alert"
    finally:
        await runner.cleanup()


async def test_the_real_webhook_posts_json() -> None:
    seen: list[tuple[str, Any]] = []

    async def take(request: web.Request) -> web.Response:
        seen.append((request.content_type, await request.json()))
        return web.Response(status=204)

    async with http_server(take) as address:
        await Webhook(address, 5)(b'{"alert":"disk_full"}')
    assert seen == [("application/json", {"alert": "disk_full"})]


@pytest.mark.parametrize(
    ("status", "retry_after", "error", "after"),
    [
        (503, "7", Retryable, 7.0),
        (429, "Wed, 21 Oct", Retryable, None),
        (500, "", Retryable, None),
        (404, "", Permanent, None),
        (307, "", Permanent, None),
    ],
)
async def test_the_answer_of_the_real_webhook_decides_whether_to_try_again(
    status: int, retry_after: str, error: type[Exception], after: float | None
) -> None:
    async def refuse(request: web.Request) -> web.Response:
        return web.Response(status=status, headers={"retry-after": retry_after, "location": "/elsewhere"})

    async with http_server(refuse) as address:
        with pytest.raises(error) as caught:
            await Webhook(address, 5)(b"{}")
    assert getattr(caught.value, "after_seconds", None) == after


async def test_a_webhook_that_nobody_serves_is_tried_again_and_its_address_is_not_told() -> None:
    async def never(request: web.Request) -> web.Response:
        raise AssertionError

    async with http_server(never) as address:
        pass
    with pytest.raises(Retryable) as caught:
        await Webhook(address + "?token=hunter2", 5)(b"{}")
    assert "hunter2" not in str(caught.value)
    assert "127.0.0.1" not in str(caught.value)


async def test_an_address_that_is_none_is_not_tried_for_ever() -> None:
    with pytest.raises(Permanent):
        await Webhook("http://", 5)(b"{}")


async def test_other_settings_send_what_waits_to_the_new_webhook_and_keep_what_is_raised() -> None:
    before, after = Receiver(*[Retryable("away", after_seconds=0.0)] * 3), Receiver()
    desk = Desk(before)
    desk.sender.raise_alert("disk_full", "", "full")
    assert not await desk.sender.flush(0.01)
    desk.sender.use(AlertSettings(reminder_seconds=60), after)
    assert await desk.sender.flush(10)
    desk.at = 61
    desk.sender.tick()
    assert await desk.sender.flush(10)
    assert before.documents == []
    assert after.changes() == [("disk_full", "raised"), ("disk_full", "reminder")]


async def test_without_a_webhook_nothing_waits_any_more() -> None:
    desk = Desk(Receiver(*[Retryable("away")] * 9))
    desk.sender.raise_alert("disk_full", "", "full")
    desk.sender.use(AlertSettings())
    assert await desk.sender.flush(10)
    assert [alert.name for alert in desk.sender.active()] == ["disk_full"]
