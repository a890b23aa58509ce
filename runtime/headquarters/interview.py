"""Asks an agent a question, and says whether its answer may be believed: signed by the region, for this very question."""

from __future__ import annotations

import secrets
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from runtime.envelope import Signed
from runtime.errors import Refused
from runtime.fleet import signing
from runtime.fleet.documents import ANSWER, Answer, Question
from runtime.headquarters.office import Office

T = TypeVar("T")
NONCE_BYTES = 16
_HINT = "compare its public key with what fleet.toml or enrolled/ says"


class Heard(Struct, frozen=True, kw_only=True):
    """What somebody has answered in a region's name."""

    answer: Any
    doubt: str = ""
    """Why it proves nothing, although it may be true; empty: the region's key has signed it."""


async def ask(office: Office, region: str, probe: str, *, seconds_max: float, rehearsal: bytes | None = None) -> Heard:
    """Raises `Retryable` when nobody answers, `Refused` when it was not the region, `Permanent` for too large a question."""
    nonce = secrets.token_hex(NONCE_BYTES)
    question = msgspec.json.encode(
        Question(nonce=nonce, rehearsal=None if rehearsal is None else msgspec.json.decode(rehearsal, type=Signed))
    )
    said = await office.desk.probe(region, probe, question, seconds_max=seconds_max)
    key = office.folder.region_keys.get(region)
    return judge(said, region=region, probe=probe, nonce=nonce, environment=office.environment, key=key)


def judge(said: bytes, *, region: str, probe: str, nonce: str, environment: str, key: bytes | None) -> Heard:
    """`key`: the region's; None when it is not enrolled. Raises `Refused`. Pure."""
    signed = _decoded(said, Signed)
    if signed is None:
        doubt = f"the answer of {region} is not signed: its agent is older, or somebody else answers there"
        return Heard(answer=_plain(said, region), doubt=doubt)
    if key is None:
        answer = _decoded(signed.statement.encode(), Answer)
        return Heard(
            answer=answer and answer.answer,
            doubt=f"{region} is not enrolled, so nobody knows who has signed this answer",
        )
    try:
        found = signing.read(said, ANSWER, Answer, keys=[key], environment=environment, region=region)
    except Refused as error:
        raise Refused(f"somebody has answered in the name of {region}: {error}", hint=_HINT) from None
    if (found.probe, found.nonce) != (probe, nonce):
        raise Refused(f"the answer of {region} was given to another question: it was replayed")
    return Heard(answer=found.answer)


def _plain(said: bytes, region: str) -> Any:
    try:
        return msgspec.json.decode(said)
    except msgspec.MsgspecError:
        raise Refused(f"the answer of {region} cannot be read: something else answers there") from None


def _decoded(said: bytes, type_: type[T]) -> T | None:
    try:
        return msgspec.json.decode(said, type=type_)
    except msgspec.MsgspecError:
        return None
