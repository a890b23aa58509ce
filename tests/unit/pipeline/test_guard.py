"""A translator that somebody wrote in Python may be wrong in any way: its message becomes a letter, the others go on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from runtime.canonical.stock import StockSnapshot
from runtime.envelope import Envelope, Event, Ignored
from runtime.errors import Untranslatable
from runtime.journal import books
from runtime.pipeline.guard import OUTPUTS_MAX, Guarded
from tests.support.kernel import Bench, StockTranslator, configure, message

SNAPSHOT = StockSnapshot(occurred_at=datetime(2026, 1, 2, tzinfo=UTC), sku="A", on_hand=Decimal(1))
NO_TEXT = "\ud800"


def event(**changes: Any) -> Event:
    return Event(**{"data": SNAPSHOT, "partition_key": "A", **changes})


def letter(*words: Any, **more: Any) -> Callable[[], Any]:
    def refuse() -> None:
        raise Untranslatable(*words, **more)

    return refuse


DEFECTS: dict[str, Callable[[], Any]] = {
    "the same number twice": lambda: [event(), event()],
    "a negative number": lambda: [event(output=-1)],
    "a number beyond the column": lambda: [event(output=2**63)],
    "a number that is a truth value": lambda: [event(output=True)],
    "no canonical type": lambda: [event(data={"sku": "A"})],
    "no partition key": lambda: [event(partition_key=None)],
    "a partition key that is a number": lambda: [event(partition_key=7)],
    "a partition key that is no text": lambda: [event(partition_key=NO_TEXT)],
    "a once key that is no text": lambda: [event(once_key=NO_TEXT)],
    "data that cannot be written": lambda: [
        event(data=StockSnapshot(occurred_at=NO_TEXT, sku=NO_TEXT, on_hand=object()))
    ],  # type: ignore[arg-type]
    "a reason that is no text": lambda: [Ignored(reason=NO_TEXT)],
    "a letter whose reason is no text": letter(NO_TEXT),
    "a letter whose place is no text": letter("wrong", position=NO_TEXT, hint=NO_TEXT),
    "a letter whose place and hint are nothing": letter("wrong", position=None, hint=None),
    "a letter whose place is a number": letter(7, position=7, hint=b"7"),
    "something else": lambda: ["A"],
    "nothing that can be counted": lambda: 7,
    "more than is kept": lambda: [event(output=n) for n in range(OUTPUTS_MAX + 1)],
    "a failure in the middle": lambda: (event(output=1 // n) for n in (1, 0)),
}


class Defective(StockTranslator):
    """Wrong for sku X."""

    def __init__(self, defect: Callable[[], Any]) -> None:
        super().__init__()
        self._defect = defect

    def partition_key(self, envelope: Envelope) -> str | None:
        raise ValueError("not this either")

    def key(self, body: bytes, content_type: str) -> str | None:
        raise ValueError("nor this")

    def translate(self, envelope: Envelope) -> Sequence[Event | Ignored]:
        outputs: Sequence[Event | Ignored] = self._defect() if b'"X"' in envelope.body else super().translate(envelope)
        return outputs


@pytest.mark.parametrize("defect", DEFECTS.values(), ids=DEFECTS)
def test_a_defect_makes_a_letter_and_the_others_go_on(defect: Callable[[], Any], tmp_path: Path) -> None:
    bench = Bench(configure(tmp_path, Guarded(Defective(defect))), durable=False)
    bench.accept(message("A", 1), message("X", 2), message("B", 3))
    bench.translate()
    assert bench.rows("SELECT intake_seq FROM letters") == [(2,)]
    assert len(bench.ship()) == 2
    account = books.read(bench.connection)
    assert (account.accepted, account.dead_lettered, account.delivered, account.pending) == (3, 1, 2, 0)
    bench.close()


def test_a_translator_that_fails_to_name_a_key_names_none() -> None:
    guarded = Guarded(Defective(list))
    assert guarded.key(b"{}", "application/json") is None
    envelope = Envelope(
        source="wms",
        body=b"{}",
        content_type="application/json",
        intake_seq=1,
        epoch=1,
        received_us=0,
        correlation_id="00" * 16,
    )
    assert guarded.partition_key(envelope) is None


def test_what_is_right_passes_unchanged(tmp_path: Path) -> None:
    bench = Bench(configure(tmp_path, Guarded(StockTranslator())), durable=False)
    bench.accept(message("A", 1, copies=3), message("A", 2, ignore="old"), message("B", 3, once="x"))
    bench.translate()
    assert len(bench.ship()) == 4
    bench.close()
