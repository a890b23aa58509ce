"""Headquarters' place at the hub: the fleet's documents as messages of four streams."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import anyio

from runtime.errors import Overtaken, Permanent
from runtime.fleet.desk import Post, Posted
from runtime.ports import HubRecord, Scope, StreamReport
from sync import fleet_names as names
from sync import fleet_streams, stream
from sync.channel import STREAM_MISSING, ApiError, Channel
from sync.posting import EXPECTED_ON_SUBJECT, post_after, request
from sync.settings import HubSettings
from sync.wire import EXPECTED_HEADER

READS_MAX = 32
"""Questions to the hub at a time."""
GATHER_SECONDS = 0.1
"""Many regions speak at once: they are heard together. Heartbeats wake nobody."""
_APPLY = "`entrepot fleet topology --apply` makes it"


class NatsDesk:
    """Implements `runtime.fleet.desk.FleetDesk` over one connection."""

    def __init__(self, channel: Channel, settings: HubSettings, scope: Scope) -> None:
        self._channel, self._settings, self._scope = channel, settings, scope
        self._stirred = anyio.Event()
        self._listens = False
        self._checked = False

    async def topology(self, *, apply: bool) -> list[StreamReport]:
        """See `FleetDesk`."""
        replicas = self._settings.replicas
        return await fleet_streams.compare(self._channel, self._scope, replicas=replicas, apply=apply)

    # ------------------------------------------------------------ reading

    async def posts(self, regions: Sequence[str]) -> dict[str, Post]:
        """See `FleetDesk`."""
        versions = await self._versions()
        found: dict[str, Post] = {}
        limiter = anyio.CapacityLimiter(READS_MAX)

        async def read(region: str) -> None:
            async with limiter:
                found[region] = Post(
                    timestamp=await self._newest(names.CONFIG_STREAM, names.timestamp(region)),
                    status=await self._newest(names.STATE_STREAM, names.status(region)),
                    presence=await self._newest(names.STATE_STREAM, names.presence(region)),
                    versions=versions.get(region, []),
                )

        async with anyio.create_task_group() as tasks:
            for region in regions:
                tasks.start_soon(read, region)
        return {region: found[region] for region in regions}

    async def revision(self, region: str, version: int) -> Posted | None:
        """See `FleetDesk`."""
        return await self._newest(names.CONFIG_STREAM, names.revision(region, version))

    async def file(self, region: str, sha256: str) -> bytes | None:
        """See `FleetDesk`."""
        found = await self._newest(names.CONFIG_STREAM, names.file(region, sha256))
        return None if found is None else found.data

    async def result(self, region: str, action: str) -> Posted | None:
        """See `FleetDesk`."""
        return await self._newest(names.STATE_STREAM, names.result(region, action))

    async def action(self, region: str, action: str) -> Posted | None:
        """See `FleetDesk`."""
        return await self._newest(names.ACTIONS_STREAM, names.action(region, action))

    async def newest_action(self, region: str) -> Posted | None:
        """See `FleetDesk`."""
        return await self._newest(names.ACTIONS_STREAM, names.newest_action(region))

    async def audit_end(self, kind: str = "") -> Posted | None:
        """See `FleetDesk`."""
        return await self._newest(names.AUDIT_STREAM, names.audit(kind) if kind else names.AUDIT_SUBJECTS)

    async def audit(self) -> AsyncIterator[Posted]:
        """See `FleetDesk`."""
        found = await stream.info(self._channel, names.AUDIT_STREAM)
        if found is None:
            raise Permanent(f"the hub has no stream {names.AUDIT_STREAM}", hint=_APPLY)
        if found.state.messages:
            async for record in stream.read(self._channel, names.AUDIT_STREAM, 1, found.state.last_seq):
                yield _posted(record)

    async def _versions(self) -> dict[str, list[int]]:
        """Region → revisions that the hub holds."""
        found: dict[str, list[int]] = {}
        offset, total = 0, 1
        while offset < total:
            asked = {"subjects_filter": names.revisions("*"), "offset": offset}
            answer = await self._asked(f"STREAM.INFO.{names.CONFIG_STREAM}", asked)
            page = answer["state"].get("subjects") or {}
            for subject in page:
                _, region, _, version = subject.split(".")
                found.setdefault(region, []).append(int(version))
            total = answer.get("total", 0)
            offset += len(page) or total
        return {region: sorted(versions) for region, versions in found.items()}

    async def _newest(self, name: str, subject: str) -> Posted | None:
        await self._check()
        try:
            found = await stream.get(self._channel, name, {"last_by_subj": subject})
        except ApiError as error:
            raise _explained(error, name) from error
        return None if found is None else _posted(found)

    async def _asked(self, subject: str, body: Any) -> dict[str, Any]:
        await self._check()
        try:
            return await self._channel.ask(subject, body)
        except ApiError as error:
            raise _explained(error, subject.rpartition(".")[2]) from error

    async def _check(self) -> None:
        """Once a connection: nothing is read or written in another environment's streams."""
        if not self._checked:
            await fleet_streams.check(self._channel, self._scope)
            self._checked = True

    # ------------------------------------------------------------ writing

    async def put_revision(self, region: str, version: int, document: bytes) -> None:
        """See `FleetDesk`."""
        await self._put(names.CONFIG_STREAM, names.revision(region, version), document, after=0)

    async def put_file(self, region: str, sha256: str, content: bytes) -> None:
        """See `FleetDesk`."""
        subject = names.file(region, sha256)
        if await self._newest(names.CONFIG_STREAM, subject) is None:
            try:
                await self._put(names.CONFIG_STREAM, subject, content, after=0)
            except Overtaken:
                return  # by its name it can only be the same content

    async def put_timestamp(self, region: str, document: bytes, *, after: int) -> None:
        """See `FleetDesk`."""
        await self._put(names.CONFIG_STREAM, names.timestamp(region), document, after=after)

    async def put_action(self, region: str, action: str, document: bytes) -> None:
        """See `FleetDesk`."""
        await self._put(names.ACTIONS_STREAM, names.action(region, action), document, after=0)

    async def put_newest_action(self, region: str, document: bytes, *, after: int) -> None:
        """See `FleetDesk`."""
        await self._put(names.ACTIONS_STREAM, names.newest_action(region), document, after=after)

    async def append_audit(self, kind: str, document: bytes, *, after: int) -> None:
        """See `FleetDesk`."""
        await self._put(names.AUDIT_STREAM, names.audit(kind), document, after=after, header=EXPECTED_HEADER)

    async def _put(
        self, name: str, subject: str, data: bytes, *, after: int, header: str = EXPECTED_ON_SUBJECT
    ) -> None:
        await self._check()
        self._fits(subject, data)
        try:
            await post_after(self._channel, subject, header, after, data)
        except ApiError as error:
            raise _explained(error, name) from error

    def _fits(self, subject: str, data: bytes) -> None:
        if len(data) + len(subject) > self._channel.bytes_max:
            raise Permanent(
                f"{subject} would have {len(data)} bytes; the hub takes {self._channel.bytes_max}",
                hint="make the files smaller, or raise max_payload at the hub",
            )

    # ------------------------------------------------------------ talking

    async def poke(self, region: str) -> None:
        """See `FleetDesk`."""
        await self._channel.write(b"PUB %b 0\r\n\r\n" % names.poke(region).encode())

    async def stirred(self, seconds_max: float) -> None:
        """See `FleetDesk`. The first call returns at once: what was said before it was not heard."""
        if not self._listens:
            for subject in (names.status("*"), names.result("*", "*"), names.AUDIT_SUBJECTS):
                await self._channel.listen(subject, self._on_word)
            self._listens = True
            return
        with anyio.move_on_after(seconds_max):
            await self._stirred.wait()
            await anyio.sleep(GATHER_SECONDS)
        self._stirred = anyio.Event()

    def _on_word(self, _subject: bytes, _headers: bytes, _data: bytes) -> None:
        self._stirred.set()

    async def probe(self, region: str, name: str, question: bytes, *, seconds_max: float) -> bytes:
        """See `FleetDesk`."""
        subject = names.probe(region, name)
        self._fits(subject, question)
        return await request(self._channel, subject, question, seconds_max=seconds_max)


def _posted(record: HubRecord) -> Posted:
    return Posted(data=record.data, seq=record.seq, time=record.time)


def _explained(error: ApiError, name: str) -> Permanent:
    if error.err_code == STREAM_MISSING or error.code == 503:
        return Permanent(f"the hub has no stream {name}", hint=_APPLY)
    return error
