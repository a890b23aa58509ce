"""The webhook target keeps what `adapters.sdk.target_conformance` asks, signs as Standard Webhooks says, and is understood
by our own webhook source."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from adapters.sdk.conformance import Check
from adapters.sdk.recording import RecordingIntake
from adapters.sdk.target_conformance import Foreign, TargetCase, conformance, delivery
from adapters.webhook import ADAPTER as WEBHOOK
from adapters.webhook_out import TARGET
from adapters.webhook_out.signing import signed_headers, signer
from adapters.webhook_out.target import WebhookOutTarget
from runtime.errors import ConfigError, Permanent, Refused, Retryable
from runtime.ports import Request, SourceContext, TargetContext
from tests.support.receivers import Receiver, receiver

NOW_US = 1_767_225_600_000_000
SEED = bytes(range(32))
PUBLIC = Ed25519PrivateKey.from_private_bytes(SEED).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
SECRETS = {
    "secret://new": b"whsec_" + base64.b64encode(bytes(range(32))),
    "secret://old": b"whsec_" + base64.b64encode(bytes(range(32, 64))),
    "secret://key": b"whsk_" + base64.b64encode(SEED),
    "secret://short": b"whsec_" + base64.b64encode(bytes(8)),
    "secret://public": b"whpk_" + base64.b64encode(PUBLIC),
    "secret://long-key": b"whsk_" + base64.b64encode(SEED + PUBLIC),
    "secret://broken-key": b"whsk_" + base64.b64encode(SEED + SEED),
    "secret://half-key": b"whsk_" + base64.b64encode(SEED[:16]),
    "secret://text": b"whsec_not base64",
}
INVALID: tuple[dict[str, Any], ...] = (
    {"secrets": []},
    {"secrets": ["whsec_in-the-file"]},
    {"url": "https://127.0.0.1/x", "allow_private": False},
    {"url": "https://partner.example/a b"},
    {"url": "https://partner.example/#a"},
    {"mode": "batched"},
    {"answer_seconds_max": 120},
    {"filters": [{"prefix": {"type": ""}}]},
    {"allow_networks": ["10.0.0.1/8"]},
)
PLAYED: Callable[[str], AbstractAsyncContextManager[Foreign]] = lambda _directory: receiver()  # noqa: E731
CASES = [
    TargetCase(
        name=f"{mode} {'+'.join(secrets)}",
        settings={"mode": mode, "secrets": [f"secret://{name}" for name in secrets]},
        secrets={f"secret://{name}": SECRETS[f"secret://{name}"] for name in secrets},
        foreign=PLAYED,
        faults=("away", "failing", "gone", "hangs"),
        invalid_settings=INVALID,
    )
    for mode, secrets in (("structured", ("new",)), ("binary", ("new", "old")), ("structured", ("key", "old")))
]


@pytest.mark.anyio
@pytest.mark.parametrize("check", conformance(TARGET, CASES), ids=str)
async def test_the_target_conforms(check: Check, tmp_path: Path) -> None:
    await check.run(str(tmp_path))


def target(there: Receiver, *secrets: str, **settings: Any) -> WebhookOutTarget:
    names = [f"secret://{name}" for name in secrets or ("new",)]
    given = msgspec.convert({**there.settings, "secrets": names, **settings}, TARGET.settings)
    context = TargetContext(
        name="partner",
        region="eu-de",
        secret=lambda name: SECRETS[name],
        directory=".",
        log=lambda _event, **_fields: None,
        now_us=lambda: NOW_US,
    )
    return TARGET.target(given, context)


# ---------------------------------------------------------------- the vectors that the specification's libraries publish

MESSAGE_ID, SECONDS, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}'


@pytest.mark.parametrize(
    ("secret", "signature"),
    [
        (b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        (b"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        (
            b"whsk_VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk=",
            "v1a,tQ9V2XOqn7jL/DQenEFpqIugdBVtiMmER5mhSkXBNwM0mkATuDe6KYYUuxqtaiHeYGb7KaaBRdM5WqyeFiL8Ag==",
        ),
    ],
)
def test_a_published_vector_comes_out(secret: bytes, signature: str) -> None:
    assert signed_headers([signer(secret, "secret://x")], MESSAGE_ID, SECONDS, BODY) == {
        "webhook-id": MESSAGE_ID,
        "webhook-timestamp": str(SECONDS),
        "webhook-signature": signature,
    }


@pytest.mark.parametrize("name", ["short", "public", "broken-key", "half-key", "text"])
def test_a_key_that_cannot_sign_is_refused_without_being_shown(name: str) -> None:
    secret = SECRETS[f"secret://{name}"]
    with pytest.raises(ConfigError, match=f"secret://{name}") as caught:
        signer(secret, f"secret://{name}")
    assert secret.partition(b"_")[2].decode() not in str(caught.value) + caught.value.hint


def test_a_private_key_may_carry_its_public_half() -> None:
    signed = b"id.1.{}"
    assert signer(SECRETS["secret://key"], "a")(signed) == signer(SECRETS["secret://long-key"], "b")(signed)


# ---------------------------------------------------------------- what arrives


@pytest.mark.anyio
async def test_structured_is_the_whole_event_and_the_same_bytes_at_each_try() -> None:
    async with receiver() as there:
        out = target(there)
        await out.deliver(delivery())
        await out.deliver(msgspec.structs.replace(delivery(), attempt=7))
        await out.close()
        first, second = there.received
        assert first.body == second.body
        assert first.headers["webhook-id"] == second.headers["webhook-id"] == "hq.orders.1.1"
        assert first.headers["Content-Type"].startswith("application/cloudevents+json")
        event = json.loads(first.body)
        assert event.pop("data") == json.loads(delivery().data)
        assert event == {**delivery().attributes, "type": delivery().type, "datacontenttype": "application/json"}


@pytest.mark.anyio
async def test_binary_is_the_data_alone_and_attributes_as_headers() -> None:
    async with receiver() as there:
        out = target(there, mode="binary")
        attributes = {**delivery().attributes, "subject": 'Größe "1" %'}
        await out.deliver(msgspec.structs.replace(delivery(), attributes=attributes))
        await out.close()
        [got] = there.received
        assert got.body == delivery().data
        assert got.headers["Content-Type"] == "application/json"
        assert got.headers["ce-type"] == delivery().type
        assert got.headers["ce-subject"] == "Gr%C3%B6%C3%9Fe%20%221%22%20%25"
        assert "ce-datacontenttype" not in got.headers


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["structured", "binary"])
@pytest.mark.parametrize("sender", [("new",), ("key",), ("old", "new"), ("old", "key")])
async def test_our_own_webhook_source_understands_what_is_sent(mode: str, sender: tuple[str, ...]) -> None:
    """Also while a key is rotated: the receiver knows one of the sender's two."""
    async with receiver() as there:
        out = target(there, *sender, mode=mode)
        await out.deliver(delivery())
        await out.close()
        [got] = there.received
    known = "secret://public" if sender[-1] == "key" else f"secret://{sender[-1]}"
    settings = msgspec.convert({"auth": {"scheme": "standard-webhooks", "secrets": [known]}}, WEBHOOK.settings)
    context = SourceContext(
        name="partner",
        intake=RecordingIntake(),
        secret=lambda name: SECRETS[name],
        directory=".",
        log=lambda _event, **_fields: None,
        now_us=lambda: NOW_US,
    )
    source = WEBHOOK.source(settings, context)
    headers = {name.lower(): value for name, value in got.headers.items()}
    admitted = source.authenticate(Request(headers=headers, body=got.body))
    assert admitted is not None
    assert admitted.message_id == "hq.orders.1.1"
    with pytest.raises(Refused):
        source.authenticate(Request(headers=headers, body=got.body + b" "))


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("status", "headers", "kind", "after"),
    [
        (204, {}, None, None),
        (299, {}, None, None),
        (301, {"Location": "https://elsewhere.example/"}, Retryable, None),
        (400, {}, Retryable, None),
        (401, {}, Retryable, None),
        (404, {}, Retryable, None),
        (410, {}, Refused, None),
        (429, {"Retry-After": "90"}, Retryable, 90.0),
        (500, {}, Retryable, None),
        (503, {"Retry-After": "Thu, 01 Jan 2026 00:05:00 GMT"}, Retryable, 300.0),
        (504, {"Retry-After": "soon"}, Retryable, None),
    ],
)
async def test_a_status_means_what_the_specification_says(
    status: int, headers: dict[str, str], kind: type[Exception] | None, after: float | None
) -> None:
    async with receiver() as there:
        there.usual = (status, headers, b"Ingeborg at 1 Main Street")
        out = target(there)
        if kind is None:
            await out.deliver(delivery())
        else:
            with pytest.raises(kind, match=str(status)) as caught:
                await out.deliver(delivery())
            assert getattr(caught.value, "after_seconds", None) == after
            assert "Ingeborg" not in str(caught.value) + getattr(caught.value, "hint", "")
        await out.close()
        assert len(there.received) == 1


@pytest.mark.anyio
async def test_only_what_the_filters_let_through_is_wanted() -> None:
    async with receiver() as there:
        out = target(
            there, filters=[{"prefix": {"type": "io.entrepot.shipment."}}, {"not": {"exact": {"subject": "test"}}}]
        )
        assert out.wants("io.entrepot.shipment.dispatched.v1", {"subject": "S-1"})
        assert not out.wants("io.entrepot.shipment.dispatched.v1", {"subject": "test"})
        assert not out.wants("io.entrepot.order.created.v1", {"type": "io.entrepot.shipment.x"})


@pytest.mark.anyio
async def test_data_that_is_no_json_is_never_sent_as_an_event() -> None:
    async with receiver() as there:
        out = target(there)
        with pytest.raises(Permanent, match="not JSON"):
            await out.deliver(msgspec.structs.replace(delivery(), data=b'{"a": 1}, "type": "forged"'))
        await out.close()
        assert not there.received
