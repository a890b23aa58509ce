"""From headquarters' record to the target's answer: in order, once for each id, counted, whatever fails in between."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import msgspec
import pytest

from runtime import clock
from runtime.config.model import TargetSettings
from runtime.errors import ConfigError, Permanent, Refused, Retryable
from runtime.journal import deliveries, inbox, inspect, targets
from runtime.journal.deliveries import DeliveryRow
from runtime.journal.targets import TargetRow
from runtime.kernel import Kernel
from runtime.pipeline.deliver import TargetStep
from runtime.pipeline.inbox import InboxStep
from runtime.pipeline.offer import holds, offered
from runtime.ports import Delivered, Delivery
from tests.support.headquarters import Sealing
from tests.support.kernel import accept, message, region, ship, translate
from tests.support.probes import MemoryTarget

pytestmark = pytest.mark.anyio
SECONDS_MAX = 20
QUICK = {"retry": {"seconds_min": 0.05, "seconds_max": 0.05}}


def settings(**keys: object) -> TargetSettings:
    return msgspec.convert({"adapter": "memory"} | QUICK | keys, TargetSettings)


def inbox_of(kernel: Kernel) -> InboxStep:
    return InboxStep(
        kernel.journal, "hq", public_key=None, poll_seconds=1.0, full=lambda: kernel.room.full, arrived=kernel.arrived
    )


@asynccontextmanager
async def at_work(kernel: Kernel, target: MemoryTarget, name: str = "wms", **keys: object) -> AsyncIterator[TargetStep]:
    """The step beside the test, until the test is done with it."""
    right = keys.pop("clock_is_right", lambda: True)
    step = TargetStep(
        kernel.journal,
        name,
        settings(**keys),
        target,
        log=lambda *_, **__: None,
        clock_is_right=right,  # type: ignore[arg-type]
    )
    kernel.delivering[name] = step
    with anyio.fail_after(SECONDS_MAX):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(step.run)
            yield step
            async with step.at_rest():
                pass
            tasks.cancel_scope.cancel()


async def row(kernel: Kernel, name: str = "wms") -> TargetRow:
    return await kernel.journal.read(partial(targets.get, name=name))


async def rows(kernel: Kernel, state: str) -> list[DeliveryRow]:
    return await kernel.journal.read(partial(deliveries.page, state=state))


async def settled(kernel: Kernel, condition: Callable[[TargetRow], bool], name: str = "wms") -> TargetRow:
    """The target's row once it is so; every look finds its books balanced."""
    while True:
        found = await kernel.journal.read(lambda c: next((r for r in targets.everyone(c) if r.name == name), None))
        assert found is None or found.balanced, found
        if found is not None and condition(found):
            return found
        await anyio.sleep(0.01)


async def proven(kernel: Kernel) -> None:
    assert await inspect.verify(kernel.journal, whole_file=False) == []


async def test_what_headquarters_sends_is_delivered_in_order_with_ids_of_its_own(tmp_path: Path) -> None:
    sealing, target = Sealing(), MemoryTarget()
    async with region(tmp_path) as kernel, at_work(kernel, target, in_flight_max=1):
        await inbox_of(kernel).take([sealing.command("A"), sealing.withheld(), sealing.command("B 1")])
        found = await settled(kernel, lambda r: r.received == 3 and not r.pending)
        assert target.taken == ["hq.eu-de.1.1", "hq.eu-de.1.3"]
        assert (found.delivered, found.not_wanted) == (2, 1), "a stub is no command"
        second = target.attempts[1]
        assert (second.key, second.type, second.attempt) == ("B 1", "io.entrepot.orders.order.v1", 1)
        assert second.attributes["subject"] == "B 1"
        assert second.data == sealing.records[2].data
        assert [r.reference for r in await rows(kernel, "delivered")] == ["ok hq.eu-de.1.1", "ok hq.eu-de.1.3"]
        await proven(kernel)
    assert target.closed


async def test_words_of_an_adapter_that_are_no_text_end_nothing(tmp_path: Path) -> None:
    """Of the ends that a delivery may have, each with such words; the last one is taken."""
    words = "\ud800"
    said = {
        "A": [Permanent(words, hint=words)],
        "B": [Retryable(words, hint=words), Delivered(reference=words)],
    }
    sealing, target = Sealing(), MemoryTarget(lambda delivery: said[str(delivery.key)].pop(0))
    async with region(tmp_path) as kernel, at_work(kernel, target):
        await inbox_of(kernel).take([sealing.command("A"), sealing.command("B")])
        await settled(kernel, lambda r: r.dead_lettered == 1 and r.delivered == 1)
        assert [each.reason for each in await rows(kernel, "letter")] == ["?"]
        assert [each.reference for each in await rows(kernel, "delivered")] == ["?"]
        said["A"] = [Refused(words)]
        (left,) = await rows(kernel, "letter")
        await kernel.journal.write(partial(deliveries.reopen, number=left.number, now_us=clock.now_us()))
        await kernel.delivering["wms"].reopened(left.number)
        assert (await settled(kernel, lambda r: r.disabled is not None)).disabled == "?"


async def test_a_failing_key_holds_only_its_own_successors_and_keeps_its_id(tmp_path: Path) -> None:
    sealing, broken = Sealing(), True

    def answer(delivery: Delivery) -> Delivered | Exception:
        return Retryable("busy") if delivery.key == "A" and broken else Delivered()

    target = MemoryTarget(answer)
    async with region(tmp_path) as kernel, at_work(kernel, target, breaker_failures_max=1_000):
        await inbox_of(kernel).take([sealing.command(key) for key in ("A", "A", "B", "C")])
        await settled(kernel, lambda r: r.delivered == 2)
        await target.until(lambda: len(target.attempts) >= 5)
        assert target.taken == ["hq.eu-de.1.3", "hq.eu-de.1.4"]
        failed = [each for each in target.attempts if each.key == "A"]
        assert {each.id for each in failed} == {"hq.eu-de.1.1"}, "the second of A waits"
        assert [each.attempt for each in failed] == list(range(1, len(failed) + 1))
        broken = False
        await settled(kernel, lambda r: r.delivered == 4)
        assert target.taken[2:] == ["hq.eu-de.1.1", "hq.eu-de.1.2"]
        await proven(kernel)


async def test_a_letter_is_kept_with_its_reason_and_delivered_after_all_or_discarded(tmp_path: Path) -> None:
    sealing, broken = Sealing(), True

    def answer(delivery: Delivery) -> Delivered | Exception:
        return Permanent("no such order", hint="create it") if broken else Delivered()

    target = MemoryTarget(answer)
    async with region(tmp_path) as kernel, at_work(kernel, target) as step:
        await inbox_of(kernel).take([sealing.command(), sealing.command()])
        found = await settled(kernel, lambda r: r.letters == 2)
        assert (found.dead_lettered, found.pending) == (2, 0)
        first, second = await rows(kernel, "letter")
        assert (first.reason, first.hint, first.data) == ("no such order", "create it", sealing.records[0].data)
        await proven(kernel)
        broken = False
        await kernel.journal.write(partial(deliveries.reopen, number=first.number, now_us=clock.now_us()))
        await step.reopened(first.number)
        found = await settled(kernel, lambda r: r.delivered == 1)
        await kernel.journal.write(partial(deliveries.discard, number=second.number, now_us=clock.now_us()))
        step.discarded(second.number)
        found = await row(kernel)
        assert (found.delivered, found.dead_lettered, found.letters, found.pending) == (1, 1, 0, 0)
        assert target.taken == ["hq.eu-de.1.1"]
        await proven(kernel)


async def test_a_target_that_wants_no_more_is_left_alone_until_a_person_enables_it_even_after_a_restart(
    tmp_path: Path,
) -> None:
    sealing, refusing = Sealing(), True
    target = MemoryTarget(lambda _: Refused("gone for good") if refusing else Delivered())
    async with region(tmp_path) as kernel:
        async with at_work(kernel, target, in_flight_max=1):
            await inbox_of(kernel).take([sealing.command(), sealing.command()])
            found = await settled(kernel, lambda r: r.disabled is not None)
            assert (found.disabled, found.pending) == ("gone for good", 2)
        refusing = False
        async with at_work(kernel, target, in_flight_max=1) as step:
            await inbox_of(kernel).take([sealing.command("C")])
            await settled(kernel, lambda r: r.looked == 3)
            assert len(target.attempts) == 1
            found = await row(kernel)
            await kernel.journal.write(lambda connection: targets.disable(connection, found.id, None))
            step.enabled()
            await settled(kernel, lambda r: r.delivered == 3)
        assert target.taken == ["hq.eu-de.1.1", "hq.eu-de.1.2", "hq.eu-de.1.3"]


async def test_what_has_expired_is_not_delivered_but_counted_and_never_while_the_clock_is_wrong(
    tmp_path: Path,
) -> None:
    sealing, right = Sealing(), False
    target = MemoryTarget(lambda _: Retryable("busy"))
    async with (
        region(tmp_path) as kernel,
        at_work(kernel, target, clock_is_right=lambda: right, breaker_failures_max=1_000) as step,
    ):
        await inbox_of(kernel).take([sealing.command(expirytime="2026-03-01T00:00:00Z")])
        await target.until(lambda: len(target.attempts) > 2)
        assert (await row(kernel)).expired == 0
        right = True
        step.ring()
        found = await settled(kernel, lambda r: r.expired == 1)
        assert found.pending == 0
        await proven(kernel)


@pytest.mark.parametrize(
    ("failure", "keys"),
    [
        (Retryable("busy"), {"retry": {"seconds_min": 0.05, "seconds_max": 0.05, "attempts_max": 3}}),
        (ConfigError("no such secret"), {"retry": {"seconds_min": 0.05, "seconds_max": 0.05, "attempts_max": 3}}),
        (ValueError("personal data"), {"retry": {"seconds_min": 0.05, "seconds_max": 0.05, "attempts_max": 3}}),
    ],
    ids=["busy", "secret", "bug"],
)
async def test_what_fails_again_and_again_becomes_a_letter_when_it_is_given_up(
    failure: Exception, keys: dict[str, object], tmp_path: Path
) -> None:
    target = MemoryTarget(lambda _: failure)
    async with region(tmp_path) as kernel, at_work(kernel, target, **keys):
        await inbox_of(kernel).take([Sealing().command()])
        await settled(kernel, lambda r: r.letters == 1)
        (letter,) = await rows(kernel, "letter")
        assert letter.attempts == len(target.attempts) == 3
        assert "personal" not in letter.reason


async def test_an_answer_that_never_comes_is_not_waited_for(tmp_path: Path) -> None:
    class Hanging(MemoryTarget):
        async def deliver(self, delivery: Delivery) -> Delivered:
            await super().deliver(delivery)
            if len(self.attempts) == 1:
                await anyio.sleep_forever()
            return Delivered()

    target = Hanging()
    async with region(tmp_path) as kernel, at_work(kernel, target, timeout_seconds=0.1):
        await inbox_of(kernel).take([Sealing().command()])
        await settled(kernel, lambda r: r.delivered == 1)
        assert [each.id for each in target.attempts] == ["hq.eu-de.1.1"] * 2


async def test_a_restart_goes_on_with_what_was_open_and_forgets_no_attempt(tmp_path: Path) -> None:
    sealing, working = Sealing(), False
    target = MemoryTarget(lambda d: Delivered() if working else Retryable("busy"))
    async with region(tmp_path) as kernel, at_work(kernel, target, breaker_failures_max=1_000):
        await inbox_of(kernel).take([sealing.command(), sealing.command()])
        await target.until(lambda: len(target.attempts) >= 2)
    tried = len(target.attempts)
    working = True
    async with region(tmp_path) as kernel, at_work(kernel, target):
        await settled(kernel, lambda r: r.delivered == 2)
        assert target.attempts[tried].attempt > 1
        assert target.taken == ["hq.eu-de.1.1", "hq.eu-de.1.2"]
        assert (await inbox_of(kernel).head()).seq == 2


async def test_each_of_two_targets_gets_what_it_wants_and_one_does_not_wait_for_the_other(tmp_path: Path) -> None:
    sealing = Sealing()
    broken, working = MemoryTarget(lambda _: Retryable("away")), MemoryTarget()
    working.unwanted.add("B")
    async with region(tmp_path) as kernel, at_work(kernel, broken, "erp"), at_work(kernel, working):
        await settled(kernel, lambda _: True, "erp")
        await settled(kernel, lambda _: True)
        await inbox_of(kernel).take([sealing.command("A"), sealing.command("B"), sealing.command("C")])
        found = await settled(kernel, lambda r: r.received == 3 and not r.pending)
        assert (found.delivered, found.not_wanted) == (2, 1)
        assert (await row(kernel, "erp")).pending == 3
        await proven(kernel)


async def test_a_lane_is_read_as_far_as_the_hub_has_it_and_only_what_clearance_released(tmp_path: Path) -> None:
    target = MemoryTarget()
    async with region(tmp_path) as kernel, at_work(kernel, target, reads="realtime", in_flight_max=1):
        await settled(kernel, lambda _: True)
        await accept(kernel, message("A", 1), message("A", 2, withhold=True), message("A", 3))
        await translate(kernel)
        await kernel.lanes["realtime"].take(0, 10)
        offer = await kernel.journal.read(partial(offered, name="wms", region="eu-de"))
        assert (offer.through, offer.rows) == (0, []), "sealed, and not yet at the hub"
        await ship(kernel)
        found = await settled(kernel, lambda r: r.received == 3 and not r.pending)
        assert (found.delivered, found.not_wanted) == (2, 1)
        assert target.taken == ["eu-de.realtime.1.1", "eu-de.realtime.1.3"]
        await proven(kernel)


async def test_an_offer_of_rows_that_adopt_took_back_does_not_hold_and_one_to_which_more_came_does(
    tmp_path: Path,
) -> None:
    async with region(tmp_path) as kernel:
        await kernel.journal.write(partial(targets.enter, name="bi", reads="realtime"))
        look = partial(offered, name="bi", region="eu-de")
        await accept(kernel, message("A", 1), message("A", 2))
        await translate(kernel)
        await ship(kernel)
        offer = await kernel.journal.read(look)
        assert len(offer.rows) == 2
        await accept(kernel, message("A", 3))
        await translate(kernel)
        await ship(kernel)
        still = partial(holds, offer=offer, name="bi", region="eu-de")
        assert await kernel.journal.read(still)
        await kernel.journal.write(lambda c: targets.count(c, "realtime", 3))
        await kernel.journal.write(lambda c: targets.fall_back(c, "realtime", 1))
        await kernel.journal.write(lambda c: c.execute("UPDATE lanes SET acked = 1 WHERE name = 'realtime'"))
        assert not await kernel.journal.read(still)


async def test_the_first_target_gets_what_came_before_it_and_later_ones_what_comes_after(tmp_path: Path) -> None:
    sealing, first, later = Sealing(), MemoryTarget(), MemoryTarget()
    async with region(tmp_path) as kernel:
        await inbox_of(kernel).take([sealing.command(), sealing.command()])
        async with at_work(kernel, first), at_work(kernel, later, "erp"):
            await settled(kernel, lambda r: r.delivered == 2)
            await settled(kernel, lambda _: True, "erp")
            await inbox_of(kernel).take([sealing.command()])
            await settled(kernel, lambda r: r.delivered == 3)
            await settled(kernel, lambda r: r.delivered == 1, "erp")
        assert later.taken == ["hq.eu-de.1.3"]


async def test_a_target_that_leaves_with_something_to_deliver_is_refused_and_one_that_comes_back_missed_nothing(
    tmp_path: Path,
) -> None:
    sealing, target = Sealing(), MemoryTarget()
    async with region(tmp_path) as kernel:
        await kernel.journal.write(partial(targets.enter, name="wms", reads="inbox"))
        await inbox_of(kernel).take([sealing.command()])
        with pytest.raises(Refused, match="still has 1 deliveries"):
            await kernel.journal.read(lambda c: targets.refuse_leaving(c, {}))
        async with at_work(kernel, target):
            await settled(kernel, lambda r: r.delivered == 1)
        gone = await kernel.journal.write(lambda c: targets.let_go(c, {}))
        assert [each.name for each in gone] == ["wms"]
        await inbox_of(kernel).take([sealing.command()])
        async with at_work(kernel, target):
            await settled(kernel, lambda r: r.delivered == 2)
        await proven(kernel)


async def test_a_position_that_somebody_moved_takes_nothing_in(tmp_path: Path) -> None:
    sealing = Sealing()
    async with region(tmp_path) as kernel:
        step = inbox_of(kernel)
        first = sealing.command()
        await step.take([first])
        with pytest.raises(Permanent):
            await step.take([first])
        assert len(await kernel.journal.read(lambda c: inbox.after(c, 0, 10))) == 1


async def test_verify_names_an_inbox_that_was_changed_and_books_that_do_not_add_up(tmp_path: Path) -> None:
    sealing = Sealing()
    async with region(tmp_path) as kernel:
        await kernel.journal.write(partial(targets.enter, name="wms", reads="inbox"))
        await inbox_of(kernel).take([sealing.command(), sealing.command(), sealing.command()])
        await proven(kernel)
        await kernel.journal.write(lambda c: c.execute("UPDATE inbox SET data = x'7b7d' WHERE number = 2"))
        await kernel.journal.write(lambda c: c.execute("UPDATE targets SET delivered = 1, pending = 2"))
        problems = await inspect.verify(kernel.journal, whole_file=False)
        assert any("inbox: record 2 of hq was changed" in each for each in problems)
        assert any("2 are pending, but 3 are there" in each for each in problems)
