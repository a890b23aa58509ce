"""A message that only says where to look is pending until its document is in; then the books add up, and both have one trace."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from runtime import clock
from runtime.envelope import Message
from runtime.errors import ConfigError, Untranslatable
from runtime.journal import books, fate, inspect, letters, retention
from runtime.journal.retention import Limits
from runtime.kernel import Kernel
from runtime.mapping.decode import ANY
from runtime.mapping.faults import Spot
from runtime.mapping.link import Link
from runtime.pipeline.follow import SourceNotices, settle_orphans
from runtime.pipeline.translate import FOLLOWED, SourceRules
from runtime.ports import Notice
from tests.support import kernel as support
from tests.support.kernel import StockTranslator, body

pytestmark = pytest.mark.anyio
URL = "https://partner.example/stock/{sku}"


def link(when: str = "thin", url: str = URL, headers: tuple[str, ...] = ()) -> Link:
    return Link(when, url, headers, ANY, Spot("entrepot.toml", "sources.wms.follow"))


def use(kernel: Kernel, leads: Link | None) -> None:
    rules = {"wms": SourceRules(StockTranslator(), False, leads), "carrier": SourceRules(StockTranslator())}
    kernel.translation.use(rules, kernel.configuration.router)


@asynccontextmanager
async def region(directory: Path, leads: Link | None = None) -> AsyncIterator[tuple[Kernel, SourceNotices]]:
    async with support.region(directory) as kernel:
        use(kernel, leads or link())
        yield kernel, SourceNotices(kernel.acceptance, kernel.journal, kernel.translation, "wms")


def thin(sku: str = "A", *, key: str | None = "n-1") -> Message:
    return Message(body=body(sku, 0, thin=True), key=key)


def document(notice: Notice, on_hand: int = 7) -> Message:
    return Message(
        body=body("A", on_hand), key=f"{notice.document_key}#{on_hand}", correlation_id=notice.correlation_id
    )


async def account(kernel: Kernel) -> dict[str, int]:
    found = await kernel.journal.read(books.read)
    assert found.balanced
    return {name: count for name, count in found.account().items() if count}


async def soon(notices: SourceNotices) -> Notice:
    with anyio.fail_after(10):
        return await notices.next()


async def nothing_is_due(notices: SourceNotices) -> bool:
    return not await notices._journal.read(notices._due)


async def test_a_thin_message_waits_and_its_document_is_a_fact_with_the_same_trace(tmp_path: Path) -> None:
    async with region(tmp_path) as (kernel, notices):
        await support.accept(kernel, thin())
        await support.translate(kernel)
        assert await account(kernel) == {"accepted": 1, "pending": 1}
        notice = await soon(notices)
        assert notice.url == "https://partner.example/stock/A"
        await notices.followed(notice, document(notice))
        await support.translate(kernel)
        assert await account(kernel) == {"accepted": 2, "ignored": 1, "pending": 1}
        rows = await kernel.journal.read(
            lambda c: c.execute("SELECT key, correlation FROM intake ORDER BY seq").fetchall()
        )
        assert [key for key, _ in rows] == ["n-1", "document of n-1#7"]
        assert rows[0][1] == rows[1][1]
        reasons = await kernel.journal.read(lambda c: c.execute("SELECT reason, count FROM ignored").fetchall())
        assert reasons == [(FOLLOWED, 1)]
        assert len(await support.ship(kernel)) == 1
        assert await nothing_is_due(notices)
        assert await inspect.verify(kernel.journal, whole_file=True) == []


async def test_a_document_is_never_followed_itself_however_thin_it_looks(tmp_path: Path) -> None:
    async with region(tmp_path, link("true")) as (kernel, notices):
        await support.accept(kernel, thin(key=None))
        await support.translate(kernel)
        notice = await soon(notices)
        await notices.followed(notice, document(notice))
        await support.translate(kernel)
        assert await nothing_is_due(notices)
        assert await account(kernel) == {"accepted": 2, "ignored": 1, "pending": 1}


async def test_no_sender_passes_a_message_off_as_a_document_or_keeps_one_out(tmp_path: Path) -> None:
    async with region(tmp_path) as (kernel, notices):
        await support.accept(kernel, thin(key="document of n-1#7"))
        await support.accept(kernel, thin("B"))
        await support.translate(kernel)
        assert await account(kernel) == {"accepted": 2, "pending": 2}
        await notices.followed(await soon(notices), None)
        notice = await soon(notices)
        await notices.followed(notice, document(notice))
        await support.translate(kernel)
        assert await account(kernel) == {"accepted": 3, "ignored": 2, "pending": 1}
        assert len(await support.ship(kernel)) == 1


async def test_an_answer_without_content_settles_the_message(tmp_path: Path) -> None:
    async with region(tmp_path) as (kernel, notices):
        await support.accept(kernel, thin())
        await support.translate(kernel)
        await notices.followed(await soon(notices), None)
        assert await account(kernel) == {"accepted": 1, "ignored": 1}


async def test_the_same_notice_settled_twice_counts_once(tmp_path: Path) -> None:
    async with region(tmp_path) as (kernel, notices):
        await support.accept(kernel, thin())
        await support.translate(kernel)
        notice = await soon(notices)
        await notices.followed(notice, document(notice))
        await notices.followed(notice, document(notice, 8))
        await notices.give_up(notice, "too late")
        assert await account(kernel) == {"accepted": 2, "ignored": 1, "pending": 1}


async def test_who_gives_up_leaves_a_letter_whose_retry_asks_again(tmp_path: Path) -> None:
    async with region(tmp_path) as (kernel, notices):
        await support.accept(kernel, thin())
        await support.translate(kernel)
        await notices.give_up(await soon(notices), "the partner answered 404", "look there")
        (letter,) = await kernel.journal.read(letters.page)
        assert (letter.reason, letter.hint) == ("the partner answered 404", "look there")
        assert await account(kernel) == {"accepted": 1, "dead_lettered": 1}
        assert (await kernel.replay.retry(letter.id)).result == "waiting"
        assert await account(kernel) == {"accepted": 1, "pending": 1}
        assert await kernel.journal.read(letters.page) == []
        notice = await soon(notices)
        assert notice.attempts == 0
        await notices.followed(notice, document(notice))
        assert await account(kernel) == {"accepted": 2, "ignored": 1, "pending": 1}


async def test_a_postponed_notice_holds_up_no_other_and_a_restart_tries_it_at_once(tmp_path: Path) -> None:
    async with region(tmp_path) as (kernel, notices):
        await support.accept(kernel, thin("A"), thin("B", key="n-2"))
        await support.translate(kernel)
        await notices.postpone(await soon(notices), 3_600)
        notice = await soon(notices)
        assert notice.url.endswith("/B")
        await notices.postpone(notice, 3_600)
        assert await nothing_is_due(notices)
    async with region(tmp_path) as (_, notices):
        again = await soon(notices)
        assert (again.url.endswith("/A"), again.attempts) == (True, 1)


async def test_its_body_stays_while_it_waits_and_its_sender_hears_that(tmp_path: Path) -> None:
    async with region(tmp_path) as (kernel, notices):
        await support.accept(kernel, thin())
        await support.translate(kernel)
        old = Limits(refill_seconds=0, key_seconds=0)
        await kernel.journal.write(lambda c: retention.grow_older(c, 10_000))
        await kernel.journal.write(lambda c: retention.prune(c, old, pressed=True))
        journal = kernel.journal
        found = await journal.read(lambda c: fate.find(c, journal.names, journal.keys, "wms", "n-1", None))
        assert found is not None
        assert found.state == "waiting"
        assert (await soon(notices)).attempts == 0


async def test_a_replay_leaves_alone_what_waits_for_its_document(tmp_path: Path) -> None:
    async with region(tmp_path) as (kernel, _):
        await support.accept(kernel, thin())
        await support.translate(kernel)
        (change,) = await kernel.replay.replay("wms", 1, 9, dry_run=False)
        assert "waits for the document" in change.reason
        assert await account(kernel) == {"accepted": 1, "pending": 1}


async def test_what_waits_is_translated_as_it_stands_when_the_source_follows_no_more(tmp_path: Path) -> None:
    async with region(tmp_path) as (kernel, _):
        await support.accept(kernel, thin(), thin("B", key="n-2"))
        await support.translate(kernel)
        await settle_orphans(kernel.journal, kernel.translation)
        assert await account(kernel) == {"accepted": 2, "pending": 2}
        use(kernel, None)
        await settle_orphans(kernel.journal, kernel.translation)
        assert len(await support.ship(kernel)) == 2
        assert await account(kernel) == {"accepted": 2, "delivered": 2}


@pytest.mark.parametrize("rules", [None, link(when="false")], ids=["follows no more", "leads nowhere now"])
async def test_an_event_that_comes_of_other_rules_wakes_its_lane(rules: Link | None, tmp_path: Path) -> None:
    async with region(tmp_path) as (kernel, notices):
        await support.accept(kernel, thin())
        await support.translate(kernel)
        lane = kernel.lanes["realtime"]
        use(kernel, rules)
        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(settle_orphans, kernel.journal, kernel.translation)
                tasks.start_soon(notices.next)
                await lane.wait(0)
                tasks.cancel_scope.cancel()
        assert lane.row.queued == 1


async def test_a_message_without_what_its_address_needs_is_a_letter_with_the_place(tmp_path: Path) -> None:
    async with region(tmp_path, link(url="https://partner.example/{order.no}")) as (kernel, _):
        await support.accept(kernel, thin())
        await support.translate(kernel)
        (letter,) = await kernel.journal.read(letters.page)
        assert letter.position == "/order/no"
        assert await account(kernel) == {"accepted": 1, "dead_lettered": 1}


def envelope(**said: Any) -> Any:
    from runtime.envelope import Envelope

    return Envelope(
        source="wms", body=body("A", 1, **said), content_type="application/json", intake_seq=1, epoch=1,
        received_us=clock.now_us(), correlation_id="0" * 32,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ("a b", "a%20b"), ("a/../b", "a%2F..%2Fb"), ("//evil.example", "%2F%2Fevil.example"), ("x?y#z&w", "x%3Fy%23z%26w"),
        ("\\evil", "%5Cevil"), ("Straße", "Stra%C3%9Fe"), (17, "17"), ("@evil.example", "%40evil.example"), ("\r\nHost: x", "Host%3A%20x"),
    ],
)  # fmt: skip
async def test_what_a_message_says_stays_one_part_of_the_configured_address(value: Any, part: str) -> None:
    assert (
        link("true", "https://partner.example/o/{no}/x").url(envelope(no=value))
        == f"https://partner.example/o/{part}/x"
    )


@pytest.mark.parametrize("value", ["", "..", ".", None, True, [], {}, "x" * 501, "  "])
async def test_what_could_climb_out_of_the_path_is_no_part_of_an_address(value: Any) -> None:
    with pytest.raises(Untranslatable):
        link("true", "https://partner.example/o/{no}").url(envelope(no=value))


@pytest.mark.parametrize(
    ("when", "url"),
    [
        ("true", "https://{host}/x"), ("true", "https://a.{host}/x"), ("true", "{url}"), ("true", "https://a.example"),
        ("true", "https://a.example/{no"), ("true", "https://a.example/{}"), ("true", "https://a.example/{^.no}"),
        ("true", "https://a.example/{header:x-no}"), ("exists(", "https://a.example/"), ("nosuch(1)", "https://a.example/"),
    ],
)  # fmt: skip
async def test_an_address_whose_host_could_come_from_a_message_is_refused(when: str, url: str) -> None:
    with pytest.raises(ConfigError, match=r"sources\.wms\.follow\.(when|url)"):
        link(when, url)


async def test_a_message_that_speaks_for_itself_leads_nowhere() -> None:
    assert link("thin").url(envelope()) is None
    assert link("thin").url(envelope(thin=True)) == "https://partner.example/stock/A"
