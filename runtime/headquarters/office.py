"""What may be believed of the hub's streams, and what headquarters says there: signed, numbered, written into the audit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from runtime import clock
from runtime.errors import Overtaken, Permanent, Refused
from runtime.fleet import audit, signing
from runtime.fleet.desk import FleetDesk, Post
from runtime.fleet.documents import (
    ACTION,
    CHANGE,
    PRESENCE,
    REHEARSAL,
    RESULT,
    REVISION,
    STATUS,
    TIMESTAMP,
    Action,
    Change,
    Presence,
    Rehearsal,
    Result,
    Revision,
    Status,
    Timestamp,
)
from runtime.fleet.layers import Rendered
from runtime.fleet.plan import file_digest, go_back
from runtime.fleet.rollout import Order, Rollout
from runtime.fleet.sight import Sight
from runtime.headquarters.folder import Folder
from runtime.identity import Identity

_NO_ACTION = Action(environment="", region="", issued_at="", id="", verb="pause", expires_at="", by="")
TRIES_MAX = 5
"""Several desks may write at once; each of them tries again behind the other."""
_DAY_US = 86_400 * 1_000_000


class Standing(NamedTuple):
    """The newest rollout, and the position of the audit behind which the next record goes."""

    rollout: Rollout | None
    link: audit.Link
    seq: int


class Newest(NamedTuple):
    """What was offered last to a region, with its files by path; None: nothing yet."""

    revision: Revision | None
    files: dict[str, bytes]


class Office:
    """`key`: None where nothing is to be changed."""

    def __init__(self, folder: Folder, desk: FleetDesk, key: Identity | None, *, by: str = "") -> None:
        self.folder, self.desk, self._key, self.by = folder, desk, key, by
        self.environment = folder.settings.environment
        self._places: dict[str, int] = {}
        """Region → position of the timestamp that was read last."""

    # ------------------------------------------------------------ what is there

    async def sights(self, regions: Sequence[str]) -> dict[str, Sight]:
        """What may be believed about each. Raises `Retryable` when the hub is away."""
        posts = await self.desk.posts(regions)
        self._places |= {region: 0 if p.timestamp is None else p.timestamp.seq for region, p in posts.items()}
        return {region: self._sight(region, post) for region, post in posts.items()}

    def _sight(self, region: str, post: Post) -> Sight:
        problems: list[str] = []
        timestamp, status, presence = self._timestamp(region, post, problems), None, None
        key = self.folder.region_keys.get(region)
        if key is None:
            problems += ["it is not enrolled: fleet.toml has no public_key for it"]
        else:
            status = self._believed(post.status, STATUS, Status, region, key, problems)
            presence = self._believed(post.presence, PRESENCE, Presence, region, key, problems)
        heard = [_us(p.time) for p, found in ((post.status, status), (post.presence, presence)) if p and found]
        offered = 0 if timestamp is None else timestamp.version
        known = [] if status is None else [status.version, status.confirmed, *status.failed]
        return Sight(
            region=region,
            status=status,
            presence=presence,
            offered=offered,
            offered_revision="" if timestamp is None else timestamp.revision,
            expires_us=0 if timestamp is None else _us(timestamp.expires_at),
            highest=max([offered, *post.versions, *known]),
            heard_us=max(heard, default=0),
            veto=here.veto if (here := self.folder.settings.regions.get(region)) else "",
            problems=problems,
        )

    def _timestamp(self, region: str, post: Post, problems: list[str]) -> Timestamp | None:
        if post.timestamp is None:
            return None
        try:
            return self._ours(post.timestamp.data, TIMESTAMP, Timestamp, region)
        except Refused as error:
            problems.append(str(error))
            return None

    def _believed(
        self, post: Any, kind: str, type_: type[signing.Kind], region: str, key: bytes, problems: list[str]
    ) -> signing.Kind | None:
        if post is None:
            return None
        try:
            return signing.read(post.data, kind, type_, keys=[key], environment=self.environment, region=region)
        except Refused as error:
            problems.append(str(error))
            return None

    def _ours(self, document: bytes, kind: str, type_: type[signing.Kind], region: str) -> signing.Kind:
        """Raises `Refused` when none of the release keys has signed it."""
        keys = self.folder.release_keys
        return signing.read(document, kind, type_, keys=keys, environment=self.environment, region=region)

    async def newest(self, sight: Sight) -> Newest:
        """Raises `Refused` when what stands there is not what the timestamp speaks of."""
        if not sight.offered:
            return Newest(None, {})
        document = await self._document(sight.region, sight.offered)
        if signing.digest(document) != sight.offered_revision:
            raise Refused(f"revision {sight.offered} of {sight.region} at the hub is not the one that was offered")
        revision = self._ours(document, REVISION, Revision, sight.region)
        return Newest(revision, await self._files(revision))

    async def revision(self, region: str, version: int) -> Revision:
        """Raises `Refused` when it is not there, or not ours."""
        return self._ours(await self._document(region, version), REVISION, Revision, region)

    async def _document(self, region: str, version: int) -> bytes:
        found = await self.desk.revision(region, version)
        if found is None:
            raise Refused(
                f"the hub no longer has revision {version} of {region}",
                hint="it has lost some; `entrepot fleet apply` makes a new one from the files",
            )
        return found.data

    async def _files(self, revision: Revision) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for path, digest in revision.files.items():
            content = await self.desk.file(revision.region, digest)
            if content is not None and file_digest(content) == digest:
                found[path] = content
        return found

    # ------------------------------------------------------------ what is said

    async def lay_down(self, revision: Revision, rendered: Rendered) -> None:
        """The content first, then the revision; nobody looks at it before a timestamp names it. Raises `Overtaken`."""
        await self.lay_down_files(revision.region, rendered)
        await self.desk.put_revision(revision.region, revision.version, self._signed(REVISION, revision))

    async def lay_down_files(self, region: str, rendered: Rendered) -> None:
        """Each by its digest, so once, whoever names it later."""
        for content in rendered.files.values():
            await self.desk.put_file(region, file_digest(content), content)

    def rehearsal(self, revision: Revision, *, seconds_max: float) -> bytes:
        """The signed question what an agent would do with it; nothing else can be done with this document."""
        expires_at = clock.rfc3339(clock.now_us() + int(seconds_max * 1_000_000))
        return self._signed(REHEARSAL, Rehearsal(**msgspec.structs.asdict(revision), expires_at=expires_at))

    async def offer(self, region: str, version: int) -> None:
        """Say that this version is newest, and give a hint. Raises `Overtaken`, `Refused`."""
        document = await self._document(region, version)
        self._ours(document, REVISION, Revision, region)
        await self._say_newest(region, version, signing.digest(document))
        await self.desk.poke(region)

    async def renew(self, sight: Sight) -> None:
        """Say again what is newest. Raises `Overtaken`, `Refused`."""
        await self._say_newest(sight.region, sight.offered, sight.offered_revision)

    async def _say_newest(self, region: str, version: int, revision: str) -> None:
        now = clock.now_us()
        expires = now + int(self.folder.settings.timestamp_days * _DAY_US)
        statement = Timestamp(
            environment=self.environment,
            region=region,
            issued_at=clock.rfc3339(now),
            version=version,
            revision=revision,
            expires_at=clock.rfc3339(expires),
        )
        document = self._signed(TIMESTAMP, statement)
        await self.desk.put_timestamp(region, document, after=self._places.get(region, 0))

    async def carry_out(self, order: Order, *, ticket: str, note: str) -> None:
        """Raises `Overtaken`: another desk was faster, so look again."""
        if order.content_of is not None:
            await self._bring_back(order, ticket, note)
        await self.offer(order.region, order.version)

    async def _bring_back(self, order: Order, ticket: str, note: str) -> None:
        """The new, higher version with the old content; one that another desk has laid down serves as well."""
        if await self.desk.revision(order.region, order.version) is not None:
            return
        old = await self.revision(order.region, order.content_of) if order.content_of else None
        statement = go_back(
            old,
            region=order.region,
            environment=self.environment,
            version=order.version,
            at=clock.rfc3339(clock.now_us()),
            by=self.by,
            ticket=ticket,
            note=note,
        )
        await self.desk.put_revision(order.region, order.version, self._signed(REVISION, statement))

    async def was_sent(self, region: str, action: str) -> bool:
        """Whether an action of this id stands at the hub."""
        newest = await self._newest_action(region)
        return newest.id == action or await self.desk.action(region, action) is not None

    async def act(self, action: Action) -> None:
        """Send a signed action, behind those of other desks."""
        for _ in range(TRIES_MAX):
            try:
                return await self._act(action)
            except Overtaken:
                continue
        raise Permanent(f"others send actions to {action.region} all the time", hint="try again")

    async def _act(self, action: Action) -> None:
        """First as the newest, which names the one before: an agent finds all that it has missed. A desk that dies before
        the second step is made up for by the next one. Raises `Overtaken`.
        """
        found = await self.desk.newest_action(action.region)
        last = _NO_ACTION if found is None else self._ours(found.data, ACTION, Action, action.region)
        if found is not None:
            with suppress(Overtaken):
                await self.desk.put_action(action.region, last.id, found.data)
        document = self._signed(ACTION, msgspec.structs.replace(action, previous=last.id))
        await self.desk.put_newest_action(action.region, document, after=0 if found is None else found.seq)
        with suppress(Overtaken):
            await self.desk.put_action(action.region, action.id, document)
        await self.desk.poke(action.region)

    async def _newest_action(self, region: str) -> Action:
        found = await self.desk.newest_action(region)
        return _NO_ACTION if found is None else self._ours(found.data, ACTION, Action, region)

    async def result(self, region: str, action: str) -> Result | None:
        """What came of an action. Raises `Refused` when the region's key has not signed it."""
        found, key = await self.desk.result(region, action), self.folder.region_keys.get(region)
        if found is None:
            return None
        keys = [] if key is None else [key]
        return signing.read(found.data, RESULT, Result, keys=keys, environment=self.environment, region=region)

    # ------------------------------------------------------------ the audit

    async def standing(self) -> Standing:
        """Raises `Refused` when the audit's end, or the newest rollout, was not signed by a release key."""
        end = await self.desk.audit_end()
        newest = await self.desk.audit_end("rollout")
        link = audit.Link()
        if end is not None:
            link = audit.end_at(end.data, keys=self.folder.release_keys, environment=self.environment)
        rollout = None
        if newest is not None:
            change = audit.open_change(newest.data, keys=self.folder.release_keys, environment=self.environment)
            rollout = msgspec.convert(change.detail["rollout"], Rollout, strict=False)
        return Standing(rollout, link, 0 if end is None else end.seq)

    async def write_down(self, standing: Standing, what: str, detail: Mapping[str, Any], *, ticket: str = "") -> None:
        """The next record of the audit, right behind what was read. Raises `Overtaken`."""
        at = clock.rfc3339(clock.now_us())
        change: Change = audit.follow_up(
            standing.link,
            what,
            environment=self.environment,
            at=at,
            by=self.by,
            ticket=ticket,
            detail=dict(detail),
        )
        await self.desk.append_audit(what.partition(".")[0], self._signed(CHANGE, change), after=standing.seq)

    async def note(self, what: str, detail: Mapping[str, Any], *, ticket: str = "") -> None:
        """A record that depends on nothing before it."""
        for _ in range(TRIES_MAX):
            try:
                return await self.write_down(await self.standing(), what, detail, ticket=ticket)
            except Overtaken:
                continue
        raise Permanent("the audit is being written by others all the time", hint="try again")

    def _signed(self, kind: str, statement: Any) -> bytes:
        if self._key is None:
            raise Refused("nothing can be signed here: the release key was not opened")
        return signing.sign(self._key, kind, statement)


def _us(text: str) -> int:
    """Microseconds since 1970 of an RFC 3339 instant; 0 for one that cannot be read."""
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1_000_000)
    except ValueError:
        return 0
