"""What headquarters believes of what stands at the hub: what the right key has signed, and nothing else."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from runtime.errors import Refused
from runtime.fleet.desk import Post, Posted
from runtime.fleet.documents import REVISION, STATUS, TIMESTAMP, Revision, Timestamp
from runtime.fleet.signing import digest, sign
from runtime.headquarters.folder import open_folder
from runtime.headquarters.office import Office
from runtime.identity import Identity
from tests.support.sights import AT, status
from tests.support.simulated_fleet import HEAD, KEY, REGIONS

pytestmark = pytest.mark.anyio
RELEASE, AGENT, STRANGER = (Identity(Ed25519PrivateKey.generate(), b"") for _ in range(3))
HEARD = "2026-11-23T10:00:00.123456789Z"


class StubDesk:
    """What stands at the hub."""

    def __init__(self, **posts: Post) -> None:
        self.there = {name.replace("_", "-"): post for name, post in posts.items()}
        self.revisions: dict[int, bytes] = {}

    async def posts(self, regions: list[str]) -> dict[str, Post]:
        return {region: self.there.get(region, Post()) for region in regions}

    async def revision(self, region: str, version: int) -> Posted | None:
        found = self.revisions.get(version)
        return None if found is None else posted(found)


def posted(document: bytes) -> Posted:
    return Posted(data=document, seq=7, time=HEARD)


def public(key: Identity) -> str:
    return base64.b64encode(key.public_key).decode()


def office(tmp_path: Path, desk: Any) -> Office:
    regions = REGIONS.replace('groups = ["eu"]', f'groups = ["eu"]\npublic_key = "{public(AGENT)}"', 1)
    (tmp_path / "fleet.toml").write_text(HEAD.replace(KEY, public(RELEASE)) + regions)
    return Office(open_folder(tmp_path), desk, None)


def revision(version: int = 3, region: str = "eu-de") -> bytes:
    said = Revision(environment="test", region=region, issued_at=AT, version=version, settings={}, by="ada")
    return sign(RELEASE, REVISION, said)


def timestamp(document: bytes, version: int = 3, *, key: Identity = RELEASE, region: str = "eu-de") -> Posted:
    said = Timestamp(
        environment="test", region=region, issued_at=AT, version=version, revision=digest(document), expires_at=AT
    )
    return posted(sign(key, TIMESTAMP, said))


async def test_what_both_keys_have_signed_is_believed(tmp_path: Path) -> None:
    said = posted(sign(AGENT, STATUS, status("confirmed", 3, confirmed=3, failed=[9])))
    desk = StubDesk(eu_de=Post(timestamp=timestamp(revision()), status=said, versions=[1, 3, 4]))
    sight = (await office(tmp_path, desk).sights(["eu-de"]))["eu-de"]
    assert (sight.offered, sight.confirmed, sight.highest, sight.problems) == (3, 3, 9, [])
    assert sight.heard_us == 1_795_428_000_123_456


@pytest.mark.parametrize("signer", [STRANGER, AGENT])
async def test_a_timestamp_that_no_release_key_has_signed_offers_nothing(signer: Identity, tmp_path: Path) -> None:
    desk = StubDesk(eu_de=Post(timestamp=timestamp(revision(), key=signer)))
    sight = (await office(tmp_path, desk).sights(["eu-de"]))["eu-de"]
    assert sight.offered == 0
    assert "not trusted here" in sight.problems[0]


async def test_a_document_of_another_region_is_not_believed(tmp_path: Path) -> None:
    other = timestamp(revision(region="eu-se"), region="eu-se")
    said = posted(sign(AGENT, STATUS, status(region="eu-se")))
    sight = (await office(tmp_path, StubDesk(eu_de=Post(timestamp=other, status=said))).sights(["eu-de"]))["eu-de"]
    assert (sight.offered, sight.status, sight.heard_us) == (0, None, 0)
    assert all("test/eu-se" in problem for problem in sight.problems)


async def test_a_region_without_a_key_or_without_a_line_in_fleet_toml_is_told_and_breaks_nothing(
    tmp_path: Path,
) -> None:
    said = posted(sign(AGENT, STATUS, status("confirmed", 3, confirmed=3)))
    sights = await office(tmp_path, StubDesk(eu_se=Post(status=said))).sights(["eu-se", "gone"])
    assert [sight.status for sight in sights.values()] == [None, None]
    assert all("not enrolled" in sight.problems[0] for sight in sights.values())


async def test_a_revision_that_is_not_the_one_that_was_offered_is_refused(tmp_path: Path) -> None:
    desk = StubDesk(eu_de=Post(timestamp=timestamp(revision())))
    place = office(tmp_path, desk)
    sight = (await place.sights(["eu-de"]))["eu-de"]
    with pytest.raises(Refused, match="no longer has revision 3"):
        await place.newest(sight)
    desk.revisions[3] = revision()
    found = await place.newest(sight)
    assert found.revision is not None
    assert found.revision.version == 3
    said = Revision(environment="test", region="eu-de", issued_at=AT, version=3, settings={"a": 1}, by="eve")
    desk.revisions[3] = sign(RELEASE, REVISION, said)
    with pytest.raises(Refused, match="not the one that was offered"):
        await place.newest(sight)


async def test_nothing_is_signed_without_the_key(tmp_path: Path) -> None:
    desk = StubDesk(eu_de=Post(timestamp=timestamp(revision())))
    place = office(tmp_path, desk)
    with pytest.raises(Refused, match="the release key was not opened"):
        await place.renew((await place.sights(["eu-de"]))["eu-de"])
