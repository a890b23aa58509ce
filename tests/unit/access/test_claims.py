"""A token is believed only when it is for us, from the right issuer, about somebody, and holds now."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.access.claims import SUBJECT, check_time, identity_digest, read_claims
from runtime.access.denial import Denied
from runtime.access.settings import OidcSettings

OIDC = OidcSettings(issuer="https://idp.example", audience=["entrepot", "gateway"], jwks="https://idp.example/keys")
GOOD: dict[str, Any] = {"iss": "https://idp.example", "aud": "entrepot", "sub": "wms-1", "exp": 1_000, "scope": "a b"}


def claims(**changed: Any) -> bytes:
    return json.dumps({name: value for name, value in (GOOD | changed).items() if value is not ...}).encode()


def test_a_good_token_is_read() -> None:
    said = read_claims(claims(jti="t-1", nbf=10), OIDC)
    assert (said.subject, said.token_id, said.expires, said.not_before, said.grants) == (
        "wms-1",
        "t-1",
        1_000,
        10,
        ("a", "b"),
    )


def test_audiences_and_scopes_may_be_lists() -> None:
    said = read_claims(claims(aud=["other", "gateway"], scope=["source:wms:write", 7]), OIDC)
    assert said.grants == ("source:wms:write",)


@pytest.mark.parametrize(
    "wrong",
    [{"iss": "https://idp.example/"}, {"iss": ...}, {"iss": None}, {"aud": "other"}, {"aud": []}, {"aud": ...},
     {"aud": ["ENTREPOT"]}, {"aud": {"entrepot": 1}}, {"exp": ...}, {"exp": "1000"}, {"exp": True}, {"exp": -1},
     {"exp": 1e300}, {"nbf": "now"}, {"nbf": True}, {"sub": ...}, {"sub": ""}, {"sub": 7}, {"jti": 7}],
    ids=str,
)  # fmt: skip
def test_a_wrong_claim_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(Denied) as denied:
        read_claims(claims(**wrong), OIDC)
    assert denied.value.reason == "token"


@given(
    st.binary(max_size=60)
    | st.recursive(st.none() | st.text(), st.lists, max_leaves=9).map(lambda v: json.dumps(v).encode())
)
def test_whatever_a_payload_holds_is_refused_and_never_breaks(payload: bytes) -> None:
    with pytest.raises(Denied):
        read_claims(payload, OIDC)


def test_the_skew_of_clocks_is_allowed_for_and_no_more() -> None:
    said = read_claims(claims(nbf=500), OIDC)
    check_time(said, 60, 1_059.9)
    check_time(said, 60, 440)
    with pytest.raises(Denied) as denied:
        check_time(said, 60, 1_060)
    assert denied.value.reason == "expired"
    with pytest.raises(Denied):
        check_time(said, 60, 439)


def test_the_same_subject_of_another_issuer_is_somebody_else() -> None:
    assert identity_digest(SUBJECT, "a", "x") != identity_digest(SUBJECT, "b", "x")
    assert identity_digest(SUBJECT, "a", "x") != identity_digest("jti", "a", "x")
