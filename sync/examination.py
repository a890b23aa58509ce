"""Looks at the hub as this region meets it: names, certificates, permissions, streams. Stores nothing there.

A probe is a publish that no stream can take, because it expects another stream: it shows what the user may do.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import anyio
from cryptography.x509 import load_pem_x509_certificate
from msgspec.structs import replace

from runtime import record
from runtime.errors import EntrepotError
from runtime.ports import Finding, Scope
from sync import permissions, profile, stream, topology
from sync.access import Access
from sync.channel import HubAway
from sync.connection import Connection, address, connect
from sync.settings import HubSettings

NAME_SECONDS_MAX = 5.0
NOBODY = "entrepot-doctor-probe"
"""A region that does not exist, for the question whether this one may write in another's name."""
_IMPOSSIBLE = (
    b"NATS/1.0\r\nNats-Expected-Stream:"
    + NOBODY.upper().encode()
    + b"\r\nNats-Expected-Last-Sequence:9007199254740991\r\n\r\n"
)


class Examination:
    """One look. Connections of its own, closed at the end."""

    def __init__(
        self, settings: HubSettings, scope: Scope, *, refill_hours: int, now_us: int, headquarters: str
    ) -> None:
        self._settings = settings
        self._scope = scope
        self._access = Access(settings, scope)
        self._refill_hours = refill_hours
        self._now = now_us / 1_000_000
        self._headquarters = headquarters
        self._complaints: list[str] = []

    async def findings(self, lanes: Sequence[str]) -> list[Finding]:
        """In the order in which a person would look."""
        return [found async for found in self._look(lanes)]

    async def _look(self, lanes: Sequence[str]) -> AsyncIterator[Finding]:
        for host, port in self._addresses():
            yield Finding("firewall", "ok", f"out: TCP to {host} port {port} (hub)")
        try:
            self._access.options()
            for found in self._own_papers(lanes):
                yield found
        except EntrepotError as error:
            yield Finding("hub", "critical", str(error), error.hint or "correct it in [hub]")
            return
        usable: Connection | None = None
        try:
            for server in self._settings.servers:
                findings, connection = await self._server(server)
                for found in findings:
                    yield found
                if usable is None:
                    usable = connection
                elif connection is not None:
                    connection.close()
            if usable is None:
                yield Finding("hub", "critical", "no server can be reached", "see the rows about its servers")
                return
            yield Finding("hub", "ok", f"reached at {usable.server}")
            for found in await self._inside(usable, lanes):
                yield found
        finally:
            if usable is not None:
                usable.close()

    def _addresses(self) -> list[tuple[str, int]]:
        return [address(server)[1:] for server in self._settings.servers]

    def _own_papers(self, lanes: Sequence[str]) -> list[Finding]:
        """What this region shows to the hub, and when it expires."""
        found: list[Finding] = []
        login = self._access.login
        if login is not None and login.exp:
            found.append(profile.login(login.iat, login.exp, self._now))
            if self._access.credentials_file is None:
                found.append(profile.secret_login())
        if login is not None and login.tags.get("role") == "agent":
            lacks, beyond = permissions.differences(login, permissions.agent(self._scope.region, lanes))
            found.append(profile.subjects(lacks, beyond))
        if self._settings.tls_cert:
            path = Path(self._scope.directory, self._settings.tls_cert)
            ends = load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
            found.append(profile.life("own certificate", ends.timestamp(), self._now))
        return found

    async def _server(self, server: str) -> tuple[list[Finding], Connection | None]:
        """One server: its name, the connection, its certificate."""
        _, host, port = address(server)
        subject = f"hub {host}:{port}"
        try:
            with anyio.fail_after(NAME_SECONDS_MAX):
                addresses = {found[4][0] for found in await anyio.getaddrinfo(host, port)}
        except (OSError, TimeoutError) as error:
            reason = "no answer in time" if isinstance(error, TimeoutError) else str(error.strerror or error)
            step = "correct the name in [hub] servers, or this machine's DNS (`getent hosts` shows what it says)"
            return [Finding(f"DNS {host}", "critical", f"the name cannot be resolved ({reason})", step)], None
        findings = (
            [Finding(f"DNS {host}", "ok", ", ".join(sorted(map(str, addresses))))] if host not in addresses else []
        )
        try:
            connection = await connect(
                server,
                self._access,
                name=f"entrepot doctor {self._scope.region}",
                seconds_max=self._settings.connect_timeout_seconds,
                on_error=self._complaints.append,
            )
        except EntrepotError as error:
            return [*findings, Finding(subject, "critical", str(error), profile.next_step(str(error)))], None
        findings.append(Finding(subject, "ok", f"answers, nats-server {'.'.join(map(str, connection.version))}"))
        return [*findings, self._certificate(subject, host, connection)], connection

    def _certificate(self, subject: str, host: str, connection: Connection) -> Finding:
        shown = connection.certificate()
        if not shown:
            if host in {"localhost", "::1"} or host.startswith("127."):
                return Finding(f"TLS {subject}", "ok", "not used, and the connection does not leave this machine")
            step = "let whoever runs the hub switch TLS on, and write tls:// in [hub] servers"
            return Finding(
                f"TLS {subject}", "warning", "not used: everybody on the way can read and change events", step
            )
        return profile.life(f"TLS {subject}", ssl.cert_time_to_seconds(shown["notAfter"]), self._now)

    async def _inside(self, connection: Connection, lanes: Sequence[str]) -> list[Finding]:
        """Version, permissions and streams, over one connection."""
        found = [profile.version(connection.version)]
        try:
            await connection.settle()
            if any("permissions violation for subscription" in said.lower() for said in self._complaints):
                what = f"hear the hub's answers (it must be allowed to subscribe to {self._access.inboxes})"
                return [*found, profile.permission(what, allowed=False, wanted=True)]
            found += await self._permissions(connection, lanes)
            downlink = await self._downlink(connection) if self._headquarters else []
            found += [*downlink, *await self._streams(connection, lanes)]
        except EntrepotError as error:
            found.append(Finding("hub", "critical", str(error), error.hint or profile.next_step(str(error))))
        return found

    async def _permissions(self, connection: Connection, lanes: Sequence[str]) -> list[Finding]:
        region = self._scope.region
        found = []
        own = [f"{topology.subjects(region, lane)[0].removesuffix('>')}entrepot.probe" for lane in lanes]
        for lane, subject in zip(lanes, own, strict=True):
            allowed = await self._may_publish(connection, subject)
            found.append(profile.permission(f"write events of lane {lane}", allowed=allowed, wanted=True))
        allowed = await self._may_publish(connection, record.checkpoint_subject(region))
        found.append(profile.permission("write checkpoints", allowed=allowed, wanted=True))
        foreign = await self._may_publish(connection, record.event_subject(NOBODY, "realtime", "entrepot.probe"))
        found.append(profile.permission("write events of other regions", allowed=foreign, wanted=False))
        foreign = await self._may_publish(connection, record.checkpoint_subject(NOBODY))
        found.append(profile.permission("write checkpoints of other regions", allowed=foreign, wanted=False))
        return found

    async def _downlink(self, connection: Connection) -> list[Finding]:
        """Reading headquarters' lane for this region, as `downlink` does, and what lies there."""
        lane, theirs = self._scope.region, replace(self._scope, region=self._headquarters)
        name, subject = record.stream_name(theirs.region, lane), record.lane_subjects(theirs.region, lane)
        # Nothing is asked for: a question without words is answered with an error, by whoever may ask it.
        refused = [asks for asks in permissions.reads(name) if not await self._may_publish(connection, asks)]
        found = [profile.reading(name, refused)]
        found.append(profile.hearing(subject, allowed=await self._may_hear(connection, subject)))
        if not refused:
            found.append(await self._headquarters_stream(connection, name, theirs))
        return found

    async def _headquarters_stream(self, connection: Connection, name: str, theirs: Scope) -> Finding:
        try:
            info = await stream.info(connection, name)
        except HubAway as error:
            return Finding(f"stream {name}", "critical", str(error), profile.ASK_THE_HUB)
        wrong = "" if info is None else topology.wrong(info.config, theirs, self._scope.region)
        return profile.headquarters_stream(name, info, wrong=wrong)

    async def _may_hear(self, connection: Connection, subject: str) -> bool:
        """Whether the server lets this user listen there."""
        self._complaints.clear()
        (await connection.listen(subject, lambda *_: None))()
        await connection.settle()
        return not self._refused(subject)

    async def _may_publish(self, connection: Connection, subject: str) -> bool:
        """Whether the server lets this user write there; nothing is stored, whatever it says."""
        self._complaints.clear()
        reply, size = connection.inbox(), len(_IMPOSSIBLE)
        await connection.write(
            b"HPUB %b %b %d %d\r\n%b\r\n" % (subject.encode(), reply.encode(), size, size, _IMPOSSIBLE)
        )
        await connection.settle()
        return not self._refused(subject)

    def _refused(self, subject: str) -> bool:
        """Whether the server has said no to this subject since its words were last forgotten."""
        said = [complaint.lower() for complaint in self._complaints]
        return any("permissions violation" in words and f'"{subject.lower()}"' in words for words in said)

    async def _streams(self, connection: Connection, lanes: Sequence[str]) -> list[Finding]:
        scope, found, infos = self._scope, [], []
        for lane in [*lanes, record.CHECKPOINTS_LANE]:
            name = record.stream_name(scope.region, lane)
            try:
                info = await stream.info(connection, name)
            except HubAway as error:
                what = f"read the state of stream {name} ({error})"
                found.append(profile.permission(what, allowed=False, wanted=True))
                continue
            wrong = "" if info is None else topology.wrong(info.config, scope, lane)
            found.append(
                profile.stream(name, info, wrong=wrong, server=connection.version, refill_hours=self._refill_hours)
            )
            if info is not None:
                infos.append(info)
        return [*found, profile.synced(infos, scope.environment)] if infos else found
