"""What a sender is told about a message follows what really happened to it, at every step of the way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from runtime.envelope import Message
from runtime.kernel import Kernel
from tests.support.kernel import accept, body, message, region, ship, translate

pytestmark = pytest.mark.anyio


@pytest.fixture
async def kernel(tmp_path: Path) -> AsyncIterator[Kernel]:
    async with region(tmp_path, park=True) as kernel:
        yield kernel


async def state(kernel: Kernel, key: str, caller: str | None = None, source: str = "wms") -> str | None:
    fate = await kernel.fate(source, key, caller)
    return None if fate is None else fate.state


async def test_an_event_is_accepted_translated_and_delivered_in_this_order(kernel: Kernel) -> None:
    (receipt,) = await accept(kernel, message(key="k"))
    assert await state(kernel, "k") == "accepted"
    await translate(kernel)
    assert await state(kernel, "k") == "translated"
    step = kernel.lanes["realtime"]
    rows = await step.take(0, 10)
    assert await state(kernel, "k") == "translated", "sealed is not yet at the hub"
    await step.acknowledge(rows[-1].seq)
    fate = await kernel.fate("wms", "k", None)
    assert fate is not None
    assert (fate.state, fate.intake_seq, fate.sha256) == ("delivered", receipt.intake_seq, receipt.sha256)
    assert [(event.output, event.type, event.state) for event in fate.events] == [(0, "stock.snapshot", "delivered")]


async def test_a_message_whose_content_stays_here_is_withheld(kernel: Kernel) -> None:
    await accept(kernel, message(key="k", withhold=True), message(key="both", sku="C", copies=1))
    await translate(kernel)
    await ship(kernel)
    assert await state(kernel, "k") == "withheld"
    assert await state(kernel, "both") == "delivered"


async def test_all_events_must_be_at_the_hub(kernel: Kernel) -> None:
    await accept(kernel, message(key="k", also="b-1"))
    await translate(kernel)
    await ship(kernel, "realtime")
    assert await state(kernel, "k") == "translated"
    await ship(kernel, "bulk")
    assert await state(kernel, "k") == "delivered"


async def test_a_letter_tells_why_and_what_waits_behind_it_waits(kernel: Kernel) -> None:
    await accept(
        kernel, Message(body=b'{"sku": "A"}', key="k"), message("A", key="next"), message(key="new", ignore="old")
    )
    await translate(kernel)
    letter = await kernel.fate("wms", "k", None)
    assert letter is not None
    assert (letter.state, letter.reason, letter.position) == ("letter", "no stock message", "/sku")
    assert await state(kernel, "next") == "waiting"
    assert await state(kernel, "new") == "ignored"
    await kernel.replay.discard(1)
    discarded = await kernel.fate("wms", "k", None)
    assert discarded is not None
    assert discarded.discarded


async def test_another_callers_message_looks_like_none(kernel: Kernel) -> None:
    await accept(kernel, Message(body=body(), key="k", caller="dhl-de"), message(key="free"))
    assert await state(kernel, "k", "dhl-de") == "accepted"
    for stranger in ("dhl-fr", None):
        assert await state(kernel, "k", stranger) is None
    assert await state(kernel, "free", "dhl-fr") == "accepted"
    assert await state(kernel, "k", "dhl-de", "carrier") is None
    assert await state(kernel, "x") is None


async def test_the_right_row_is_found_among_many(kernel: Kernel) -> None:
    """Withheld and released alternate: the state tells which row was looked at."""
    sent: list[Any] = [message(f"S{n}", key=f"k{n}", withhold=bool(n % 3)) for n in range(200)]
    await accept(kernel, *sent)
    await translate(kernel)
    step = kernel.lanes["realtime"]
    rows = await step.take(0, 256)
    await step.acknowledge(rows[149].seq)
    for n in range(200):
        wanted = "translated" if n >= 150 else "withheld" if n % 3 else "delivered"
        assert await state(kernel, f"k{n}") == wanted, n
