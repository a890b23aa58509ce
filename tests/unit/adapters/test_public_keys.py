"""Signatures by public key: published vectors, key sets of platforms, and a key that is not known yet."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import anyio
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given
from hypothesis import strategies as st

from adapters.sdk.recording import RecordingIntake
from adapters.sdk.scheme import Scheme
from adapters.sdk.signatures import Verifier
from adapters.webhook import ADAPTER
from runtime.errors import ConfigError, Permanent, Refused, Retryable
from runtime.keyring import AGAIN_SECONDS, Keyring
from runtime.policy import jws
from runtime.policy.keyset import from_base64url, read_keyset
from runtime.ports import Request, SourceContext

BODY = b'{"test": 2432232314}'
RSA = rsa.generate_private_key(65_537, 2_048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()


def b64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def number(value: int) -> str:
    return b64url(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def jwk_rsa(kid: str, key: rsa.RSAPrivateKey = RSA) -> dict[str, str]:
    numbers = key.public_key().public_numbers()
    return {"kty": "RSA", "kid": kid, "n": number(numbers.n), "e": number(numbers.e)}


def document(*entries: dict[str, str]) -> bytes:
    return json.dumps({"keys": list(entries)}).encode()


EC_NUMBERS = EC.public_key().public_numbers()
JWK_EC = {"kty": "EC", "kid": "ec", "crv": "P-256", "x": number(EC_NUMBERS.x), "y": number(EC_NUMBERS.y)}
JWK_ED = {"kty": "OKP", "kid": "ed", "crv": "Ed25519", "x": b64url(ED.public_key().public_bytes_raw())}
KEYS = read_keyset(document(jwk_rsa("rsa"), JWK_EC, JWK_ED))


def sign_rsa(signed: bytes) -> bytes:
    return RSA.sign(signed, padding.PKCS1v15(), SHA256())


def sign_ec(signed: bytes) -> bytes:
    r, s = decode_dss_signature(EC.sign(signed, ec.ECDSA(SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def token(alg: str, kid: str, sign: Callable[[bytes], bytes], **more: Any) -> bytes:
    signed = f"{b64url(json.dumps({'alg': alg, 'kid': kid, **more}).encode())}.{b64url(BODY)}".encode()
    return signed + b"." + b64url(sign(signed)).encode()


# ---------------------------------------------------------------- Standard Webhooks


def test_the_published_vector_of_standard_webhooks_is_verified() -> None:
    # Test of the reference implementations, github.com/standard-webhooks/standard-webhooks
    scheme = Scheme(
        header="webhook-signature", enc="base64", prefix="v1,", separator=" ", secret_form="base64",
        template="{id}.{ts}.{body}", id="webhook-id", timestamp="webhook-timestamp",
    )  # fmt: skip
    verifier = Verifier(scheme, [b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], lambda: 1_614_265_330)
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    assert verifier.verify(headers, BODY) == "msg_p5jXN8AQM9LWM0D4loKWxJek"


def door(auth: dict[str, Any], secrets: dict[str, bytes]) -> Any:
    context = SourceContext(
        name="shop", intake=RecordingIntake(), secret=lambda name: secrets[name], directory=".",
        log=lambda event, **_: None, now_us=lambda: 1_000_000_000,
    )  # fmt: skip
    return ADAPTER.source(msgspec.convert({"auth": auth}, ADAPTER.settings), context)


def test_an_ed25519_signature_v1a_passes_beside_one_with_a_shared_secret() -> None:
    public = b"whpk_" + base64.b64encode(ED.public_key().public_bytes_raw())
    shop = door(
        {"scheme": "standard-webhooks", "secrets": ["secret://shared", "secret://public"]},
        {"secret://shared": b"whsec_" + base64.b64encode(b"0123456789abcdef"), "secret://public": public},
    )
    signed = b"m.1000." + BODY
    signature = base64.b64encode(ED.sign(signed)).decode()
    headers = {"webhook-id": "m", "webhook-timestamp": "1000", "webhook-signature": f"v1a,{signature}"}
    assert shop.authenticate(Request(headers=headers, body=BODY)).message_id == "m"
    with pytest.raises(Refused):
        shop.authenticate(Request(headers={**headers, "webhook-signature": f"v1,{signature}"}, body=BODY))
    with pytest.raises(Refused):
        shop.authenticate(Request(headers=headers, body=BODY + b" "))


def test_a_public_key_that_is_none_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="32 bytes"):
        door({"scheme": "standard-webhooks", "secrets": ["secret://k"]}, {"secret://k": b"whpk_short"})


# ---------------------------------------------------------------- key sets


def test_a_key_set_keeps_what_can_verify_and_skips_the_rest() -> None:
    weak = rsa.generate_private_key(65_537, 1_024)
    found = read_keyset(
        document(
            jwk_rsa("good"), jwk_rsa("weak", weak), {**jwk_rsa("enc"), "use": "enc"}, {"kty": "oct", "kid": "shared"},
            {**JWK_EC, "kid": "p521", "crv": "P-521"}, {"kty": "RSA", "kid": "broken", "n": "%", "e": "AQAB"},
        )
    )  # fmt: skip
    assert found.keys() == {"good"}


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b"[]", b'{"keys": []}', b"[" * 5_000, b'{"keys": [{"kty": "oct"}]}', b" " * 300_000]
)
def test_what_is_no_key_set_is_said_to_be_none(raw: bytes) -> None:
    with pytest.raises(Permanent):
        read_keyset(raw)


@pytest.mark.anyio
async def test_a_platform_signs_with_a_key_of_its_set() -> None:
    shop = door({"scheme": "shipstation-v2"}, {})
    published = [document(jwk_rsa("one"))]

    async def fetch() -> bytes:
        return published[0]

    clock = [1_000]
    ring = Keyring(fetch, lambda: clock[0], lambda event, **_: None)
    scheme = Scheme(
        alg="rsa-sha256", header="x-sig", enc="base64", template="{ts}.{body}", timestamp="x-time", key_id="x-kid",
        jwks="https://keys.example/jwks",
    )  # fmt: skip
    verifier = Verifier(scheme, [], lambda: clock[0], ring)
    headers = {"x-time": "1000", "x-kid": "one", "x-sig": base64.b64encode(sign_rsa(b"1000." + BODY)).decode()}
    with pytest.raises(Retryable, match="not been fetched"):
        verifier.verify(headers, BODY)
    with pytest.raises(Refused):
        shop.authenticate(Request(headers={}, body=BODY))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ring.run)
        await anyio.wait_all_tasks_blocked()
        verifier.verify(headers, BODY)
        with pytest.raises(Refused, match="does not match"):
            verifier.verify(headers, BODY + b" ")
        with pytest.raises(Refused, match="does not publish"):
            verifier.verify({**headers, "x-kid": "two"}, BODY)
        clock[0] += int(AGAIN_SECONDS)
        with pytest.raises(Retryable, match="being asked for"):
            verifier.verify({**headers, "x-kid": "two"}, BODY)
        tasks.cancel_scope.cancel()


# ---------------------------------------------------------------- signed tokens


def test_the_vector_of_rfc_7515_with_a_shared_secret_is_verified() -> None:
    # RFC 7515, appendix A.1
    text = (
        b"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
        b"cGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    )
    key = from_base64url("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
    found = jws.split(text)
    jws.verify(found, {}, [key])
    assert b'"joe"' in found.payload


def test_the_vector_of_rfc_8037_with_ed25519_is_verified() -> None:
    # RFC 8037, appendices A.2 and A.4
    keys = read_keyset(
        document({"kty": "OKP", "kid": "k", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
    )
    found = jws.split(
        b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijc"
        b"NR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    )
    jws.verify(found, keys)


@pytest.mark.parametrize(
    ("alg", "kid", "sign"), [("RS256", "rsa", sign_rsa), ("ES256", "ec", sign_ec), ("EdDSA", "ed", ED.sign)]
)
def test_a_token_of_each_kind_of_key_passes(alg: str, kid: str, sign: Callable[[bytes], bytes]) -> None:
    jws.verify(jws.split(token(alg, kid, sign)), KEYS)
    with pytest.raises(Refused):
        jws.verify(jws.split(token(alg, kid, lambda signed: sign(signed + b"x"))), KEYS)


def public_bytes(signed: bytes) -> bytes:
    """The old trick: the public key of an RSA pair used as the secret of an HMAC."""
    import hmac

    return hmac.digest(number(RSA.public_key().public_numbers().n).encode(), signed, "sha256")


@pytest.mark.parametrize(
    "made",
    [
        token("none", "rsa", lambda signed: b""),
        token("HS256", "rsa", public_bytes),
        token("ES256", "rsa", sign_rsa),
        token("RS256", "elsewhere", sign_rsa),
        token("RS256", "", sign_rsa),
        token("RS256", "rsa", sign_rsa, crit=["b64"]),
        token("ES256", "ec", lambda signed: bytes(64)),
        token("ES256", "ec", lambda signed: b"short"),
    ],
)
def test_a_token_that_talks_its_way_in_is_refused(made: bytes) -> None:
    with pytest.raises(Refused):
        jws.verify(jws.split(made), KEYS)


@given(
    st.binary(max_size=200)
    | st.from_regex(rb"[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}", fullmatch=True)
)
def test_whatever_is_no_token_is_refused_and_nothing_else_is_raised(raw: bytes) -> None:
    with pytest.raises(Refused):
        jws.verify(jws.split(raw), KEYS, [b"secret"])


def test_a_body_that_is_a_token_passes_by_its_signature() -> None:
    partner = door({"scheme": "jws", "secrets": ["secret://s"]}, {"secret://s": b"0123456789abcdef"})
    import hmac

    true = token("HS256", "", lambda signed: hmac.digest(b"0123456789abcdef", signed, "sha256"))
    partner.authenticate(Request(headers={}, body=true))
    for body in (true[:-2], b"", b"a.b", b"a.b.c.d", b"\xff.\xff.\xff"):
        with pytest.raises(Refused):
            partner.authenticate(Request(headers={}, body=body))
