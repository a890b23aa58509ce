"""Headquarters under the test's control: its keys, what it signs and publishes on a real hub, what it hears back."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Self

import msgspec
import nats
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from runtime.fleet import signing
from runtime.fleet.documents import PRESENCE, REVISION, STATUS, TIMESTAMP, Presence, Revision, Status, Timestamp
from runtime.identity import Identity, parse_public_key
from sync import fleet_names as names
from tests.support.region import Region, until

REGION = "eu-de"
HOUR_SECONDS = 3_600.0


def new_key() -> Identity:
    return Identity(Ed25519PrivateKey.generate(), b"")


def public(key: Identity) -> str:
    """As `[fleet]` names it."""
    return base64.b64encode(key.public_key).decode()


def at(seconds: float = 0.0) -> str:
    """An instant so many seconds from now."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def revision(
    version: int,
    settings: dict[str, Any] | None = None,
    files: dict[str, bytes] | None = None,
    *,
    environment: str = "test",
    region: str = REGION,
) -> Revision:
    return Revision(
        environment=environment,
        region=region,
        issued_at=at(),
        version=version,
        settings=settings or {},
        files={name: sha256(content).hexdigest() for name, content in (files or {}).items()},
        provenance={"gateway": "group/de"},
        by="ada",
        ticket="CHG-1",
    )


def timestamp(
    version: int, document: bytes, *, seconds: float = HOUR_SECONDS, environment: str = "test", region: str = REGION
) -> Timestamp:
    return Timestamp(
        environment=environment,
        region=region,
        issued_at=at(),
        version=version,
        revision=signing.digest(document),
        expires_at=at(seconds),
    )


class Headquarters:
    """One key of the release role, one of the region, and a hub."""

    def __init__(self, url: str, **login: str) -> None:
        self.url, self._login = url, login
        self.release, self.regional = new_key(), new_key()

    def table(self, **more: float) -> str:
        """`[fleet]` for a region that trusts these keys; fast, so that a test need not wait."""
        settings = {"poll_seconds": 0.5, "presence_seconds": 0.5, "soak_seconds": 0.5, "intake_seconds_max": 1.0} | more
        rows = "\n".join(f"{key} = {value}" for key, value in settings.items())
        keys = f'release_keys = ["{public(self.release)}"]\nregion_keys = ["{public(self.regional)}"]'
        return f'\n[fleet]\n{keys}\nlabels = {{ country = "DE" }}\n{rows}\n'

    async def __aenter__(self) -> Self:
        self._connection = await nats.connect(
            self.url, max_reconnect_attempts=-1, reconnect_time_wait=0.1, **self._login
        )
        self._stream = self._connection.jetstream()
        await self.make_streams()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connection.close()

    async def make_streams(self) -> None:
        for name, subjects in (
            (names.CONFIG_STREAM, names.CONFIG_SUBJECTS),
            (names.STATE_STREAM, names.STATE_SUBJECTS),
        ):
            await self._stream.add_stream(name=name, subjects=[subjects], allow_direct=True, max_msgs_per_subject=1)

    # ------------------------------------------------------------ what it says

    async def publish(
        self,
        version: int,
        settings: dict[str, Any] | None = None,
        files: dict[str, bytes] | None = None,
        *,
        signer: Identity | None = None,
        **about: Any,
    ) -> bytes:
        """Files, revision, timestamp, poke; returns the revision's document."""
        for content in (files or {}).values():
            await self.put(names.file(REGION, sha256(content).hexdigest()), content)
        document = signing.sign(signer or self.release, REVISION, revision(version, settings, files, **about))
        await self.put(names.revision(REGION, version), document)
        await self.stamp(version, document)
        return document

    async def stamp(
        self, version: int, document: bytes, *, signer: Identity | None = None, seconds: float = HOUR_SECONDS
    ) -> None:
        """Say that this is the newest, and poke."""
        said = timestamp(version, document, seconds=seconds)
        await self.put(names.timestamp(REGION), signing.sign(signer or self.release, TIMESTAMP, said))
        await self._connection.publish(names.poke(REGION))

    async def put(self, subject: str, content: bytes) -> None:
        await self._stream.publish(subject, content)

    # ------------------------------------------------------------ what it hears

    async def status(self, region: Region) -> Status | None:
        """The newest, if the region's own key has signed it."""
        found = await self._newest(names.status(REGION))
        return None if found is None else self._read(region, found, STATUS, Status)

    async def presence(self, region: Region) -> Presence | None:
        found = await self._newest(names.presence(REGION))
        return None if found is None else self._read(region, found, PRESENCE, Presence)

    async def staged(self, region: Region, stage: str, version: int | None = None, reason: str = "") -> Status:
        """The status once it says this."""
        last: list[Status | None] = [None]

        async def is_so() -> Status | None:
            last[0] = now = await self.status(region)
            right = now is not None and now.stage == stage and version in (None, now.version) and reason in now.reason
            return now if right else None

        try:
            found = await until(is_so, f"{stage} {version}")
        except AssertionError:
            raise AssertionError(f"not {stage} {version} {reason!r} but {last[0]}; {region.log[-1500:]}") from None
        assert isinstance(found, Status)
        return found

    async def _newest(self, subject: str) -> bytes | None:
        stream = names.STATE_STREAM
        try:
            return (await self._stream.get_last_msg(stream, subject)).data
        except nats.js.errors.NotFoundError:
            return None

    @staticmethod
    def _read(region: Region, document: bytes, kind: str, type_: type[Any]) -> Any:
        key = parse_public_key(region.public_key.read_text())
        return signing.read(document, kind, type_, keys=[key], environment="test", region=REGION)


def statement(document: bytes) -> dict[str, Any]:
    """What a signed document says, unchecked."""
    return dict(msgspec.json.decode(msgspec.json.decode(document)["statement"]))
