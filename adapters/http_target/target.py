"""Asks a REST interface to take each event, and judges its answer as the settings say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from adapters.http_target.answers import judge
from adapters.http_target.login import read_login
from adapters.http_target.request import Asked, Writer, compile_templates
from adapters.http_target.settings import HttpTargetSettings
from adapters.sdk.credentials import Credentials
from adapters.sdk.login import Login, token_pin
from adapters.sdk.outbound import Door, TokenDoor, open_door, read_door, wanted, warnings
from adapters.sdk.renderings import read_rendering, rendering_files
from runtime.errors import ConfigError, Permanent, Retryable
from runtime.outgoing import Answer
from runtime.ports import Delivered, Delivery, TargetContext

NO_TOKEN_SECONDS = 60.0
"""How long the target rests when it is refused a token: somebody has to change something first."""


class HttpTarget:
    """One REST interface."""

    def __init__(
        self, settings: HttpTargetSettings, door: Door, login: Login, writer: Writer, context: TargetContext
    ) -> None:
        """Raises `ConfigError` for a secret or a `ca_file` that cannot be used."""
        self.idempotent = _idempotent(settings)
        self._settings = settings
        self._door = door
        self._writer = writer
        self._now_us = context.now_us
        self._client = open_door(door, settings, context)
        self._tokens = (
            TokenDoor(token_pin(login, door.reach, table="auth"), settings, context) if login.token_url else None
        )
        self._credentials = Credentials(login, self._tokens, context.secret, context.now_us)

    def wants(self, type: str, attributes: Mapping[str, str]) -> bool:
        """See `runtime.ports.Target`."""
        return wanted(self._door, type, attributes)

    async def deliver(self, delivery: Delivery) -> Delivered:
        """See `runtime.ports.Target`; `Permanent` also for an event that lacks what a template needs."""
        asked = self._writer.write(delivery)
        try:
            answer = await self._credentials.prove(partial(self._send, asked))
        except Permanent as error:
            # Our login is no fault of this delivery: it waits, and whoever gives tokens is not asked for each one.
            raise Retryable(str(error), hint=error.hint, after_seconds=NO_TOKEN_SECONDS) from None
        return judge(answer, self._settings, self._door.origin, self._now_us)

    async def _send(self, asked: Asked, login: dict[str, str]) -> Answer:
        return await self._client.send(
            self._settings.method,
            asked.target,
            headers={**asked.headers, **login},
            body=asked.body,
            answer_bytes_max=self._settings.answer_bytes_max,
        )

    async def close(self) -> None:
        await self._client.close()
        if self._tokens is not None:
            await self._tokens.close()


class HttpTargets:
    """The entry object `http`."""

    name = "http"
    settings = HttpTargetSettings

    def target(self, settings: HttpTargetSettings, context: TargetContext) -> HttpTarget:
        """Raises `ConfigError` for an address, a template, a rendering or a secret that cannot be used."""
        door, login = _checked(settings)
        rendering = read_rendering(settings.rendering, context.directory) if settings.rendering else None
        writer = Writer(settings, compile_templates(settings, door), rendering, context.region)
        return HttpTarget(settings, door, login, writer, context)

    def files(self, settings: HttpTargetSettings, directory: str) -> Sequence[str]:
        """What the settings name and `target` reads: a change in one of them changes the target. Blocking; raises `ConfigError`."""
        return rendering_files(settings.rendering, directory) + (
            [str(Path(directory) / settings.ca_file)] if settings.ca_file else []
        )

    def check(self, settings: HttpTargetSettings, *, loopback: bool) -> Sequence[str]:
        """Raises `ConfigError` for what cannot work; the files that it names are read by `target`."""
        door, _ = _checked(settings)
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


def _checked(settings: HttpTargetSettings) -> tuple[Door, Login]:
    door = read_door(settings)
    login = read_login(settings.auth, door.reach)
    meanings: dict[int, str] = {}
    for name in ("expected", "done", "later", "gone"):
        for status in getattr(settings, name):
            if status in meanings and "later" not in (name, meanings[status]):
                raise ConfigError(f"{status} stands in {meanings[status]} and in {name}")
            meanings.setdefault(status, name)
    if settings.rendering and settings.content == "none":
        raise ConfigError('content = "none" and a rendering exclude each other')
    return door, login
