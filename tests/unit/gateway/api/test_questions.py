"""Addresses, filters, limits and cursors: what is asked is what was meant, or a problem that names the part."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.access.scopes import API_VERBS, parse_scope
from runtime.errors import ConfigError
from runtime.gateway.api.cursors import Cursors
from runtime.gateway.api.operations import OPERATIONS, route
from runtime.gateway.api.queries import read_query
from runtime.gateway.api.settings import ApiSettings, Deprecation, check_api
from runtime.gateway.problems import Rejection

BY_ID = {operation.id: operation for operation in OPERATIONS}
CURSORS = Cursors(b"k" * 32)


@given(st.text(max_size=40), st.tuples(st.text(max_size=40), st.text(max_size=40)))
def test_a_cursor_comes_back_as_it_was_given(question: str, position: tuple[str, str]) -> None:
    assert CURSORS.read(question, CURSORS.write(question, position), tuple[str, str]) == position


@given(st.text(max_size=80) | st.binary(max_size=60).map(bytes.hex))
def test_what_this_region_did_not_give_out_is_no_cursor(text: str) -> None:
    assert CURSORS.read("list-stock []", text, tuple[str, str]) is None


def test_a_cursor_belongs_to_its_question_and_its_region() -> None:
    cursor = CURSORS.write("list-stock [('sku', 'A')]", ("A", ""))
    assert CURSORS.read("list-stock [('sku', 'B')]", cursor, tuple[str, str]) is None
    assert Cursors(b"o" * 32).read("list-stock [('sku', 'A')]", cursor, tuple[str, str]) is None
    assert CURSORS.read("list-stock [('sku', 'A')]", cursor, int) is None


@pytest.mark.parametrize("place", range(0, 20, 3))
def test_a_cursor_that_was_changed_is_refused(place: int) -> None:
    cursor = CURSORS.write("q", ("A-1", "part"))
    other = cursor[:place] + ("A" if cursor[place] != "A" else "B") + cursor[place + 1 :]
    assert CURSORS.read("q", other, tuple[str, str]) is None


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("limit=0", "limit"), ("limit=201", "limit"), ("limit=-1", "limit"), ("limit=1e1", "limit"), ("limit=", "limit"),
        ("limit=%D9%A3", "limit"), ("limit=1&limit=2", "twice"), ("offset=3", "takes"), ("sku=", "sku"),
        ("sku=" + "x" * 201, "sku"), ("cursor=", "cursor"), ("cursor=" + "x" * 4_001, "cursor"), ("sku=%ff", "UTF-8"),
        ("&".join(["limit=1"] * 30), "too many"),
    ],
)  # fmt: skip
def test_a_query_that_cannot_be_meant_is_refused_with_its_part(query: str, says: str) -> None:
    with pytest.raises(Rejection, match=says) as refused:
        read_query(BY_ID["list-stock"], query, 200)
    assert refused.value.status == 400


def test_a_query_is_read_as_it_is_meant() -> None:
    query = read_query(BY_ID["list-stock"], "sku=A%2F1%20%C3%BC&location_id=a+b&limit=200", 200)
    assert (query.filters, query.limit, query.cursor) == ({"sku": "A/1 ü", "location_id": "a b"}, 200, None)
    assert read_query(BY_ID["list-stock"], "", 200).limit == 50
    assert read_query(BY_ID["list-stock"], "", 7).limit == 7
    with pytest.raises(Rejection, match="takes nothing"):
        read_query(BY_ID["get-product"], "limit=1", 200)


def test_an_address_leads_to_its_operation_with_decoded_parts() -> None:
    found = route("/api/v1/timeline/order/A%2F1%20%C3%BC")
    assert found is not None
    assert (found.operation.id, found.values) == ("get-timeline", {"subject": "order", "key": "A/1 ü"})
    assert {route(o.path).operation.id for o in OPERATIONS if not o.path_parameters} == {  # type: ignore[union-attr]
        o.id for o in OPERATIONS if not o.path_parameters
    }


@pytest.mark.parametrize(
    "path",
    ["/api/v1/", "/api/v1/nothing", "/api/v1/stock/", "/api/v1/stock/A", "/api/v1/products/a/b", "/api/v1/products/",
     "/api/v1/timeline/person/1", "/api/v1/timeline/order/", "/api/v1/products/" + "x" * 201, "/api/v2/stock", "/api/v1"],
)  # fmt: skip
def test_other_addresses_lead_nowhere(path: str) -> None:
    assert route(path) is None


def test_every_operation_asks_for_a_scope_that_can_be_granted() -> None:
    assert {operation.scope for operation in OPERATIONS} == {("api", part, verb) for part, verb in API_VERBS.items()}
    for operation in OPERATIONS:
        assert parse_scope(":".join(operation.scope)) == operation.scope


@pytest.mark.parametrize("text", ["api", "api:*", "api:stock", "api:stock:write", "api:orders:read", "api:books:read"])
def test_a_scope_that_nothing_asks_for_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_scope(text)


def test_what_will_end_says_so_in_two_headers() -> None:
    since, sunset = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 12, 31, 23, tzinfo=UTC)
    said = Deprecation(since=since, sunset=sunset, link="https://docs.example/v2")
    assert said.fields == {
        "Deprecation": "@1767225600",
        "Sunset": "Thu, 31 Dec 2026 23:00:00 GMT",
        "Link": '<https://docs.example/v2>; rel="deprecation"; type="text/html"',
    }
    whole = ApiSettings(deprecated={"v1": Deprecation(since=since), "list-stock": said})
    assert whole.deprecation("list-stock") is said
    assert whole.deprecation("get-product") == Deprecation(since=since)
    assert ApiSettings().deprecation("get-product") is None


def test_an_end_before_the_warning_is_a_mistake() -> None:
    since, sunset = datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
    with pytest.raises(ConfigError, match="sunset"):
        check_api(ApiSettings(deprecated={"v1": Deprecation(since=since, sunset=sunset)}))
