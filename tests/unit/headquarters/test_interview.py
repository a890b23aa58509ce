"""An answer counts if the region has signed it for this very question; what is only claimed is said to be so."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from runtime.errors import Refused
from runtime.fleet.documents import ANSWER, RESULT, Answer, Question
from runtime.fleet.probes import UNKNOWN
from runtime.fleet.signing import sign
from runtime.headquarters.interview import Heard, judge
from runtime.headquarters.rehearsal import judge as verdict
from tests.support.fleet import at, new_key

KEY = new_key()
NONCE = "0" * 32
ASKED = {"region": "eu-de", "probe": "status", "nonce": NONCE, "environment": "test"}
KNOWN: bytes = KEY.public_key


def said(*, kind: str = ANSWER, signer: Any = KEY, **about: Any) -> bytes:
    """A good answer, but for `about`."""
    fields = ASKED | {"issued_at": at(), "answer": {"pending": 0}} | about
    return sign(signer, kind, Answer(**fields))


def test_what_the_region_has_signed_for_this_question_is_believed() -> None:
    assert judge(said(), **ASKED, key=KNOWN) == Heard(answer={"pending": 0})


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (said(nonce="1" * 32), "given to another question"),
        (said(probe="journal"), "given to another question"),
        (said(region="eu-fr"), "for test/eu-fr"),
        (said(environment="prod"), "for prod/eu-de"),
        (said(signer=new_key()), "not trusted here"),
        (said(kind=RESULT), "changed, or forged"),
        (said().replace(b"pending", b"pensive"), "changed, or forged"),
        (b"\x00", "something else answers there"),
    ],
)
def test_what_another_has_signed_or_for_another_question_is_not_even_shown(document: bytes, why: str) -> None:
    with pytest.raises(Refused, match=why):
        judge(document, **ASKED, key=KNOWN)


def test_an_answer_without_a_signature_is_shown_and_doubted() -> None:
    heard = judge(b'{"pending": 0}', **ASKED, key=KNOWN)
    assert (heard.answer, "is not signed" in heard.doubt) == ({"pending": 0}, True)


@pytest.mark.parametrize("document", [said(), said(signer=new_key())])
def test_of_a_region_that_is_not_enrolled_every_answer_is_doubted(document: bytes) -> None:
    heard = judge(document, **ASKED, key=None)
    assert (heard.answer, "not enrolled" in heard.doubt) == ({"pending": 0}, True)


@pytest.mark.parametrize("nonce", ["", "0" * 31, "0" * 33, "G" * 32])
def test_an_agent_signs_no_words_of_others(nonce: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode({"nonce": nonce}), type=Question)


@pytest.mark.parametrize(
    ("heard", "state"),
    [
        (Heard(answer={"state": "ready", "reason": "changes nothing"}), "ready"),
        (Heard(answer={"state": "refused", "reason": "no"}), "refused"),
        (Heard(answer={"state": "ready", "reason": "changes nothing"}, doubt="not signed"), "not believed"),
        (Heard(answer={"error": UNKNOWN}, doubt="not signed"), "older"),
        (Heard(answer={"error": UNKNOWN}), "older"),
        (Heard(answer={"error": "the dry run failed (KeyError)"}), "silent"),
        (Heard(answer={"error": "made up"}, doubt="not signed"), "not believed"),
        (Heard(answer={"state": "splendid", "reason": ""}), "older"),
        (Heard(answer=[]), "older"),
    ],
)
def test_nothing_but_a_signed_yes_counts_as_one(heard: Heard, state: str) -> None:
    assert verdict(heard)[0] == state
