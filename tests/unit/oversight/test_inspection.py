"""Rounds over a hub that behaves, loses and lies: what is told, what is announced, and that nothing is announced twice or back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from runtime import clock
from runtime.envelope import Signed
from runtime.errors import Permanent, Refused
from runtime.fleet.documents import PRESENCE, WATERMARK, Presence, Watermark
from runtime.fleet.signing import read, sign
from runtime.identity import Identity
from runtime.oversight.inspection import Finding, Inspection
from runtime.oversight.notebook import FILE, Notebook
from runtime.ports import Observatory, Position, Proven, Survey
from tests.support.statements import KEY, OTHER, PUBLIC

pytestmark = pytest.mark.anyio
REGION = "eu-de"


def at(seq: int) -> dict[str, Position]:
    return {"realtime": Position(epoch=1, seq=seq, chain=f"{seq:064x}")}


class StubHub:
    """A hub whose streams hold whatever a test says."""

    def __init__(self) -> None:
        self.seq = 0
        self.problems: list[str] = []
        self.present = {REGION}
        self.documents: list[bytes] = []
        self.gone = False
        self.heartbeat: bytes | None = None

    async def regions(self) -> dict[str, dict[str, int]]:
        return {region: {"realtime": self.seq} for region in self.present}

    async def survey(self, region: str, public_key: bytes, proven: Proven) -> Survey:
        before = proven.lanes["realtime"].seq if proven.lanes else 0
        reached = proven if self.problems else Proven(lanes=at(self.seq))
        return Survey(
            region=region,
            proven=reached,
            records=0 if self.problems else self.seq - before,
            behind=0,
            problems=self.problems,
        )

    async def still_there(self, region: str, lanes: Mapping[str, Position]) -> dict[str, Position]:
        return {} if self.gone else dict(lanes)

    async def announce(self, region: str, document: bytes) -> None:
        self.documents.append(document)

    async def presence(self, region: str) -> bytes | None:
        return self.heartbeat


class Round:
    """An inspection with a clock that a test turns."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, *, signs: bool = True) -> None:
        self.hub = StubHub()
        self.told: list[Finding] = []
        self.now = 1_000.0
        monkeypatch.setattr(clock, "monotonic", lambda: self.now)
        self.inspection = Inspection(
            {REGION: PUBLIC}, Notebook(folder, "test"), environment="test", settle_seconds=300,
            signer=Identity(KEY, b"") if signs else None, told=self.told.append,
        )  # fmt: skip

    async def __call__(self, *, later: float = 0.0) -> list[str]:
        self.now += later
        seen = len(self.told)
        await self.inspection.round(cast(Observatory, self.hub))
        return [finding.kind for finding in self.told[seen:]]

    def watermarks(self) -> list[int]:
        found = [
            read(document, WATERMARK, Watermark, keys=[PUBLIC], environment="test", region=REGION)
            for document in self.hub.documents
        ]
        return [mark.lanes["realtime"][1] for mark in found]


@pytest.fixture
def turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Round:
    return Round(tmp_path, monkeypatch)


async def test_what_has_stood_long_enough_is_announced_signed_and_once(turn: Round) -> None:
    turn.hub.seq = 10
    assert await turn() == ["verified"]
    assert await turn(later=299) == []
    assert await turn(later=1) == ["announced"]
    assert await turn(later=300) == []
    assert turn.watermarks() == [10]
    signed = msgspec.json.decode(turn.hub.documents[0], type=Signed)
    assert '"realtime":[1,10,' in signed.statement


async def test_what_the_hub_has_lost_again_is_not_announced(turn: Round) -> None:
    turn.hub.seq = 10
    await turn()
    turn.hub.gone = True
    assert await turn(later=300) == []
    assert turn.hub.documents == []


async def test_a_problem_is_told_once_and_so_is_its_end_and_meanwhile_nothing_settles(turn: Round) -> None:
    turn.hub.seq = 10
    await turn()
    turn.hub.problems = ["lane realtime: record 11 is missing"]
    assert await turn(later=299) == ["incident"]
    assert turn.inspection.troubled == [REGION]
    assert await turn(later=10) == []
    turn.hub.problems = []
    assert await turn(later=1) == ["recovered"]
    assert turn.inspection.troubled == []
    assert await turn(later=299) == []
    assert await turn(later=1) == ["announced"]


def heartbeat(seconds_ago: float, key: Ed25519PrivateKey = KEY) -> bytes:
    at_us = clock.now_us() - int(seconds_ago * 1_000_000)
    said = Presence(
        environment="test", region=REGION, issued_at=clock.rfc3339(at_us), number=1, versions={}, config="", books={},
        lanes={},
    )  # fmt: skip
    return sign(Identity(key, b""), PRESENCE, said)


async def test_a_silent_agent_is_an_incident_until_it_is_heard_again(turn: Round) -> None:
    turn.hub.heartbeat = heartbeat(10)
    await turn()
    assert turn.inspection.troubled == []
    turn.hub.heartbeat = heartbeat(301)
    assert await turn() == ["incident"]
    assert "silent since" in turn.told[-1].text
    turn.hub.heartbeat = heartbeat(1)
    assert await turn() == ["recovered"]


async def test_a_heartbeat_that_somebody_else_signed_is_an_incident(turn: Round) -> None:
    turn.hub.heartbeat = heartbeat(1, OTHER)
    await turn()
    assert turn.inspection.troubled == [REGION]


async def test_a_region_without_a_key_is_an_incident(turn: Round) -> None:
    turn.hub.present.add("eu-fr")
    await turn()
    assert [(f.region, f.kind) for f in turn.told if f.kind == "incident"] == [("eu-fr", "incident")]


async def test_a_restart_goes_on_where_it_was_and_never_announces_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Round(tmp_path, monkeypatch)
    first.hub.seq = 10
    await first()
    await first(later=300)
    again = Round(tmp_path, monkeypatch)
    again.hub.seq = 10
    assert await again() == []
    again.hub.seq = 4  # an older hub that nobody noticed: the stub itself does not complain
    await again(later=300)
    await again(later=300)
    assert again.watermarks() == []


async def test_without_a_key_to_sign_with_nothing_is_announced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    turn = Round(tmp_path, monkeypatch, signs=False)
    turn.hub.seq = 10
    await turn()
    await turn(later=300)
    assert turn.hub.documents == []


def test_a_notebook_of_another_environment_is_refused(tmp_path: Path) -> None:
    notebook = Notebook(tmp_path, "test")
    notebook.page(REGION).proven = replace(Proven(), lanes=at(3))
    notebook.save()
    with pytest.raises(Refused, match="environment test, this is prod"):
        Notebook(tmp_path, "prod")


@pytest.mark.parametrize("text", ["", "{", '{"format":1}'])
def test_a_damaged_notebook_is_a_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(Permanent, match="cannot be read"):
        Notebook(tmp_path, "test")


def test_a_notebook_reads_what_it_wrote(tmp_path: Path) -> None:
    notebook = Notebook(tmp_path, "test")
    page: Any = notebook.page(REGION)
    page.proven, page.announced = Proven(lanes=at(3)), at(2)
    notebook.save()
    again = Notebook(tmp_path, "test").page(REGION)
    assert (again.proven, again.announced) == (page.proven, page.announced)
