"""The webhook adapter keeps what `adapters.sdk.conformance` asks of every adapter, and its own promises."""

from __future__ import annotations

import base64
import hmac
from pathlib import Path
from typing import Any

import msgspec
import pytest

from adapters.sdk.conformance import Check, HttpCase, conformance
from adapters.sdk.recording import RecordingIntake
from adapters.webhook import ADAPTER
from runtime.access.keys import RANDOM_BYTES, new_key
from runtime.access.registry import CallerRow, Credential, Registry, Roll
from runtime.access.settings import CallerLimits
from runtime.errors import ConfigError, Refused
from runtime.ports import Adapter, Request, SourceContext

BODY = b'{"order": "A-1"}'
SECRETS = {"secret://wms": b"0123456789abcdef-wms", "secret://old": b"0123456789abcdef-old"}


def digest(name: str) -> bytes:
    return hmac.digest(SECRETS[f"secret://{name}"], BODY, "sha256")


def request(**headers: str) -> Request:
    return Request(headers={name.replace("_", "-"): value for name, value in headers.items()}, body=BODY)


HMAC = {"scheme": "hmac-sha256", "header": "X-Signature", "secrets": ["secret://wms", "secret://old"]}
KEY = new_key(bytes(range(RANDOM_BYTES)))
CALLERS = Registry(
    Roll(
        callers=[CallerRow(name="wms", grants=["source:wms:write"], limits=CallerLimits(), created_us=0)],
        credentials=[Credential(id=KEY.id, caller="wms", kind="key", digest=KEY.digest, created_us=0)],
    ),
    {},
)
INVALID: tuple[dict[str, Any], ...] = (
    {},
    {"auth": {}},
    {"auth": {"scheme": "md5"}},
    {"auth": {"scheme": "none", "secrets": ["secret://wms"]}},
    {"auth": {"scheme": "bearer"}},
    {"auth": {"scheme": "bearer", "secrets": []}},
    {"auth": {"scheme": "hmac-sha256", "secrets": ["a plain secret in the file"]}},
    {"auth": {**HMAC, "header": "X Signature"}},
    {"auth": {**HMAC, "encoding": "base32"}},
)
CASES = [
    HttpCase(
        name="hmac hex",
        settings={"auth": HMAC},
        secrets=SECRETS,
        passes=[request(x_signature=digest("wms").hex(), accept="*/*"), request(x_signature=digest("old").hex())],
        refused=[request(), request(x_signature="00" * 32), request(x_signature=f"sha256={digest('wms').hex()}")],
        invalid_settings=INVALID,
    ),
    HttpCase(
        name="hmac base64 with prefix",
        settings={"auth": {**HMAC, "encoding": "base64", "prefix": "v1="}},
        secrets=SECRETS,
        passes=[request(x_signature="v1=" + base64.b64encode(digest("wms")).decode())],
        refused=[request(x_signature=base64.b64encode(digest("wms")).decode()), request(x_signature="v1=")],
    ),
    HttpCase(
        name="caller",
        settings={"auth": {"scheme": "caller"}},
        admit=lambda asked: CALLERS.by_key(asked.headers.get("authorization", "").removeprefix("Bearer "), 0).name,
        passes=[request(authorization=f"Bearer {KEY.text}")],
        refused=[request(), request(authorization=f"Bearer {KEY.text[:-1]}x"), request(authorization=KEY.text[::-1])],
        signs_body=False,
        invalid_settings=[{"auth": {"scheme": "caller", "secrets": ["secret://wms"]}}],
    ),
    HttpCase(
        name="bearer",
        settings={"auth": {"scheme": "bearer", "secrets": ["secret://wms"]}},
        secrets=SECRETS,
        passes=[request(authorization="Bearer 0123456789abcdef-wms")],
        refused=[request(), request(authorization="Bearer 0123456789abcdef-old"), request(authorization="Bearer ")],
        signs_body=False,
    ),
    HttpCase(name="none", settings={"auth": {"scheme": "none"}}, passes=[request()], signs_body=False),
]


@pytest.mark.anyio
@pytest.mark.parametrize("check", conformance(ADAPTER, CASES), ids=str)
async def test_the_webhook_adapter_conforms(check: Check, tmp_path: Path) -> None:
    await check.run(str(tmp_path))


def settings(table: dict[str, Any]) -> Any:
    return msgspec.convert(table, ADAPTER.settings)


def test_scheme_none_is_refused_off_loopback() -> None:
    with pytest.raises(ConfigError, match="loopback"):
        ADAPTER.check(settings({"auth": {"scheme": "none"}}), loopback=False)


def test_scheme_none_on_loopback_is_a_warning() -> None:
    assert len(ADAPTER.check(settings({"auth": {"scheme": "none"}}), loopback=True)) == 1


def test_a_real_scheme_may_listen_anywhere() -> None:
    assert ADAPTER.check(settings({"auth": HMAC}), loopback=False) == []


def context(secret: bytes, logged: list[str]) -> SourceContext:
    return SourceContext(
        name="wms",
        intake=RecordingIntake(),
        secret=lambda _: secret,
        directory=".",
        log=lambda event, **_: logged.append(event),
        now_us=lambda: 0,
    )


@pytest.mark.anyio
async def test_an_empty_secret_is_a_config_error_and_a_short_one_is_told() -> None:
    logged: list[str] = []
    with pytest.raises(ConfigError, match="empty"):
        ADAPTER.source(settings({"auth": HMAC}), context(b"", logged))
    ADAPTER.source(settings({"auth": HMAC}), context(b"short", logged))
    assert logged == ["secret_short", "secret_short"]


@pytest.mark.anyio
async def test_no_refusal_repeats_the_secret_or_the_signature() -> None:
    source = ADAPTER.source(settings({"auth": HMAC}), context(b"very-secret-value-here", []))
    with pytest.raises(Refused) as caught:
        source.authenticate(request(x_signature="ab" * 32))
    assert "very-secret" not in str(caught.value)
    assert "abab" not in str(caught.value)


def test_the_entry_object_is_an_adapter_for_the_type_checker() -> None:
    adapter: Adapter = ADAPTER
    assert adapter.accepts_http
