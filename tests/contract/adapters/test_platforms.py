"""Every platform of the table: its true request passes, and whatever else the suite sends to a webhook source does not.

The signatures are made here from each platform's documentation, not with the verifier.
"""

from __future__ import annotations

import base64
import hmac
import tomllib
from hashlib import sha256
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from adapters.sdk.conformance import Check, HttpCase, conformance
from adapters.sdk.recording import RecordingIntake
from adapters.webhook import ADAPTER
from adapters.webhook.schemes import resolve, table
from adapters.webhook.settings import SchemeName
from runtime.errors import ConfigError, Refused, Retryable
from runtime.ports import Admission, Request, SourceContext

BODY = b'{"timestamp": "2026-01-01T00:00:00Z", "payload": {"id": 7}}'
SECRET = b"0123456789abcdef-new"
OLD = b"0123456789abcdef-old"
NOW = 1_767_225_600
"""The clock of the suite, in seconds."""
STAMP = str(NOW)


def mac(signed: bytes, secret: bytes = SECRET, digest: str = "sha256") -> bytes:
    return hmac.digest(secret, signed, digest)


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def standard(secret: bytes = SECRET) -> dict[str, str]:
    signed = b"msg_1." + STAMP.encode() + b"." + BODY
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": STAMP,
        "webhook-signature": f"v1,{b64(mac(b'other'))} v1,{b64(mac(signed, secret))}",
    }


TRUE: dict[str, dict[str, str]] = {
    "hmac-sha256": {"x-signature": mac(BODY).hex()},
    "standard-webhooks": standard(),
    "shipbob": standard(),
    "bigcommerce": standard(),
    "shopify": {"x-shopify-hmac-sha256": b64(mac(BODY))},
    "woocommerce": {"x-wc-webhook-signature": b64(mac(BODY))},
    "aftership": {"aftership-hmac-sha256": b64(mac(BODY))},
    "shiphero": {"x-shiphero-hmac-sha256": b64(mac(BODY))},
    "frappe": {"x-frappe-webhook-signature": b64(mac(BODY))},
    "erpnext": {"x-frappe-webhook-signature": b64(mac(BODY))},
    "easypost": {"x-hmac-signature": f"hmac-sha256-hex={mac(BODY).hex()}"},
    "shippo": {"shippo-auth-signature": f"t={STAMP},v1={mac(STAMP.encode() + b'.' + BODY).hex()}"},
    "sendcloud": {"sendcloud-signature": mac(BODY).hex()},
    "flexport": {"x-hub-signature-256": f"sha256={mac(BODY).hex()}"},
    "17track": {"sign": sha256(BODY + b"/" + SECRET).hexdigest()},
    "fedex": {"fdx-signature": b64(mac(BODY))},
    "usps": {"x-hmac": b64(mac(b'2026-01-01T00:00:00Z{"id": 7}'))},
    "oracle-cx-commerce": {"x-oracle-cc-webhook-signature": b64(mac(BODY, digest="sha512"))},
    "ups": {"credential": SECRET.decode()},
    "static": {"x-api-key": SECRET.decode()},
    "bearer": {"authorization": f"Bearer {SECRET.decode()}"},
}
BY_CREDENTIAL = frozenset({"ups", "static", "bearer"})
ELSEWHERE = frozenset({"none", "caller", "odoo", "shipstation-v2", "jws"})
"""Rows with tests of their own."""
SECRETS = {"secret://new": SECRET, "secret://old": OLD}
IN_BASE64 = {"secret://new": b"whsec_" + base64.b64encode(SECRET), "secret://old": base64.b64encode(OLD)}
CASES = [
    HttpCase(
        name=name,
        settings={"auth": {"scheme": name, "secrets": ["secret://old", "secret://new"]}},
        secrets=IN_BASE64 if table()[name].get("secret_form") == "base64" else SECRETS,
        passes=[Request(headers=headers, body=BODY)],
        refused=[Request(headers={}, body=BODY)],
        signs_body=name not in BY_CREDENTIAL | {"usps"},  # USPS signs two fields of its body
    )
    for name, headers in TRUE.items()
]


@pytest.mark.anyio
@pytest.mark.parametrize("check", conformance(ADAPTER, CASES), ids=str)
async def test_every_platform_conforms(check: Check, tmp_path: Path) -> None:
    await check.run(str(tmp_path))


def test_every_row_of_the_table_is_a_choice_and_is_tested() -> None:
    assert {*get_args(SchemeName)} - {""} == table().keys()
    assert TRUE.keys() | ELSEWHERE == table().keys()


def source(
    auth: dict[str, Any], secrets: dict[str, bytes] = SECRETS, *, now: int = NOW, clock_is_right: bool = True
) -> Any:
    context = SourceContext(
        name="shop",
        intake=RecordingIntake(),
        secret=lambda name: secrets[name],
        directory=".",
        log=lambda event, **_: None,
        now_us=lambda: now * 1_000_000,
        clock_is_right=lambda: clock_is_right,
    )
    return ADAPTER.source(msgspec.convert({"auth": auth}, ADAPTER.settings), context)


def auth(scheme: str, **more: Any) -> dict[str, Any]:
    return {"scheme": scheme, "secrets": ["secret://new"], **more}


def test_a_row_may_be_changed_in_places() -> None:
    # FedEx documents both spellings of its signature.
    request = Request(headers={"fdx-signature": mac(BODY).hex()}, body=BODY)
    source(auth("fedex", enc="hex")).authenticate(request)
    with pytest.raises(Refused):
        source(auth("fedex")).authenticate(request)


def test_a_scheme_may_be_spelled_out() -> None:
    spelled = {
        "header": "X-Sig", "alg": "hmac-sha256", "enc": "hex", "prefix": "", "template": "{ts}.{body}",
        "timestamp": "X-Time", "secrets": ["secret://new"],
    }  # fmt: skip
    headers = {"x-time": STAMP, "x-sig": mac(STAMP.encode() + b"." + BODY).hex()}
    source(spelled).authenticate(Request(headers=headers, body=BODY))


def test_the_signed_id_is_handed_on_as_the_key_of_the_message() -> None:
    given = source(auth("bigcommerce")).authenticate(Request(headers=standard(), body=BODY))
    assert given == Admission(message_id="msg_1")


def test_a_flexport_signature_may_come_without_its_prefix() -> None:
    source(auth("flexport")).authenticate(Request(headers={"x-hub-signature-256": mac(BODY).hex()}, body=BODY))


def test_an_easypost_secret_is_normalised_before_it_is_used() -> None:
    # U+FB01 (one letter "fi") becomes two letters in NFKD.
    written, used = "\ufb01rst-secret-of-shop".encode(), b"first-secret-of-shop"
    request = Request(headers={"x-hmac-signature": f"hmac-sha256-hex={mac(BODY, used).hex()}"}, body=BODY)
    source(auth("easypost"), {"secret://new": written}).authenticate(request)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"timestamp": 1}', b'{"timestamp": "\\ud800", "payload": 1}', b"\xff"]
)
def test_a_usps_body_without_its_fields_is_refused(body: bytes) -> None:
    with pytest.raises(Refused):
        source(auth("usps")).authenticate(Request(headers={"x-hmac": b64(mac(b""))[:-2]}, body=body))


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b'{"payload": {"id": 7}}', b'{"timestamp": "", "payload": {"id": 7}, "x": "\xff"}']
)
def test_a_signature_over_fields_that_are_not_there_opens_nothing(body: bytes) -> None:
    for signed in (b"", b'{"id": 7}'):
        request = Request(headers={"x-hmac": b64(mac(signed))}, body=body)
        with pytest.raises(Refused, match="lacks a field"):
            source(auth("usps")).authenticate(request)


@pytest.mark.parametrize("age", [-301, 301])
@pytest.mark.parametrize("name", ["bigcommerce", "shippo"])
def test_a_signature_outside_the_tolerance_is_refused(name: str, age: int) -> None:
    with pytest.raises(Refused, match="timestamp"):
        source(auth(name), now=NOW + age).authenticate(Request(headers=TRUE[name], body=BODY))


def test_a_stamped_signature_waits_while_the_clock_is_wrong() -> None:
    with pytest.raises(Retryable, match="clock"):
        source(auth("shippo"), clock_is_right=False).authenticate(Request(headers=TRUE["shippo"], body=BODY))
    source(auth("shopify"), clock_is_right=False).authenticate(Request(headers=TRUE["shopify"], body=BODY))


def test_signed_bytes_come_again_under_the_same_key_only() -> None:
    door = source(auth("shippo"))
    first = Request(headers={**TRUE["shippo"], "idempotency-key": "a"}, body=BODY)
    door.authenticate(first)
    door.authenticate(first)
    with pytest.raises(Refused, match="another Idempotency-Key"):
        door.authenticate(Request(headers={**TRUE["shippo"], "idempotency-key": "b"}, body=BODY))
    with pytest.raises(Refused, match="another Idempotency-Key"):
        door.authenticate(Request(headers=TRUE["shippo"], body=BODY))


def test_a_credential_in_the_url_is_compared() -> None:
    door = source(auth("odoo"))
    door.authenticate(Request(headers={}, body=BODY, query=f"token={SECRET.decode()}&x=1"))
    for query in ("", "token=", "token=wrong", "other=1", "&" * 500, "token=%FF"):
        with pytest.raises(Refused):
            door.authenticate(Request(headers={}, body=BODY, query=query))


@pytest.mark.parametrize(
    ("spelled", "said"),
    [
        ({}, "header"),
        ({"scheme": "shopify"}, "secrets"),
        ({"scheme": "none", "secrets": ["secret://new"]}, "asks nobody"),
        ({"alg": "static", "secrets": ["secret://new"]}, "credential"),
        ({"header": "X", "template": "{ts}", "secrets": ["secret://new"]}, "{body}"),
        ({"header": "X", "template": "{body}{nonce}", "secrets": ["secret://new"]}, "{nonce}"),
        ({"header": "X", "alg": "rsa-sha256"}, "jwks"),
        ({"scheme": "shipstation-v2", "secrets": ["secret://new"]}, "leave|jwks alone"),
        ({"header": "X", "alg": "rsa-sha256", "jwks": "http://example.com/keys"}, "https"),
        ({"header": "X", "template": "{body}{secret}", "secrets": ["secret://new"]}, "{secret}"),
    ],
    ids=str,
)
def test_a_scheme_with_a_hole_is_refused_with_the_key(spelled: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said.replace("{", r"\{")):
        resolve(msgspec.convert({"auth": spelled}, ADAPTER.settings).auth)


def test_the_table_is_plain_data() -> None:
    text = Path("adapters/webhook/schemes.toml").read_text("utf-8")
    assert tomllib.loads(text) == table()
