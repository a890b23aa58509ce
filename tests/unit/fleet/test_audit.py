"""The audit's chain: a record that is missing, changed, reordered or signed by somebody else is found."""

from __future__ import annotations

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from runtime.envelope import Signed
from runtime.errors import Refused
from runtime.fleet.audit import Chain, Link, end_at, follow_up
from runtime.fleet.documents import CHANGE
from runtime.fleet.signing import sign
from runtime.identity import Identity

KEY = Identity(Ed25519PrivateKey.generate(), b"")
OTHER = Identity(Ed25519PrivateKey.generate(), b"")
KEYS = [KEY.public_key]


def written(count: int, signer: Identity = KEY) -> list[bytes]:
    link, documents = Link(), []
    for number in range(count):
        change = follow_up(
            link, f"test.{number}", environment="test", at="2026-11-23T10:00:00+00:00", by="ada", detail={"n": number}
        )
        documents.append(sign(signer, CHANGE, change))
        link = end_at(documents[-1], keys=[signer.public_key], environment="test")
    return documents


def proved(documents: list[bytes]) -> Chain:
    chain = Chain(keys=KEYS, environment="test")
    for position, document in enumerate(documents, 1):
        chain.add(position, "2026-11-23T10:00:00Z", document)
    return chain


def test_an_honest_audit_is_intact() -> None:
    assert proved(written(5)).problems == []


def test_a_missing_record_is_found() -> None:
    documents = written(5)
    del documents[2]
    assert len(proved(documents).problems) == 1


def test_missing_first_records_are_found() -> None:
    assert proved(written(3)[1:]).problems != []


def test_two_records_in_the_wrong_order_are_found() -> None:
    documents = written(4)
    documents[1], documents[2] = documents[2], documents[1]
    assert proved(documents).problems != []


def test_a_changed_word_is_found() -> None:
    documents = written(3)
    signed = msgspec.json.decode(documents[1], type=Signed)
    forged = msgspec.structs.replace(signed, statement=signed.statement.replace("ada", "eve"))
    documents[1] = msgspec.json.encode(forged)
    assert any("signature" in problem for problem in proved(documents).problems)


def test_a_record_of_a_stranger_is_found_though_its_chain_is_right() -> None:
    assert all("not trusted" in problem for problem in proved(written(2, OTHER)).problems)


def test_nothing_is_written_behind_an_end_that_is_not_trusted() -> None:
    with pytest.raises(Refused, match="not trusted"):
        end_at(written(1, OTHER)[0], keys=KEYS, environment="test")
    with pytest.raises(Refused, match="prod"):
        end_at(written(1)[0], keys=KEYS, environment="prod")


def test_a_record_that_was_exchanged_by_somebody_with_the_key_is_found_by_the_one_behind_it() -> None:
    honest = written(4)
    link = end_at(honest[0], keys=KEYS, environment="test")
    rewritten = follow_up(link, "test.1", environment="test", at="2026-11-23T11:00:00+00:00", by="eve")
    honest[1] = sign(KEY, CHANGE, rewritten)
    (problem,) = proved(honest).problems
    assert problem == "position 3: record 3 names another predecessor: something is missing or was changed"
