"""NATS JWTs as text: what goes in comes out, and the signature is the issuer's."""

from __future__ import annotations

import base64
import json

import nkeys
import pytest

from sync import jwt, nkey

USER = {"account": "A", "publish": ["ev.eu-de.>"], "subscribe": ["_INBOX_eu-de.>"], "tags": ["environment:test"]}


def parts(token: str) -> tuple[dict[str, object], dict[str, object], bytes]:
    head, body, signature = (base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in token.split("."))
    return json.loads(head), json.loads(body), signature


def test_a_jwt_says_what_went_in_and_is_signed_by_its_issuer() -> None:
    issuer, user = nkey.make("account"), nkey.make("user")
    token = jwt.sign(issuer, user.public, "eu-de", jwt.user(**USER), issued_at=1_000, expires_at=2_000)
    head, body, signature = parts(token)
    assert head == {"typ": "JWT", "alg": "ed25519-nkey"}
    assert (body["iss"], body["sub"], body["iat"], body["exp"]) == (issuer.public, user.public, 1_000, 2_000)
    assert nkeys.from_seed(bytearray(issuer.seed.encode())).verify(token.rpartition(".")[0].encode(), signature)
    said = jwt.read(token)
    assert (said.tags, said.iat, said.exp) == ({"environment": "test"}, 1_000, 2_000)
    assert said.nats["pub"] == {"allow": ["ev.eu-de.>"]}
    assert said.nats["version"] == 2


def test_two_jwts_with_other_words_have_other_ids() -> None:
    issuer = nkey.make("account")
    tokens = [jwt.sign(issuer, "U", "n", jwt.user(**USER), issued_at=at) for at in (1, 1, 2)]
    ids = [parts(token)[1]["jti"] for token in tokens]
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize("text", ["", "a.b", "x.!!!.y", "only words", "a.bnVsbA.c"])
def test_what_is_no_jwt_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no JWT"):
        jwt.read(text)


@pytest.mark.parametrize(("kind", "letter"), [("operator", "O"), ("account", "A"), ("user", "U")])
def test_a_key_shows_its_kind_and_comes_back_from_its_seed(kind: nkey.Kind, letter: str) -> None:
    key = nkey.make(kind)
    assert (key.public[0], key.seed[:2]) == (letter, f"S{letter}")
    assert nkey.Key(f" {key.seed}\n").public == key.public


@pytest.mark.parametrize("seed", ["", "SU", "not a seed", "SUAA" + "A" * 54, "é"])
def test_what_is_no_seed_is_refused(seed: str) -> None:
    with pytest.raises(ValueError, match="no NKey seed"):
        nkey.Key(seed)
