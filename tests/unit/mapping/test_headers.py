"""A mapping reads the headers that it names, as it reads fields; what it does not name does not exist for it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from runtime.envelope import Event
from runtime.errors import ConfigError, Untranslatable
from tests.support.mappings import STOCK, compiled, envelope, snapshot

TOP = 'headers = ["X-Topic", "x-place"]\nkey = ["header:x-topic", "sku"]\n'


def translate(mapping: Any, headers: dict[str, str]) -> list[Any]:
    return list(mapping.translate(msgspec.structs.replace(envelope(STOCK), headers=headers)))


def test_a_header_is_a_value_a_condition_a_partition_key_and_a_part_of_the_key() -> None:
    output = """when = "header('X-TOPIC') == 'count'"\npartition_key = "header:x-place" """
    mapping = snapshot('location_id = "header:X-Place"', top=TOP, output=output)
    (event,) = translate(mapping, {"x-topic": "count", "x-place": "HH1"})
    assert isinstance(event, Event)
    assert (event.data.location_id, event.partition_key) == ("HH1", "HH1")
    assert mapping.headers == ("x-topic", "x-place")
    assert mapping.key(b'{"sku":"A-1"}', "application/json", {"x-topic": "count"}) == "count|A-1"
    with pytest.raises(Untranslatable, match="no output applies"):
        translate(mapping, {"x-topic": "other"})


def test_a_header_that_is_missing_or_wrong_is_a_letter_that_names_it() -> None:
    mapping = snapshot('status = { path = "header:x-topic", missing = "letter" }', top=TOP)
    for headers in ({}, {"x-topic": "eaten"}):
        with pytest.raises(Untranslatable) as caught:
            translate(mapping, headers)
        assert caught.value.position == "header:x-topic"


def test_a_field_called_header_is_still_a_field() -> None:
    mapping = snapshot('location_id = "header.site"', top=TOP)
    (event,) = mapping.translate(envelope({**STOCK, "header": {"site": "HH1"}}))
    assert isinstance(event, Event)
    assert event.data.location_id == "HH1"


@pytest.mark.parametrize(
    ("top", "field", "says"),
    [
        ('headers = ["x-topic"]', 'location_id = "header:x-topik"', "not among headers.*x-topic"),
        ("", 'location_id = "header:x-topic"', "not among headers"),
        ('headers = ["Cookie"]', "", "proves who sends, so it is never kept"),
        ('headers = "x-topic"', "", "expected a list of at most 8 names"),
        ('headers = ["x topic"]', "", "expected the name of a header"),
    ],
)
def test_a_mistake_with_headers_is_one_sentence(top: str, field: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        snapshot(field, top=top)


def test_an_expression_asks_for_a_header_by_its_name() -> None:
    with pytest.raises(ConfigError, match=r'header takes a text: header\("x-topic"\)'):
        snapshot(output='when = "header(sku) == 1"', top=TOP)


def test_a_mapping_on_its_own_cannot_name_messages_of_a_pack() -> None:
    with pytest.raises(ConfigError, match="only a mapping of a pack"):
        compiled('[[ignore]]\nmessages = ["x"]\nwhen = "true"\nreason = "x"\n')
