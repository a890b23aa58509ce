"""Asks a REST interface to take each event, and judges its answer as the settings say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from adapters.http_target.answers import judge
from adapters.http_target.request import Writer, check_auth, compile_templates, login_headers
from adapters.http_target.settings import HttpTargetSettings
from adapters.sdk.outbound import Door, open_door, read_door, wanted, warnings
from adapters.sdk.renderings import read_rendering, rendering_files
from runtime.errors import ConfigError
from runtime.ports import Delivered, Delivery, TargetContext


class HttpTarget:
    """One REST interface."""

    def __init__(self, settings: HttpTargetSettings, door: Door, writer: Writer, context: TargetContext) -> None:
        self.idempotent = _idempotent(settings)
        self._settings = settings
        self._door = door
        self._writer = writer
        self._now_us = context.now_us
        self._client = open_door(door, settings, context)

    def wants(self, type: str, attributes: Mapping[str, str]) -> bool:
        """See `runtime.ports.Target`."""
        return wanted(self._door, type, attributes)

    async def deliver(self, delivery: Delivery) -> Delivered:
        """See `runtime.ports.Target`; `Permanent` also for an event that lacks what a template needs."""
        asked = self._writer.write(delivery)
        answer = await self._client.send(
            self._settings.method,
            asked.target,
            headers=asked.headers,
            body=asked.body,
            answer_bytes_max=self._settings.answer_bytes_max,
        )
        return judge(answer, self._settings, self._door.origin, self._now_us)

    async def close(self) -> None:
        await self._client.close()


class HttpTargets:
    """The entry object `http`."""

    name = "http"
    settings = HttpTargetSettings

    def target(self, settings: HttpTargetSettings, context: TargetContext) -> HttpTarget:
        """Raises `ConfigError` for an address, a template, a rendering or a secret that cannot be used."""
        door = _checked(settings)
        rendering = read_rendering(settings.rendering, context.directory) if settings.rendering else None
        login = login_headers(settings.auth, context.secret)
        writer = Writer(settings, compile_templates(settings, door), rendering, login, context.region)
        return HttpTarget(settings, door, writer, context)

    def files(self, settings: HttpTargetSettings, directory: str) -> Sequence[str]:
        """What the settings name and `target` reads: a change in one of them changes the target. Blocking; raises `ConfigError`."""
        return rendering_files(settings.rendering, directory) + (
            [str(Path(directory) / settings.ca_file)] if settings.ca_file else []
        )

    def check(self, settings: HttpTargetSettings, *, loopback: bool) -> Sequence[str]:
        """Raises `ConfigError` for what cannot work; the files that it names are read by `target`."""
        door = _checked(settings)
        compile_templates(settings, door)
        found = warnings(settings, door)
        if not _idempotent(settings):
            found.append(
                "it may be asked twice for one event: name idempotency_header if it knows one,"
                " or say repeats_are_harmless = true if that changes nothing"
            )
        if settings.auth is not None and door.origin.plain:
            found.append("its credential travels without TLS")
        return found


def _idempotent(settings: HttpTargetSettings) -> bool:
    return settings.idempotency_header is not None or settings.repeats_are_harmless


def _checked(settings: HttpTargetSettings) -> Door:
    door = read_door(settings)
    check_auth(settings.auth)
    meanings: dict[int, str] = {}
    for name in ("expected", "done", "later", "gone"):
        for status in getattr(settings, name):
            if status in meanings and "later" not in (name, meanings[status]):
                raise ConfigError(f"{status} stands in {meanings[status]} and in {name}")
            meanings.setdefault(status, name)
    if settings.rendering and settings.content == "none":
        raise ConfigError('content = "none" and a rendering exclude each other')
    return door
