"""A true signature passes in every form; whatever a stranger sends is refused and raises nothing else."""

from __future__ import annotations

import base64
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.sdk.scheme import Scheme
from adapters.sdk.signatures import Verifier, verify_bearer
from runtime.errors import ConfigError, Refused

SECRET = b"test-secret"
BODY = b'{"id": 1}'
HEX = hmac.digest(SECRET, BODY, "sha256").hex()
B64 = base64.b64encode(hmac.digest(SECRET, BODY, "sha256")).decode()


def passes(scheme: Scheme, headers: dict[str, str], body: bytes = BODY, secrets: tuple[bytes, ...] = (SECRET,)) -> bool:
    try:
        Verifier(scheme, secrets, lambda: 1_000).verify(headers, body)
    except Refused:
        return False
    return True


def test_a_published_vector_is_verified() -> None:
    # RFC 4231, test case 2
    scheme = Scheme(header="x")
    digest = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert passes(scheme, {"x": digest}, b"what do ya want for nothing?", (b"Jefe",))


def test_a_sha512_vector_is_verified() -> None:
    # RFC 4231, test case 2
    digest = (
        "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b"
        "636e070a38bce737"
    )
    scheme = Scheme(header="x", alg="hmac-sha512")
    assert passes(scheme, {"x": digest}, b"what do ya want for nothing?", (b"Jefe",))


@pytest.mark.parametrize(
    ("scheme", "value"),
    [
        (Scheme(header="x"), HEX),
        (Scheme(header="x"), HEX.upper()),
        (Scheme(header="x", enc="base64"), B64),
        (Scheme(header="x", prefix="sha256="), f"sha256={HEX}"),
        (Scheme(header="x", prefix="v1,", enc="base64", separator=" "), f"v1,AAAA v1,{B64}"),
    ],
    ids=["hex", "upper case", "base64", "prefix", "several"],
)
def test_every_form_of_a_true_signature_passes(scheme: Scheme, value: str) -> None:
    assert passes(scheme, {"x": value})
    assert not passes(scheme, {"x": value}, BODY + b" ")


@pytest.mark.parametrize(
    "value", ["", HEX[:-1], HEX[:-2], HEX + "00", " ".join(HEX), f"sha256={HEX}", "é" * 64, "\udcff", B64, "0" * 5_000]
)
def test_a_malformed_signature_is_refused(value: str) -> None:
    assert not passes(Scheme(header="x"), {"x": value})


def test_a_missing_header_is_refused_and_named() -> None:
    with pytest.raises(Refused, match="x-sig"):
        Verifier(Scheme(header="x-sig"), [SECRET]).verify({}, BODY)


def test_both_secrets_pass_while_one_replaces_the_other() -> None:
    other = hmac.digest(b"new", BODY, "sha256").hex()
    assert passes(Scheme(header="x"), {"x": HEX}, secrets=(b"new", SECRET))
    assert passes(Scheme(header="x"), {"x": other}, secrets=(b"new", SECRET))
    assert not passes(Scheme(header="x"), {"x": HEX}, secrets=(b"new",))


STAMPED = Scheme(header="s", template="{id}.{ts}.{body}", timestamp="t", id="i", tolerance_seconds=300)


def stamped(ts: str, msg_id: str = "m1") -> dict[str, str]:
    signed = f"{msg_id}.{ts}.".encode() + BODY
    return {"s": hmac.digest(SECRET, signed, "sha256").hex(), "t": ts, "i": msg_id}


@pytest.mark.parametrize(
    ("ts", "passed"), [("1000", True), ("700", True), ("1300", True), ("699", False), ("1301", False)]
)
def test_a_signed_timestamp_holds_within_the_tolerance(ts: str, passed: bool) -> None:
    assert passes(STAMPED, stamped(ts)) is passed


@pytest.mark.parametrize("ts", ["", "now", "1e3", "-1000", "１０００", "9" * 100])
def test_a_signed_timestamp_that_is_no_number_is_refused(ts: str) -> None:
    assert not passes(STAMPED, stamped(ts))


def test_a_timestamp_or_id_changed_by_others_is_refused() -> None:
    assert not passes(STAMPED, {**stamped("1000"), "t": "1001"})
    assert not passes(STAMPED, {**stamped("1000"), "i": "m2"})


def test_a_missing_timestamp_is_refused_even_if_nothing_was_signed_for_it() -> None:
    headers = stamped("")
    del headers["t"]
    assert not passes(STAMPED, headers)


@pytest.mark.parametrize(
    "scheme",
    [
        Scheme(header="x", template="{ts}"),
        Scheme(header="x", template="{body}{nonce}"),
        Scheme(header="x", template="{ts}.{body}"),
        Scheme(header="x", timestamp="t"),
        Scheme(header="x", id="i"),
    ],
)
def test_a_scheme_that_leaves_a_hole_is_a_config_error(scheme: Scheme) -> None:
    with pytest.raises(ConfigError):
        Verifier(scheme, [SECRET])


@pytest.mark.parametrize("secrets", [[], [b""], [SECRET, b""]])
def test_an_empty_secret_is_a_config_error(secrets: list[bytes]) -> None:
    with pytest.raises(ConfigError):
        Verifier(Scheme(header="x"), secrets)


HEADER_TEXT = st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: raw.decode("utf-8", "surrogateescape"))


@given(
    HEADER_TEXT,
    HEADER_TEXT,
    HEADER_TEXT,
    st.binary(max_size=50),
    st.sampled_from(["hex", "base64"]),
    st.sampled_from(["", "sha256=", "v1,"]),
    st.sampled_from(["", " ", ",", "\udcff"]),
)
def test_whatever_a_stranger_sends_is_refused_and_nothing_else_is_raised(
    signature: str, ts: str, msg_id: str, body: bytes, enc: str, prefix: str, separator: str
) -> None:
    plain = Scheme(header="s", enc=enc, prefix=prefix, separator=separator)  # type: ignore[arg-type]
    stamped_scheme = Scheme(
        header="s",
        enc=enc,  # type: ignore[arg-type]
        prefix=prefix,
        separator=separator,
        template="{id}.{ts}.{body}",
        timestamp="t",
        id="i",
    )
    for scheme in (plain, stamped_scheme):
        with pytest.raises(Refused):
            Verifier(scheme, [SECRET], lambda: 0).verify({"s": signature, "t": ts, "i": msg_id}, body)
    with pytest.raises(Refused):
        verify_bearer({"authorization": signature}, [SECRET])


@pytest.mark.parametrize("value", ["Bearer test-secret", "bearer test-secret", "Bearer  test-secret "])
def test_a_bearer_token_passes(value: str) -> None:
    verify_bearer({"authorization": value}, [b"old", SECRET])


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer ", "test-secret", "Basic test-secret", "Bearer test-secret2"])
def test_another_bearer_token_is_refused(value: str) -> None:
    with pytest.raises(Refused):
        verify_bearer({"authorization": value}, [SECRET])
