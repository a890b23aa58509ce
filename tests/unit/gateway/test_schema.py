"""A source that names a schema takes what fits it; of the rest it says where and which rule, and keeps nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runtime.errors import ConfigError
from runtime.gateway import inlet
from runtime.gateway.schema import FLAWS_MAX, LISTED_VALUES_MAX, POINTER_CHARS_MAX, MessageSchema
from tests.unit.gateway.conftest import ById

pytestmark = pytest.mark.anyio
ORDER = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["id", "lines"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "string", "pattern": "^O-[0-9]+$"},
        "email": {"type": "string", "format": "email"},
        "lines": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/line"}},
        "state": {"enum": ["open", "closed"]},
    },
    "$defs": {
        "line": {
            "type": "object",
            "required": ["sku"],
            "properties": {"quantity": {"type": "number", "maximum": 1_000_000}},
        }
    },
}
GOOD = {"id": "O-1", "lines": [{"sku": "A", "quantity": 1.5}]}
JSON = {"Content_Type": "application/json"}


def schema(of: Any = None) -> MessageSchema:
    return MessageSchema(json.dumps(ORDER if of is None else of), "order.json")


def flaws(message: Any, of: Any = None, kind: str = "application/json") -> list[tuple[str, str]]:
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    return [(flaw.pointer, flaw.detail) for flaw in schema(of).flaws(body, kind)]


async def test_what_fits_is_kept_and_what_does_not_is_a_422_with_the_place_and_the_rule(start: Any) -> None:
    site = await start(schema=schema())
    assert (await site.post("/in/open", json.dumps(GOOD).encode(), **JSON))[0] == 202
    wrong = {"id": "O-x", "lines": [{"sku": "A", "quantity": 2e6}, {}], "state": "away"}
    status, said, headers = await site.post("/in/open", json.dumps(wrong).encode(), **JSON)
    assert (status, said["type"], said["retryable"]) == (422, "urn:entrepot:problem:unfit", False)
    assert headers["Content-Type"] == "application/problem+json"
    assert sorted((flaw["pointer"], flaw["detail"]) for flaw in said["errors"]) == [
        ("/id", "breaks the rule pattern"),
        ("/lines/0/quantity", "breaks the rule maximum: 1000000"),
        ("/lines/1", "lacks the member sku (required)"),
        ("/state", "breaks the rule enum"),
    ]
    assert [message.body for message in site.intake.messages] == [json.dumps(GOOD).encode()]


async def test_of_a_batch_nothing_is_kept_and_each_line_is_named_by_its_number(start: Any) -> None:
    site = await start(schema=schema())
    good = json.dumps(GOOD).encode()
    body = b"\n".join([good, b"", b'{"id": 7, "lines": [{"sku": "A"}]}', good, b"{"])
    status, said, _ = await site.post("/in/open", body, Content_Type="application/x-ndjson")
    assert status == 422
    assert [flaw["pointer"] for flaw in said["errors"]] == ["/3/id", "/5"]
    assert said["errors"][0]["detail"] == "is not of the type string (type)"
    assert not site.intake.messages
    assert (await site.post("/in/open", good + b"\n" + good, Content_Type="application/x-ndjson"))[0] == 202


async def test_a_large_body_is_compared_in_a_thread_with_the_same_answer(
    start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asides: list[str] = []
    beside = inlet.run_sync

    async def watched(*given: Any, **named: Any) -> Any:
        asides.append("thread")
        return await beside(*given, **named)

    monkeypatch.setattr(inlet, "run_sync", watched)
    site = await start(schema=schema())
    lines = [{"sku": "x" * 100} for _ in range(inlet.INLINE_BYTES_MAX // 100)]
    assert (await site.post("/in/open", json.dumps({**GOOD, "lines": lines}).encode(), **JSON))[0] == 202
    status, said, _ = await site.post("/in/open", json.dumps({**GOOD, "lines": [*lines, 7]}).encode(), **JSON)
    assert (status, said["errors"][0]["pointer"]) == (422, f"/lines/{len(lines)}")
    assert asides == ["thread", "thread"]
    assert (await site.post("/in/open", json.dumps(GOOD).encode(), **JSON))[0] == 202
    assert len(asides) == 2, "a small body is not worth a thread"


async def test_a_stranger_is_turned_away_before_a_schema_is_asked(start: Any) -> None:
    site = await start(schema=schema())
    assert (await site.post("/in/wms", b"{}", **JSON))[0] == 401


async def test_trying_a_message_shows_what_sending_it_would_answer(start: Any) -> None:
    site = await start(schema=schema(), translator=ById(), outcome=lambda envelope: [])
    status, said, _ = await site.post("/check/open", b'{"id": "O-1"}', **JSON)
    assert (status, said["errors"]) == (422, [{"pointer": "", "detail": "lacks the member lines (required)"}])
    assert (await site.post("/check/open", json.dumps(GOOD).encode(), **JSON))[0] == 200
    assert not site.intake.messages


@pytest.mark.parametrize(
    "message",
    [
        {**GOOD, "email": "erika.mustermann"},
        {**GOOD, "state": "Erika Mustermann"},
        {**GOOD, "id": "Erika Mustermann"},
        {**GOOD, "lines": "Erika Mustermann"},
        {**GOOD, "Erika Mustermann": 1},
        {**GOOD, "lines": [{"sku": "A", "quantity": "Erika Mustermann"}]},
        b'"Erika Mustermann',
        b'["Erika Mustermann"]',
        b"Erika Mustermann",
    ],
    ids=str,
)
def test_no_value_of_a_message_is_repeated(message: Any) -> None:
    found = flaws(message)
    assert found
    assert "rika" not in str(found)


def test_a_schema_without_its_own_dialect_is_read_as_the_present_one() -> None:
    assert flaws(7, {"type": "object"}) == [("", "is not of the type object (type)")]


def test_patterns_take_time_in_proportion_to_the_text() -> None:
    assert flaws("a" * 50_000 + "!", {"pattern": "^(a+)+$"}) == [("", "breaks the rule pattern")]


def test_numbers_are_compared_as_they_are_written() -> None:
    exact = {"type": "integer", "maximum": 9007199254740993}
    assert not flaws(b"9007199254740993", exact)
    assert flaws(b"9007199254740994", exact)
    assert not flaws(b"0.3", {"multipleOf": 0.1})
    assert flaws(b"1e400", {"type": "string"})


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff", b'"\\ud800"', b"NaN", b"[" * 400 + b"]" * 400, b"9" * 5_000, b"{" * 90_000, b"1e999999999", b"\x00"],
    ids=lambda body: repr(body[:12]),
)
def test_rubbish_is_a_flaw_or_fits_and_raises_nothing(body: bytes) -> None:
    assert flaws(body, {"type": "object"})


def test_a_message_that_is_wrong_everywhere_has_few_flaws_and_short_pointers() -> None:
    some = flaws(b"[" + b"1," * (LISTED_VALUES_MAX - 1) + b"1]", {"items": {"type": "string"}})
    assert len(some) == FLAWS_MAX
    many = flaws(b"[" + b"1," * 100_000 + b"1]", {"items": {"type": "string"}})
    assert many == [("/0", "is not of the type string (type)")], (
        "all of them would cost a second and a hundred megabytes"
    )
    long = flaws({"a": {"n" * 100_000: 7}}, {"additionalProperties": {"additionalProperties": {"type": "string"}}})
    assert long == [("/a", "is not of the type string (type)")]
    assert all(len(pointer) <= POINTER_CHARS_MAX for pointer, _ in some)


def test_a_character_set_in_the_content_type_counts_as_it_does_for_the_rules() -> None:
    body = '{"name": "Müller"}'.encode("latin-1")
    assert not flaws(body, {"type": "object"}, "application/json; charset=iso-8859-1")
    assert flaws(body, {"type": "object"})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "no valid JSON"),
        ("[]", "an object was expected"),
        ('{"$schema": "http://json-schema.org/draft-07/schema#"}', "draft-07"),
        ('{"type": "sting"}', "no JSON Schema that can be used"),
        ('{"$ref": "https://elsewhere.example/order.json"}', "https://elsewhere.example/order.json"),
        ('{"$ref": "common.json#/$defs/line"}', "leads out of the file"),
        ('{"$ref": "file:///etc/passwd"}', "leads out of the file"),
        ('{"items": {"$ref": "#/$defs/none"}}', "no JSON Schema that can be used"),
        ('{"pattern": "(a"}', "no JSON Schema that can be used"),
        ('{"pattern": "(?=a)b"}', "no JSON Schema that can be used"),
        ('{"format": "emial"}', "no JSON Schema that can be used"),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused_in_one_sentence(text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=r"^order\.json") as error:
        MessageSchema(text, "order.json")
    assert told in str(error.value)
    assert "\n" not in str(error.value)
