"""Agents that answer headquarters by real, signed documents over a real hub, many in one process; and a fleet's folder.

They do what an agent does with a revision but work by it: check who signed what, never go back, report each stage.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

import anyio
import anyio.to_thread
import nats
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nats.aio.client import Client
from nats.js.errors import NotFoundError

from runtime import clock
from runtime.errors import Refused
from runtime.fleet.documents import (
    PRESENCE,
    REVISION,
    STATUS,
    TIMESTAMP,
    Presence,
    Revision,
    Stage,
    Status,
    Timestamp,
)
from runtime.fleet.signing import digest, read, sign
from runtime.headquarters import key as release
from runtime.identity import Identity
from sync import fleet_names as names
from tests.support.region import MAPPING, POLICY

ENVIRONMENT = "test"
POLL_SECONDS = 2.0
BASE = """
[lanes.realtime]
[residency]
policy = "policy.toml"
[journal]
refill_hours = 72
[sources.wms]
adapter = "webhook"
mapping = "mappings/wms.toml"
auth = { scheme = "none" }
"""
KEY = base64.b64encode(bytes(range(32))).decode()
HEAD = f"""
environment = "test"
release_keys = ["{KEY}"]
[hub]
servers = ["nats://127.0.0.1:4222"]
"""
REGIONS = """
[groups]
eu = "Europe"
north = "Scandinavia"
[regions.eu-de]
jurisdiction = "DE"
groups = ["eu"]
[regions.eu-se]
jurisdiction = "SE"
groups = ["eu", "north"]
[regions.eu-de-2]
jurisdiction = "DE"
part_of = "eu-de"
"""
Breaks = Callable[[str, Revision], str]
"""(region, revision) → why it breaks there; empty: it does not."""


def never(_region: str, _revision: Revision) -> str:
    return ""


class SimulatedAgent:
    """One region."""

    def __init__(self, region: str, release_key: bytes, breaks: Breaks) -> None:
        self.region, self._release_key, self._breaks = region, release_key, breaks
        self._signer = Identity(Ed25519PrivateKey.generate(), b"")
        self.public_key = base64.b64encode(self._signer.public_key).decode()
        self.seen = 0
        self.confirmed = 0
        self.failed: list[int] = []
        self.settings: dict[str, Any] = {}
        self.files: dict[str, bytes] = {}
        self.refusals: list[str] = []
        self.stages: list[tuple[int, str]] = []
        self.lag_seconds = 0.0
        self.books = dict.fromkeys(("accepted", "delivered", "dead_lettered"), 0)
        self._heartbeats = 0

    async def look(self, client: Client) -> None:
        """Read what is newest, and bring it into force or say why not."""
        try:
            document = await self._last(client, names.timestamp(self.region))
            if document is None:
                return
            timestamp = self._read(document, TIMESTAMP, Timestamp)
            if timestamp.version <= self.seen or timestamp.version in self.failed:
                return
            if timestamp.expires_at <= clock.rfc3339(clock.now_us()):
                raise Refused("the timestamp has ended")
            self.seen = timestamp.version
            await self._take(client, timestamp)
        except Refused as error:
            self.refusals.append(str(error))
            await self.report(client, "rejected", self.seen, str(error))

    async def _take(self, client: Client, timestamp: Timestamp) -> None:
        document = await self._last(client, names.revision(self.region, timestamp.version))
        if document is None or digest(document) != timestamp.revision:
            raise Refused("the revision is not the one that the timestamp names")
        revision = self._read(document, REVISION, Revision)
        files = {path: await self._file(client, wanted) for path, wanted in revision.files.items()}
        for stage in ("verified", "staged", "provisional"):
            await self.report(client, stage, revision.version)
        reason = self._breaks(self.region, revision)
        if reason:
            self.failed.append(revision.version)
            await self.report(client, "reverted", revision.version, reason)
            return
        self.confirmed, self.settings, self.files = revision.version, revision.settings, files
        await self.report(client, "confirmed", revision.version)

    async def _file(self, client: Client, wanted: str) -> bytes:
        content = await self._last(client, names.file(self.region, wanted))
        if content is None or sha256(content).hexdigest() != wanted:
            raise Refused("a file of the revision is missing or was changed")
        return content

    async def report(self, client: Client, stage: Stage, version: int, reason: str = "") -> None:
        self.stages.append((version, stage))
        status = Status(
            environment=ENVIRONMENT,
            region=self.region,
            issued_at=clock.rfc3339(clock.now_us()),
            stage=stage,
            version=version,
            reason=reason,
            confirmed=self.confirmed,
            effective=self._effective(),
            failed=self.failed,
        )
        await self._publish(client, names.status(self.region), sign(self._signer, STATUS, status))

    async def beat(self, client: Client) -> None:
        self._heartbeats += 1
        presence = Presence(
            environment=ENVIRONMENT,
            region=self.region,
            issued_at=clock.rfc3339(clock.now_us()),
            number=self._heartbeats,
            versions={"entrepot": "0.1.0"},
            config=self._effective(),
            books=self.books,
            lanes={"realtime": {"sealed": 1, "acked": 1, "lag_seconds": self.lag_seconds, "fenced": ""}},
            buffer_seconds_left=864_000,
        )
        await self._publish(client, names.presence(self.region), sign(self._signer, PRESENCE, presence))

    def _effective(self) -> str:
        content = [self.settings, {path: sha256(body).hexdigest() for path, body in self.files.items()}]
        return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def _read(self, document: bytes, kind: str, type_: Any) -> Any:
        return read(document, kind, type_, keys=[self._release_key], environment=ENVIRONMENT, region=self.region)

    async def _last(self, client: Client, subject: str) -> bytes | None:
        try:
            return (await client.jetstream().get_last_msg(names.CONFIG_STREAM, subject, direct=True)).data
        except NotFoundError:
            return None

    async def _publish(self, client: Client, subject: str, document: bytes) -> None:
        await client.jetstream().publish(subject, document)


class Fleet:
    """A folder as a central team keeps it, and simulated agents for its regions."""

    def __init__(self, directory: Path, hub: str, regions: Iterable[str], *, breaks: Breaks = never) -> None:
        self.directory, self.hub = directory, hub
        directory.mkdir(parents=True)
        self.public_key = release.create(directory / "release.key")
        raw = base64.b64decode(self.public_key)
        self.agents = {region: SimulatedAgent(region, raw, breaks) for region in regions}
        self.configure()
        self.write("base/entrepot.toml", BASE)
        self.write("base/policy.toml", POLICY)
        self.write("base/mappings/wms.toml", MAPPING)

    @classmethod
    async def made(cls, directory: Path, hub: str, regions: Iterable[str], *, breaks: Breaks = never) -> Self:
        """From a test with an event loop, which waits for no disk."""
        return await anyio.to_thread.run_sync(lambda: cls(directory, hub, regions, breaks=breaks))

    def configure(
        self, *, rollout: str = "soak_seconds = 0\npoll_seconds = 0.2", hub: str = "", more: str = ""
    ) -> None:
        """Write fleet.toml; `hub` goes to its [hub], `more` to its end."""
        regions = "".join(
            f'[regions.{region}]\njurisdiction = "DE"\ngroups = ["eu"]\npublic_key = "{agent.public_key}"\n'
            for region, agent in self.agents.items()
        )
        (self.directory / "fleet.toml").write_text(
            f'environment = "{ENVIRONMENT}"\nrelease_keys = ["{self.public_key}"]\n'
            f'[hub]\nservers = ["{self.hub}"]\n{hub}\n[rollout]\n{rollout}\n[groups]\neu = "Europe"\n{regions}{more}'
        )

    def write(self, path: str, content: str) -> None:
        """One file of a layer."""
        file = self.directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)

    async def run(self, *words: str, seconds_max: float = 60) -> tuple[int, str, str]:
        """`entrepot fleet …` as a person types it: (exit code, stdout, stderr)."""
        place = [] if words[0] == "keygen" else ["--fleet", str(self.directory)]
        command = [sys.executable, "-m", "runtime.cli", "fleet", *words, *place]
        variables = os.environ | {"NO_COLOR": "1"}
        done = await anyio.to_thread.run_sync(
            lambda: subprocess.run(
                command, capture_output=True, text=True, timeout=seconds_max, check=False, env=variables
            )
        )
        return done.returncode, done.stdout, done.stderr

    async def json(self, *words: str) -> tuple[int, Any]:
        code, out, err = await self.run(*words, "--json")
        assert out, err
        return code, json.loads(out)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[Client]:
        """All agents, until the block ends: each looks at every poke, and now and then without one."""
        client = await nats.connect(self.hub)
        try:
            async with anyio.create_task_group() as tasks:
                for agent in self.agents.values():
                    await agent.beat(client)
                    tasks.start_soon(self._serve, client, agent)
                yield client
                tasks.cancel_scope.cancel()
        finally:
            await client.close()

    async def _serve(self, client: Client, agent: SimulatedAgent) -> None:
        poked = anyio.Event()

        async def hear(_message: Any) -> None:
            poked.set()

        await client.subscribe(names.poke(agent.region), cb=hear)
        while True:
            await agent.look(client)
            await agent.beat(client)
            with anyio.move_on_after(POLL_SECONDS):
                await poked.wait()
            poked = anyio.Event()
