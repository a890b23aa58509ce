"""The filter dialects of the CloudEvents Subscriptions API."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.sdk.filters import DEPTH_MAX, FILTERS_MAX, compile_filters
from runtime.errors import ConfigError

EVENT = {"type": "io.entrepot.shipment.dispatched.v1", "source": "entrepot/eu-de", "subject": "A-1"}


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ([], True),
        ([{"exact": {"subject": "A-1"}}], True),
        ([{"exact": {"subject": "a-1"}}], False),
        ([{"exact": {"subject": "A-1", "source": "elsewhere"}}], False),
        ([{"exact": {"partitionkey": "A-1"}}], False),
        ([{"prefix": {"type": "io.entrepot.shipment."}}], True),
        ([{"prefix": {"type": "io.entrepot.order."}}], False),
        ([{"suffix": {"type": ".v1"}}], True),
        ([{"suffix": {"type": ".v2"}}], False),
        ([{"prefix": {"type": "io."}}, {"suffix": {"type": ".v2"}}], False),
        ([{"any": [{"suffix": {"type": ".v2"}}, {"exact": {"subject": "A-1"}}]}], True),
        ([{"any": [{"suffix": {"type": ".v2"}}]}], False),
        ([{"all": [{"suffix": {"type": ".v1"}}, {"exact": {"subject": "A-1"}}]}], True),
        ([{"all": [{"suffix": {"type": ".v1"}}, {"exact": {"subject": "A-2"}}]}], False),
        ([{"not": {"exact": {"subject": "A-2"}}}], True),
        ([{"not": {"not": {"exact": {"subject": "A-2"}}}}], False),
        ([{"not": {"exact": {"partitionkey": "x"}}}], True),
    ],
)
def test_an_event_is_wanted(filters: list[dict[str, Any]], wanted: bool) -> None:
    assert compile_filters(filters)(EVENT) is wanted


@pytest.mark.parametrize(
    ("filters", "says"),
    [
        ([{}], r"filters\[0\]: a filter names one dialect"),
        ([{"exact": {"type": "x"}, "prefix": {"type": "x"}}], "one dialect"),
        ([{"exakt": {"type": "x"}}], "there is no dialect 'exakt'; choose one of exact, prefix"),
        ([{"sql": "type = 'x'"}], "sql is not spoken here"),
        ([{"exact": {}}], "expected attributes"),
        ([{"exact": "type"}], "expected attributes"),
        ([{"prefix": {"type": ""}}], "not empty"),
        ([{"prefix": {"type": 1}}], "not empty"),
        ([{"prefix": {"ce-type": "x"}}], "is no attribute"),
        ([{"any": []}], "expected a list of filters"),
        ([{"all": [{"not": []}]}], r"filters\[0\]\.all\[0\]\.not"),
        ([{"exact": {"type": "x"}}] * (FILTERS_MAX + 1), "at most"),
    ],
)
def test_a_filter_that_cannot_work_is_a_sentence_with_its_place(filters: list[dict[str, Any]], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        compile_filters(filters)


def test_filters_inside_filters_have_an_end() -> None:
    filters: dict[str, Any] = {"exact": {"type": "x"}}
    for _ in range(DEPTH_MAX + 1):
        filters = {"not": filters}
    with pytest.raises(ConfigError, match="inside one another"):
        compile_filters([filters])
