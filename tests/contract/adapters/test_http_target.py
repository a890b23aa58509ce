"""The HTTP target keeps what `adapters.sdk.target_conformance` asks, and its templates lead nowhere else."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.http_target import TARGET
from adapters.http_target.answers import reference
from adapters.http_target.request import Writer, compile_templates
from adapters.http_target.target import HttpTarget
from adapters.sdk.conformance import Check
from adapters.sdk.outbound import read_door
from adapters.sdk.target_conformance import Foreign, TargetCase, conformance, delivery
from runtime.errors import ConfigError, EntrepotError, Permanent, Refused, Retryable
from runtime.ports import Delivery, TargetContext
from tests.support.receivers import Receiver, receiver

SECRETS = {"secret://wms": b"s3cret-token-of-the-wms", "secret://odd": b"two\nlines"}
RENDERING = """
rendering = "wms-order"
version = 1
[fields]
orderNumber = "data.order_id"
positions = { each = "data.lines", fields = { item = "sku", qty = { path = "quantity.value", convert = "decimal" } } }
"""
INVALID: tuple[dict[str, Any], ...] = (
    {"url": "https://{data.host}/x", "allow_private": False},
    {"url": "http://partner.example/x", "allow_private": False},
    {"url": "https://partner.example/{data.order_id"},
    {"url": "https://partner.example/{data.order id}"},
    {"url": "https://partner.example/a b"},
    {"method": "GET"},
    {"headers": {"Host": "x"}},
    {"headers": {"Idempotency-Key": "x"}},
    {"headers": {"X-A": "a\r\nX-B: b"}},
    {"headers": {"X A": "a"}},
    {"auth": {}},
    {"auth": {"bearer": "secret://wms", "username": "x"}},
    {"auth": {"username": "x"}},
    {"auth": {"header": "Content-Length", "secret": "secret://wms"}},
    {"auth": {"bearer": "a token in the file"}},
    {"done": [409], "gone": [409]},
    {"reference": "id"},
    {"filters": [{"exakt": {}}]},
)
PLAYED: Callable[[str], AbstractAsyncContextManager[Foreign]] = lambda _directory: receiver()  # noqa: E731
CASES = [
    TargetCase(
        name=name,
        settings={"idempotency_header": "Idempotency-Key", "auth": auth, **settings},
        secrets={"secret://wms": SECRETS["secret://wms"]},
        foreign=PLAYED,
        faults=("away", "failing", "refuses", "hangs") if "gone" not in settings else ("away", "failing", "refuses", "gone", "hangs"),
        invalid_settings=INVALID,
    )
    for name, auth, settings in (
        ("post with bearer", {"bearer": "secret://wms"}, {"gone": [410]}),
        ("put with basic", {"username": "eu-de", "password": "secret://wms"}, {"method": "PUT"}),
        ("own header", {"header": "X-Api-Key", "secret": "secret://wms"}, {"headers": {"X-Order": "{data.order_id}"}}),
    )
]  # fmt: skip


@pytest.mark.anyio
@pytest.mark.parametrize("check", conformance(TARGET, CASES), ids=str)
async def test_the_target_conforms(check: Check, tmp_path: Path) -> None:
    await check.run(str(tmp_path))


def context(directory: Path | str = ".") -> TargetContext:
    return TargetContext(
        name="wms",
        region="eu-de",
        secret=lambda name: SECRETS[name],
        directory=str(directory),
        log=lambda _event, **_fields: None,
        now_us=lambda: 1_767_225_600_000_000,
    )


def target(there: Receiver, directory: Path | str = ".", **settings: Any) -> HttpTarget:
    return TARGET.target(msgspec.convert({**there.settings, **settings}, TARGET.settings), context(directory))


async def deliver(there: Receiver, given: Delivery | None = None, **settings: Any) -> str:
    out = target(there, **settings)
    try:
        return (await out.deliver(given or delivery())).reference
    finally:
        await out.close()


@pytest.mark.anyio
async def test_the_request_is_made_of_the_event(tmp_path: Path) -> None:
    (tmp_path / "wms-order.toml").write_text(RENDERING)
    async with receiver() as there:
        there.usual = (201, {}, b'{"order": {"id": 4711}}')
        there.path = "/orders/{data.order_id}/lines?of={delivery.region}&type={lower(type)}"
        out = target(
            there,
            tmp_path,
            method="PUT",
            headers={"X-Subject": "{subject}-{len(data.lines)}", "Content-Type": "application/vnd.acme+json"},
            rendering="wms-order.toml",
            idempotency_header="Idempotency-Key",
            auth={"bearer": "secret://wms"},
            reference="/order/id",
        )
        made = await out.deliver(delivery(3))
        await out.close()
        [got] = there.received
    assert made.reference == "4711"
    assert (got.method, got.target) == ("PUT", "/orders/A-3/lines?of=eu-de&type=io.entrepot.order.created.v1")
    assert got.headers["Authorization"] == "Bearer s3cret-token-of-the-wms"
    assert got.headers["Idempotency-Key"] == "hq.orders.1.3"
    assert got.headers["X-Subject"] == "A-3-1"
    assert got.headers.getall("Content-Type") == ["application/vnd.acme+json"]  # type: ignore[attr-defined]
    assert json.loads(got.body) == {"orderNumber": "A-3", "positions": [{"item": "S-1", "qty": 2}]}


@pytest.mark.anyio
async def test_without_a_rendering_the_data_goes_as_it_is_or_nothing() -> None:
    async with receiver() as there:
        await deliver(there)
        await deliver(there, content="none", method="DELETE")
        data, nothing = there.received
        assert (data.body, data.headers["Content-Type"]) == (delivery().data, "application/json")
        assert (nothing.method, nothing.body) == ("DELETE", b"")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("status", "settings", "outcome"),
    [
        (200, {}, None),
        (204, {}, None),
        (200, {"expected": [201]}, Retryable),
        (201, {"expected": [201]}, None),
        (302, {}, Retryable),
        (400, {}, Permanent),
        (401, {}, Retryable),
        (404, {}, Retryable),
        (404, {"done": [404]}, None),
        (404, {"later": [429]}, Permanent),
        (409, {}, Permanent),
        (409, {"done": [409]}, None),
        (410, {"gone": [410]}, Refused),
        (422, {}, Permanent),
        (422, {"later": [422]}, Retryable),
        (429, {}, Retryable),
        (500, {}, Retryable),
        (503, {}, Retryable),
    ],
)
async def test_a_status_means_what_the_settings_say(
    status: int, settings: dict[str, Any], outcome: type[EntrepotError] | None
) -> None:
    async with receiver() as there:
        there.usual = (status, {"Retry-After": "11"}, b'{"message": "Ingeborg lives at 1 Main Street"}')
        if outcome is None:
            await deliver(there, **settings)
            return
        with pytest.raises(EntrepotError, match=str(status)) as caught:
            await deliver(there, **settings)
        assert caught.type is outcome
        assert "Ingeborg" not in str(caught.value) + caught.value.hint
        assert getattr(caught.value, "after_seconds", 11.0) == 11.0


# ---------------------------------------------------------------- templates lead nowhere else


def written(url: str, subject: str, headers: dict[str, str] | None = None) -> tuple[str, dict[str, str]]:
    settings = msgspec.convert({"url": url, "headers": headers or {}}, TARGET.settings)
    door = read_door(settings)
    asked = Writer(settings, compile_templates(settings, door), None, "eu-de").write(
        msgspec.structs.replace(delivery(), attributes={"subject": subject})
    )
    return asked.target, asked.headers


@given(st.text(min_size=1))
def test_a_value_fills_one_part_of_the_path_and_one_value_of_the_query(subject: str) -> None:
    try:
        found, _ = written("https://wms.example/orders/{subject}/lines?a={subject}&b=1", subject)
    except (Permanent, UnicodeEncodeError):
        assert subject in (".", "..") or not subject.isprintable()
        return
    path, _, query = found.partition("?")
    assert found.isascii()
    assert found.isprintable()
    assert path.count("/") == 3
    assert (path.split("/")[1], path.split("/")[3]) == ("orders", "lines")
    assert query.count("&") == 1
    assert "#" not in found


@pytest.mark.parametrize("subject", [".", ".."])
def test_a_value_never_climbs(subject: str) -> None:
    with pytest.raises(Permanent, match="another path"):
        written("https://wms.example/orders/{subject}", subject)


def test_dots_inside_a_value_are_a_value() -> None:
    assert written("https://wms.example/orders/{subject}", "../../admin")[0] == "/orders/..%2F..%2Fadmin"


@pytest.mark.parametrize("subject", ["a\r\nX-Admin: 1", "a\nb", "a\0b", "ä", "a\x7f"])
def test_a_value_that_no_header_can_carry_is_a_letter_that_does_not_repeat_it(subject: str) -> None:
    with pytest.raises(Permanent, match="header X-Order") as caught:
        written("https://wms.example/", subject, {"X-Order": "{subject}"})
    assert subject not in str(caught.value)


def test_an_event_without_the_value_of_the_address_is_a_letter() -> None:
    with pytest.raises(Permanent, match=r"\{data.customer\} has no value"):
        written("https://wms.example/{data.customer}", "x")


@pytest.mark.parametrize(
    ("pointer", "found"),
    [
        ("/order/id", "4711"),
        ("/order/no", "A~1/2"),
        ("/list/1", "b"),
        ("/order", ""),
        ("/list/9", ""),
        ("/list/x", ""),
        ("/a~1b/~0", "odd"),
        ("/long", ""),
        ("/true", ""),
        ("/lines", ""),
        ("", ""),
    ],
)
def test_a_reference_is_a_short_plain_value_or_nothing(pointer: str, found: str) -> None:
    answer = {
        "order": {"id": 4711, "no": "A~1/2"},
        "list": ["a", "b"],
        "a/b": {"~": "odd"},
        "long": "x" * 101,
        "true": True,
        "lines": "a\nb",
    }
    assert reference(json.dumps(answer).encode(), pointer) == found


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b"[" * 5_000, b"null"])
def test_an_answer_that_is_no_json_has_no_reference(body: bytes) -> None:
    assert reference(body, "/id") == ""


def test_what_a_person_should_know_is_said_before_the_start() -> None:
    settings = msgspec.convert(
        {"url": "http://127.0.0.1:1/x", "allow_private": True, "auth": {"bearer": "secret://wms"}}, TARGET.settings
    )
    said = " ".join(TARGET.check(settings, loopback=True))
    for words in ("without TLS", "asked twice for one event", "credential travels without TLS"):
        assert words in said
    quiet = msgspec.convert({"url": "https://wms.example/x", "idempotency_header": "Idempotency-Key"}, TARGET.settings)
    assert TARGET.check(quiet, loopback=True) == []


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"rendering": "none.toml"}, "none.toml cannot be read"),
        ({"rendering": "wrong.toml"}, "wrong.toml: "),
        ({"auth": {"bearer": "secret://odd"}}, "secret://odd .* cannot stand in a header"),
    ],
)
def test_what_cannot_work_is_a_sentence_before_the_start(settings: dict[str, Any], says: str, tmp_path: Path) -> None:
    (tmp_path / "wrong.toml").write_text("rendering = 1\n")
    given = msgspec.convert({"url": "https://wms.example/x", **settings}, TARGET.settings)
    with pytest.raises(ConfigError, match=says):
        TARGET.target(given, context(tmp_path))


@pytest.mark.parametrize(
    ("settings", "idempotent"),
    [({}, False), ({"idempotency_header": "X-Id"}, True), ({"repeats_are_harmless": True}, True)],
)
def test_only_the_operator_can_say_that_the_target_does_a_thing_once(
    settings: dict[str, Any], idempotent: bool
) -> None:
    given = msgspec.convert({"url": "https://wms.example/x", **settings}, TARGET.settings)
    assert TARGET.target(given, context()).idempotent is idempotent


def test_every_file_that_a_target_reads_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "order.toml").write_text(
        RENDERING + '[tables.a]\nfile = "a.csv"\n[tables.b]\nfile = "region:b.csv"\n'
    )
    for name in ("out/a.csv", "b.csv"):
        (tmp_path / name).write_text("code,ours\n1,2\n")
    given = msgspec.convert(
        {"url": "https://wms.example/", "rendering": "out/order.toml", "ca_file": "ca.pem"}, TARGET.settings
    )
    found = [str(Path(file).relative_to(tmp_path)) for file in TARGET.files(given, str(tmp_path))]
    assert found == ["out/order.toml", "out/a.csv", "b.csv", "ca.pem"]
    assert TARGET.files(msgspec.convert({"url": "https://wms.example/"}, TARGET.settings), str(tmp_path)) == []
