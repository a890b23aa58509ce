"""Each simulated partner knows what must come of its messages: the example's own mappings agree."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from adapters.file_drop.translate import CsvForm, split_csv
from runtime.cli.map import load_file
from runtime.demo.messages import Carrier, Legacy, Outgoing, Warehouse, sscc
from runtime.envelope import Envelope, Event
from runtime.errors import Untranslatable
from runtime.mapping import CompiledMapping
from tests.support.example import EXAMPLE

MESSAGES = 1_500


class Region:
    """Translates as the pipeline does: a once-key is told once."""

    def __init__(self, mapping: str) -> None:
        self.mapping: CompiledMapping = load_file(EXAMPLE / "mappings" / mapping)
        self.told: set[str] = set()

    def outcome(self, body: bytes) -> tuple[int, bool]:
        """(events, letter)."""
        fact = Envelope(
            source="x", body=body, content_type="application/json", intake_seq=1, epoch=1, received_us=0, correlation_id="0" * 32
        )  # fmt: skip
        try:
            outputs = self.mapping.translate(fact)
        except Untranslatable:
            return 0, True
        new = [o for o in outputs if isinstance(o, Event) and (o.once_key is None or o.once_key not in self.told)]
        self.told |= {o.once_key for o in new if o.once_key is not None}
        return len(new), False


def clock() -> Iterator[str]:
    minute = 0
    while True:
        minute += 1
        yield f"2026-03-02T{minute // 60 % 24:02d}:{minute % 60:02d}:09"


def check(partner: Warehouse | Carrier, mapping: str) -> list[Outgoing]:
    region = Region(mapping)
    sent = [partner.next() for _ in range(MESSAGES)]
    for message in sent:
        assert region.outcome(message.body) == (message.events, message.letter), message.body
    return sent


@pytest.mark.parametrize("seed", [1, 2])
def test_the_warehouse_knows_what_comes_of_its_messages(seed: int) -> None:
    time = clock()
    sent = check(Warehouse(Random(seed), "0", lambda: next(time)), "acme-wms.toml")
    assert {(m.events, m.letter) for m in sent} >= {(0, False), (0, True), (1, False), (2, False)}


@pytest.mark.parametrize("seed", [1, 2])
def test_the_carrier_repeats_its_history_and_knows_what_is_new(seed: int) -> None:
    time = clock()
    sent = check(Carrier(Random(seed), "0", lambda: next(time)), "blitz-carrier.toml")
    assert {(m.events, m.letter) for m in sent} == {(0, False), (0, True), (1, False), (2, False)}


def test_the_carrier_knows_it_although_no_second_passes() -> None:
    check(Carrier(Random(3), "0", lambda: "2026-03-02T08:00:09"), "blitz-carrier.toml")


def test_the_legacy_system_knows_what_comes_of_each_line() -> None:
    region = Region("legacy-stock.toml")
    legacy = Legacy(Random(1), lambda: "02.03.2026 06:15")
    form = CsvForm(delimiter=";", encoding="latin-1", header=True)
    letters = 0
    for _ in range(20):
        name, content, lines = legacy.next()
        assert name.endswith(".csv")
        with pytest.raises(UnicodeDecodeError):
            content.decode("utf-8")
        messages = list(split_csv(iter(content.splitlines(keepends=True)), form, "digest"))
        assert [region.outcome(message.body) for message in messages] == [(line.events, line.letter) for line in lines]
        letters += sum(line.letter for line in lines)
    assert letters > 0


def test_message_keys_never_repeat() -> None:
    sent = [Warehouse(Random(number), str(number), lambda: "2026-03-02T08:00:09") for number in range(3)]
    mapping = Region("acme-wms.toml").mapping
    keys = [
        m.key or mapping.key(m.body, "application/json")
        for partner in sent
        for m in (partner.next() for _ in range(300))
    ]
    assert None not in keys
    assert len(set(keys)) == len(keys)


def test_a_container_code_has_its_check_digit() -> None:
    assert sscc(1) == "340123450000000017"
    assert sscc(2) == "340123450000000024"
