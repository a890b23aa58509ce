"""What a token is good for, whose request counts, and when a login is renewed: each refusal with its sentence."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import msgspec
import pytest

from runtime.errors import ConfigError, Refused
from runtime.fleet import enrolment
from runtime.fleet.enrolment import ENROLMENT, Answer, Enrolment, Offer, Renewable, Request, Token
from runtime.identity import Identity, load_or_create

NOW = 1_000_000
TOKEN = Token(
    id="t1", region="eu-de", environment="test", expires_at=NOW + 10, servers=["tls://h:1"], ca="", account="A", login="x"
)  # fmt: skip


@pytest.fixture
def identity(tmp_path: Path) -> Identity:
    return load_or_create(tmp_path / "one", journal_is_new=True)


def asked(identity: Identity, **change: Any) -> bytes:
    said = {
        "token": "t1",
        "region": "eu-de",
        "environment": "test",
        "user": "U1",
        "signing_key": base64.b64encode(identity.public_key).decode(),
        "lanes": ["realtime"],
    }
    request = Request(**(said | change))
    return identity.sign(ENROLMENT, msgspec.json.encode(request, order="sorted").decode())


def posted(*parts: tuple[str, Any], token: str = "t1", **offer: Any) -> list[Enrolment]:
    said = Offer(**({"region": "eu-de", "environment": "test", "expires_at": NOW + 10} | offer))
    bodies = [(f"enrol.{token}.token", msgspec.json.encode(said))]
    bodies += [
        (f"enrol.{token}.{part}", body if isinstance(body, bytes) else msgspec.json.encode(body))
        for part, body in parts
    ]
    return enrolment.gather(bodies)


def test_a_token_survives_its_way_through_a_line_of_text_broken_by_a_mail_program() -> None:
    text = enrolment.write_token(TOKEN)
    broken = "\n".join(text[at : at + 60] for at in range(0, len(text), 60))
    assert enrolment.read_token(broken) == TOKEN


@pytest.mark.parametrize(
    "change", [lambda t: t[:-5], lambda t: "x" + t, lambda t: t.replace("1.", "2.", 1), lambda _: ""]
)
def test_a_token_that_is_not_whole_is_refused(change: Any) -> None:
    with pytest.raises(ConfigError, match="no enrolment token"):
        enrolment.read_token(change(enrolment.write_token(TOKEN)))


def test_a_token_that_unpacks_to_something_huge_is_refused() -> None:
    huge = enrolment.write_token(msgspec.structs.replace(TOKEN, ca="A" * 5_000_000))
    with pytest.raises(ConfigError, match="no enrolment token"):
        enrolment.read_token(huge)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"now": NOW + 10}, "expired"),
        ({"region": "fr"}, "for region eu-de, this is fr"),
        ({"environment": "prod"}, "for environment test, this agent's is prod"),
    ],
)
def test_a_token_that_is_of_no_use_here_is_refused_with_the_reason(change: dict[str, Any], told: str) -> None:
    given: dict[str, Any] = {"region": "eu-de", "environment": "test", "now": NOW}
    enrolment.check_token(TOKEN, **given)
    with pytest.raises(Refused, match=told):
        enrolment.check_token(TOKEN, **(given | change))


def test_the_fingerprint_covers_every_word_of_the_request(identity: Identity, tmp_path: Path) -> None:
    other = load_or_create(tmp_path / "two", journal_is_new=True)
    changes: list[dict[str, Any]] = [
        {}, {"token": "t2"}, {"region": "fr"}, {"environment": "prod"}, {"user": "U2"}, {"lanes": ["bulk"]},
    ]  # fmt: skip
    shown = [enrolment.fingerprint(enrolment.read_request(asked(identity, **change))) for change in changes]
    shown.append(enrolment.fingerprint(enrolment.read_request(asked(other))))
    assert len(set(shown)) == len(changes) + 1
    assert all(len(text.split("-")) == 6 for text in shown)


def test_a_request_counts_only_with_the_signature_of_the_key_in_it(identity: Identity, tmp_path: Path) -> None:
    other = load_or_create(tmp_path / "two", journal_is_new=True)
    foreign = asked(other, signing_key=base64.b64encode(identity.public_key).decode())
    with pytest.raises(Refused, match="not signed with the key"):
        enrolment.read_request(foreign)
    for rubbish in (b"", b"{}", b"[1]", b"\xff", asked(identity, signing_key="AAAA"), b"x" * 20_000):
        with pytest.raises(Refused):
            enrolment.read_request(rubbish)


def test_a_request_that_may_be_answered_is_found_by_its_fingerprint_however_it_is_typed(identity: Identity) -> None:
    found = posted(("request", asked(identity)))
    for typed in (found[0].fingerprint, found[0].fingerprint.upper(), found[0].fingerprint.replace("-", " ")):
        assert enrolment.decidable(found, typed, environment="test", now=NOW) is found[0]


@pytest.mark.parametrize(
    ("answer", "offer", "change", "told"),
    [
        (None, {}, {"environment": "prod"}, "for environment test, these keys are for prod"),
        (None, {}, {"now": NOW + 10}, "expired"),
        (Answer(approved=True, fingerprint=""), {}, {}, "approved already: a token works once"),
        (Answer(approved=False, fingerprint=""), {}, {}, "denied already"),
        (None, {"region": "fr"}, {}, "for region eu-de, the token for fr"),
        (None, {"environment": "prod"}, {"environment": "prod"}, "for environment test, the token for prod"),
    ],
    ids=["environment", "expired", "approved", "denied", "wrong region", "wrong environment"],
)
def test_what_may_not_be_answered_is_refused_with_the_reason(
    identity: Identity, answer: Answer | None, offer: dict[str, Any], change: dict[str, Any], told: str
) -> None:
    parts: list[tuple[str, Any]] = [("request", asked(identity))] + ([("answer", answer)] if answer else [])
    found = posted(*parts, **offer)
    named = enrolment.fingerprint(enrolment.read_request(asked(identity)))
    found = [msgspec.structs.replace(one, request=enrolment.read_request(asked(identity))) for one in found]
    with pytest.raises(Refused, match=told):
        enrolment.decidable(found, named, **({"environment": "test", "now": NOW} | change))


def test_a_request_that_was_copied_to_another_token_does_not_count(identity: Identity) -> None:
    (found,) = posted(("request", asked(identity)), token="t2")
    assert (found.state(NOW), "another token" in found.fault) == ("refused", True)


def test_the_first_message_of_a_subject_counts_and_what_nobody_offered_is_left_out(identity: Identity) -> None:
    (found,) = posted(("request", asked(identity)), ("request", asked(identity, user="U2")))
    assert found.request is not None
    assert found.request.user == "U1"
    assert enrolment.gather([("enrol.t9.request", asked(identity)), ("enrol.x", b""), ("enrol.t8.token", b"?")]) == []


def test_the_login_approved_last_is_in_force_and_a_revocation_ends_all_before_it() -> None:
    offer = msgspec.json.encode(Offer(region="eu-de", environment="test", expires_at=NOW))
    yes = msgspec.json.encode(Answer(approved=True, fingerprint="", user="U1"))
    said = [("a", "token", offer), ("b", "token", offer), ("b", "answer", yes), ("a", "answer", yes)]
    history = [(f"enrol.{token}.{part}", body) for token, part, body in said]
    assert enrolment.in_force(enrolment.gather(history))["eu-de"].id == "a"
    assert [one.id for one, _ in enrolment.let_in(enrolment.gather(history), "eu-de")] == ["b", "a"]
    out = [*history, ("enrol.a.revoked", b"{}")]
    assert enrolment.in_force(enrolment.gather(out)) == {}
    again = [*out, ("enrol.c.token", offer), ("enrol.c.answer", yes)]
    assert enrolment.in_force(enrolment.gather(again))["eu-de"].id == "c"
    denied = posted(("answer", Answer(approved=False, fingerprint="")), token="c")
    assert enrolment.in_force(denied) == {}


@pytest.mark.parametrize(
    ("now", "answered_at", "due"),
    [(149, 0, False), (150, 0, True), (199, 0, True), (900, 0, True), (160, 155, False), (160, 90, True)],
)
def test_a_login_is_renewed_once_from_half_of_its_life_on(now: int, answered_at: int, due: bool) -> None:
    one = posted(("answer", Answer(approved=True, fingerprint="", user="U1")))[0]
    request = Renewable(user="U1", issued_at=100, expires_at=200, lanes=["realtime"])
    assert enrolment.renewal_due(one, request, answered_at=answered_at, now=now) is due


def test_a_login_of_another_key_is_never_renewed() -> None:
    one = posted(("answer", Answer(approved=True, fingerprint="", user="U1")))[0]
    stranger = Renewable(user="U2", issued_at=100, expires_at=200, lanes=["realtime"])
    with pytest.raises(Refused, match="another key"):
        enrolment.renewal_due(one, stranger, answered_at=0, now=190)
