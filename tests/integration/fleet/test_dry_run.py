"""Agents are asked what a revision would do there before anybody is offered it: real hub, real agents, nothing stays."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio.to_thread
import msgspec
import nats
import pytest
from nats.errors import NoRespondersError

from runtime.envelope import Signed
from runtime.fleet import signing
from runtime.fleet.documents import ANSWER, REHEARSAL, REVISION, Answer, Question, Rehearsal
from runtime.fleet.probes import REHEARSE, UNKNOWN
from runtime.identity import Identity, parse_public_key
from sync import fleet_names as names
from tests.support.fleet import REGION, Headquarters, at, new_key, revision
from tests.support.nats import NatsServer
from tests.support.region import MAPPING, POLICY, Region, fact, until
from tests.support.simulated_fleet import BASE, Fleet

pytestmark = pytest.mark.anyio
FAST = "poll_seconds = 0.5\npresence_seconds = 0.5\nsoak_seconds = 0.5\nintake_seconds_max = 1.0\n"
SECRET = 'auth = { scheme = "bearer", secrets = ["secret://partner"] }'
OPEN = 'auth = { scheme = "none" }'


# ---------------------------------------------------------------- as a central team types it


@asynccontextmanager
async def scene(
    tmp_path: Path, running: Sequence[str], others: Sequence[str] = ()
) -> AsyncIterator[tuple[Fleet, dict[str, Region]]]:
    """A fleet of these regions: those that run, enrolled with the keys of their own, and others without an agent."""
    async with NatsServer(tmp_path / "hub") as hub, AsyncExitStack() as stack:
        fleet = await Fleet.made(tmp_path / "fleet", hub.url, [*running, *others])
        code, out, err = await fleet.run("topology", "--apply")
        assert code == 0, out + err
        regions: dict[str, Region] = {}
        for name in running:
            more = f'\n[secrets]\ndir = "secrets"\n[fleet]\nrelease_keys = ["{fleet.public_key}"]\n{FAST}'
            regions[name] = Region(tmp_path / name, hub.url, region=name, more=more)
            (tmp_path / name / "secrets").mkdir()
            await stack.enter_async_context(regions[name])
        await anyio.to_thread.run_sync(enrol, fleet, regions)
        yield fleet, regions


def enrol(fleet: Fleet, regions: dict[str, Region]) -> None:
    """As `fleet enrol approve` leaves it."""
    for name, region in regions.items():
        agent = fleet.agents[name]
        agent.public_key = region.public_key.read_text().strip()
    fleet.configure()


async def standing(fleet: Fleet, region: Region) -> tuple[Any, Any, bool]:
    """What the agent remembers, what it has said of it, and whether a dry run has left files."""
    _, rows = await fleet.json("ls")
    stages = [(row["region"], row["stage"], row["version"], row["offered"]) for row in rows]
    folder = region.state / "fleet"
    left = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    return await region.ask("revision.show"), stages, left


async def has_reported(fleet: Fleet, regions: dict[str, Region]) -> None:
    async def so() -> bool:
        _, rows = await fleet.json("ls")
        return all(row["stage"] for row in rows if row["region"] in regions)

    await until(so, "every agent has said where it stands")


async def stored_documents(hub: str) -> list[str]:
    """What headquarters has laid down but files."""
    connection = await nats.connect(hub)
    try:
        info = await connection.jetstream().stream_info(names.CONFIG_STREAM, subjects_filter=">")
        return sorted(subject for subject in info.state.subjects or {} if ".file." not in subject)
    finally:
        await connection.close()


async def older(message: Any) -> None:
    """What an agent says that knows no dry run."""
    await message.respond(msgspec.json.encode({"error": UNKNOWN, "probes": ["status"]}))


async def test_each_region_says_what_it_would_do_and_nothing_moves_until_the_rollout(tmp_path: Path) -> None:
    async with scene(tmp_path, ["eu-de", "eu-fr"], ["eu-pl", "eu-se"]) as (fleet, regions):
        (tmp_path / "eu-de" / "secrets" / "partner").write_text("a-long-enough-secret-of-the-partner")
        fleet.write("base/entrepot.toml", BASE.replace(OPEN, SECRET))
        await has_reported(fleet, regions)
        before = {name: await standing(fleet, region) for name, region in regions.items()}
        client = await nats.connect(fleet.hub)
        await client.subscribe(names.probe("eu-se", REHEARSE), cb=older)
        await client.flush()

        code, planned = await fleet.json("plan", "--rehearse")
        assert code == 2
        said = {one["region"]: one["rehearsal"] for one in planned}
        assert {name: one["state"] for name, one in said.items()} == {
            "eu-de": "ready", "eu-fr": "refused", "eu-pl": "silent", "eu-se": "older",
        }, said  # fmt: skip
        assert said["eu-de"]["reason"] == "changes sources.wms changed mapping, auth"
        assert "sources.wms.auth.secrets[0]: secret 'partner'" in said["eu-fr"]["reason"]
        assert "nobody listens" in said["eu-pl"]["reason"]
        code, out, _ = await fleet.run("plan", "--rehearse")
        assert code == 2
        rows = {line.split()[0]: line for line in out.splitlines() if line.startswith("eu-") and "version" not in line}
        for name, words in (
            ("eu-de", "would take it"), ("eu-fr", "refused"), ("eu-pl", "no answer"), ("eu-se", "cannot say"),
        ):  # fmt: skip
            assert words in rows[name]
        assert (await fleet.json("plan", "eu-de", "--rehearse"))[0] == 0
        assert (await fleet.json("plan", "eu-se", "--rehearse"))[0] == 1
        await client.close()

        assert {name: await standing(fleet, region) for name, region in regions.items()} == before
        assert await stored_documents(fleet.hub) == []
        assert (await fleet.json("history"))[1]["count"] == 0

        code, out, err = await fleet.run("rollout", "--yes")
        assert (code, "eu-fr: refused: " in err) == (2, True), out + err
        assert await stored_documents(fleet.hub) == []
        code, out, err = await fleet.run("rollout", "eu-de", "--yes")
        assert (code, "would take it" in out) == (0, True), out + err
        assert (await regions["eu-de"].ask("revision.show"))["version"] == 1


async def test_what_loosens_is_refused_before_it_is_offered_and_an_apply_stops_there(tmp_path: Path) -> None:
    async with scene(tmp_path, ["eu-de"]) as (fleet, regions):
        await has_reported(fleet, regions)
        looser = POLICY.replace('"business.confidential"]', '"business.confidential", "personal.quasi"]')
        fleet.write("base/policy.toml", looser)
        for words in (("plan", "--rehearse"), ("apply", "eu-de", "--yes"), ("rollout", "--yes")):
            code, out, err = await fleet.run(*words)
            assert (code, "only the region may loosen" in out) == (2, True), out + err
        assert await stored_documents(fleet.hub) == []
        fleet.write("base/policy.toml", POLICY)
        code, applied = await fleet.json("apply", "eu-de", "--yes")
        assert (code, applied["sent"], applied["rehearsal"]["eu-de"]["state"]) == (0, {"eu-de": 1}, "ready")


async def test_a_region_that_is_not_enrolled_is_not_asked(tmp_path: Path) -> None:
    async with scene(tmp_path, ["eu-de"]) as (fleet, _):
        file = fleet.directory / "fleet.toml"
        file.write_text("\n".join(line for line in file.read_text().splitlines() if "public_key" not in line))
        code, planned = await fleet.json("plan", "--rehearse")
        assert (code, planned[0]["rehearsal"]["state"]) == (1, "silent")
        assert "not enrolled" in planned[0]["rehearsal"]["reason"]


async def test_without_the_release_key_nobody_is_asked(tmp_path: Path) -> None:
    async with scene(tmp_path, [], ["eu-de"]) as (fleet, _):
        (fleet.directory / "release.key").unlink()
        assert (await fleet.run("plan"))[0] == 1
        code, _, err = await fleet.run("plan", "--rehearse")
        assert (code, "release.key cannot be read" in err) == (2, True), err


# ---------------------------------------------------------------- what an agent makes of the question


class Asking(Headquarters):
    """Asks one agent, with any document."""

    async def rehearse(self, region: Region, document: bytes) -> dict[str, Any]:
        nonce = secrets.token_hex(16)
        question = msgspec.json.encode(Question(nonce=nonce, rehearsal=msgspec.json.decode(document, type=Signed)))
        answer = await self._connection.request(names.probe(REGION, REHEARSE), question, timeout=20)
        key = parse_public_key(region.public_key.read_text())
        said = signing.read(answer.data, ANSWER, Answer, keys=[key], environment="test", region=REGION)
        assert (said.nonce, said.probe) == (nonce, REHEARSE)
        return dict(said.answer)

    def document(
        self, version: int, settings: dict[str, Any] | None = None, files: dict[str, bytes] | None = None,
        *, signer: Identity | None = None, seconds: float = 60.0, kind: str = REHEARSAL, **about: Any,
    ) -> bytes:  # fmt: skip
        said = msgspec.structs.asdict(revision(version, settings, files, **about))
        return signing.sign(signer or self.release, kind, Rehearsal(**said, expires_at=at(seconds)))


async def listens(hq: Asking, region: Region) -> None:
    """Until the agent answers questions."""

    async def so() -> bool:
        try:
            return bool(await hq._connection.request(names.probe(REGION, "versions"), b"", timeout=20))
        except NoRespondersError:
            return False

    await until(so, f"the agent listens; {region.log[-800:]}")


@asynccontextmanager
async def asked(tmp_path: Path) -> AsyncIterator[tuple[Asking, Region]]:
    async with NatsServer(tmp_path / "hub") as hub, Asking(hub.url) as hq:
        region = Region(tmp_path / "region", hub.url, more=hq.table())
        async with region:
            await listens(hq, region)
            yield hq, region


async def test_a_question_is_judged_as_an_offer_and_touches_no_version(tmp_path: Path) -> None:
    async with asked(tmp_path) as (hq, region):
        await hq.publish(3, {"gateway": {"burst": 777}})
        await hq.staged(region, "confirmed", 3)
        state, shown = (region.state / "fleet" / "state.json").read_bytes(), await region.ask("revision.show")
        files = {"mapping.toml": MAPPING.replace("version = 1", "version = 2").encode()}
        digest = sha256(files["mapping.toml"]).hexdigest()
        gone = {
            "sources": {
                "wms": None,
                "other": {"adapter": "webhook", "mapping": "mapping.toml", "auth": {"scheme": "none"}},
            }
        }
        made = hq.document
        for document, verdict, why in (
            (made(4, {"gateway": {"burst": 778}}), "ready", "gateway changed burst"),
            (made(9, {"gateway": {"burst": 777}}), "ready", "changes nothing"),
            (made(3), "refused", "version 3 is not newer than 3"),
            (made(4, seconds=-1.0), "refused", "expired"),
            (made(4, signer=new_key()), "refused", "not trusted here"),
            (made(4, {"gateway": {"burst": 1}}).replace(b"ada", b"eve"), "refused", "changed, or forged"),
            (made(4, kind=REVISION), "refused", "changed, or forged"),
            (made(4, environment="prod"), "refused", "for prod/eu-de"),
            (made(4, region="eu-fr"), "refused", "for test/eu-fr"),
            (made(4, {"region": "eu-fr"}), "refused", "cannot be steered"),
            (made(4, {}, {"../x": b""}), "refused", "no plain relative path"),
            (made(4, {"lanes": {"realtime": 1}}), "refused", "lanes.realtime"),
            (made(4, gone), "refused", "only the region may loosen"),
            (made(4, gone, signer=hq.regional), "ready", "sources.other"),
            (made(4, {}, files), "waits", "is not at the hub yet"),
        ):
            answer = await hq.rehearse(region, document)
            assert (answer["state"], why in answer["reason"]) == (verdict, True), (answer, why)
        await hq.put(names.file(REGION, digest), b"another")
        answer = await hq.rehearse(region, made(4, {}, files))
        assert (answer["state"], "changed, or forged" in answer["reason"]) == ("refused", True), answer
        await hq.put(names.file(REGION, digest), files["mapping.toml"])
        answer = await hq.rehearse(region, made(4, {}, files))
        assert (answer["state"], "rules test-stock 1" in answer["reason"]) == ("ready", True), answer

        assert (region.state / "fleet" / "state.json").read_bytes() == state
        assert await region.ask("revision.show") == shown
        assert sorted(path.name for path in (region.state / "fleet").iterdir()) == ["revision-3", "state.json"]
        await region.persist([fact(1)])
        await hq.publish(4, {}, files)
        await hq.staged(region, "confirmed", 4)


async def test_a_question_cannot_be_turned_into_an_offer(tmp_path: Path) -> None:
    async with asked(tmp_path) as (hq, region):
        document = hq.document(1, {"gateway": {"burst": 777}})
        assert (await hq.rehearse(region, document))["state"] == "ready"
        again = await hq.rehearse(region, document)
        assert (again["state"], "replayed" in again["reason"]) == ("refused", True)
        await hq.put(names.revision(REGION, 1), document)
        await hq.stamp(1, document)

        async def told() -> bool:
            status = await hq.status(region)
            return status is not None and "changed, or forged" in status.reason

        await until(told, "the agent does not take it for a revision")
        assert (await region.ask("revision.show"))["in_force"] == 0


async def test_an_override_stays_and_is_named(tmp_path: Path) -> None:
    async with asked(tmp_path) as (hq, region):
        code, out, err = await region.run("revision", "override", "--hours", "1", "--reason", "stocktaking")
        assert code == 1, out + err
        answer = await hq.rehearse(region, hq.document(1, {"gateway": {"burst": 777}}))
        assert answer["state"] == "ready"
        assert answer["reason"].endswith("it would wait for the end of the regional override")
        assert (await region.ask("revision.show"))["override"]["reason"] == "stocktaking"


async def test_a_process_killed_in_a_dry_run_leaves_nothing_for_long(tmp_path: Path) -> None:
    async with asked(tmp_path) as (hq, region):
        files = {"mapping.toml": MAPPING.replace("version = 1", "version = 2").encode()}
        await hq.put(names.file(REGION, sha256(files["mapping.toml"]).hexdigest()), files["mapping.toml"])
        policy, left = region.directory / "policy.toml", region.state / "fleet" / "rehearsal"
        policy.unlink()
        os.mkfifo(policy)  # whoever reads the local configuration waits here
        question = msgspec.json.encode(
            Question(nonce=secrets.token_hex(16), rehearsal=msgspec.json.decode(hq.document(1, {}, files), type=Signed))
        )
        await hq._connection.publish(names.probe(REGION, REHEARSE), question, reply="nobody.waits")

        async def laid_out() -> bool:
            return await anyio.to_thread.run_sync((left / "mapping.toml").is_file)

        await until(laid_out, "the dry run is under way")
        region.kill()
        policy.unlink()
        policy.write_text(POLICY)
        assert left.is_dir()
        await region.start()
        assert not left.exists()
        await listens(hq, region)
        assert (await hq.rehearse(region, hq.document(1, {}, files)))["state"] == "ready"
        assert not left.exists()
