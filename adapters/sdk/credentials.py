"""How we prove who we are to a partner: a secret as it is, or a token that is fetched, kept, and renewed in time."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

import anyio
import msgspec
from msgspec import Struct

from adapters.sdk import answers
from adapters.sdk.fetching import Fetching
from adapters.sdk.partner import Partner
from adapters.sdk.pin import pin
from runtime.errors import ConfigError, Permanent, Retryable

TOKEN_BYTES_MAX = 65_536
TOKEN_SECONDS = 300.0
"""How long a token is taken to hold that does not say so."""
RENEW_SHARE = 0.8
"""A token is renewed when so much of its time is over."""


class Token(Struct, frozen=True):
    """RFC 6749, 5.1. Some partners write the seconds as text."""

    access_token: str
    expires_in: float | str = TOKEN_SECONDS

    @property
    def seconds(self) -> float:
        try:
            return max(0.0, float(self.expires_in))
        except ValueError:
            return TOKEN_SECONDS


class Credentials:
    """Use it as an async context, as its partner. `now`: monotonic seconds, so that no clock misleads it."""

    def __init__(self, settings: Fetching, secret: Callable[[str], bytes], now: Callable[[], float]) -> None:
        """Raises `ConfigError` when the secret is missing or cannot stand in a header."""
        self._login = settings.login
        self._now = now
        self._secret = _text(settings.login.secret, secret)
        self._refresh = _text(settings.login.refresh, secret)
        self._partner: Partner | None = None
        if settings.login.kind == "oauth2":
            place = pin(settings.login.token_url, settings.networks)
            self._partner = Partner(place, seconds_max=settings.request_seconds_max, bytes_max=TOKEN_BYTES_MAX)
        self._token = ""
        self._renew_at = 0.0
        self._turn = anyio.Lock()
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        if self._partner is not None:
            await self._open.enter_async_context(self._partner)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()

    async def headers(self) -> dict[str, str]:
        """What goes with a request. Raises `Retryable` or `Permanent` when no token is to be had."""
        login = self._login
        if login.kind == "bearer":
            return {"Authorization": f"Bearer {self._secret}"}
        if login.kind == "basic":
            return {"Authorization": _basic(login.user, self._secret)}
        if login.kind == "header" and login.header:
            return {login.header: self._secret}
        if self._partner is None:
            return {}
        async with self._turn:
            if not self._token or self._now() >= self._renew_at:
                await self._renew(self._partner)
            return {login.header: self._token} if login.header else {"Authorization": f"Bearer {self._token}"}

    def forget(self) -> bool:
        """The partner does not take the token: whether another one can be had."""
        self._token = ""
        return self._partner is not None

    async def _renew(self, partner: Partner) -> None:
        login = self._login
        grant = {"grant_type": "client_credentials"}
        if self._refresh:
            grant = {"grant_type": "refresh_token", "refresh_token": self._refresh}
        form = grant | {"scope": login.scope, "audience": login.audience}
        headers = {"Accept": "application/json"}
        if login.send == "basic":
            headers["Authorization"] = _basic(login.client_id, self._secret)
        else:
            form |= {"client_id": login.client_id, "client_secret": self._secret}
        asked = self._now()
        form = {name: value for name, value in form.items() if value}
        answer = await partner.ask(login.token_url, headers, form=form)
        if answer.status in {400, *answers.OUR_LOGIN}:
            raise Permanent(
                f"{partner.pin.origin} gives no token ({answer.status})", hint="look at client_id, secret and scope"
            )
        answers.judge(answer, str(partner.pin.origin), 0)
        try:
            token = msgspec.json.decode(answer.body, type=Token)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            raise Retryable(f"{partner.pin.origin} answered with something that is no token") from None
        if not token.access_token.isascii() or not token.access_token.isprintable():
            raise Retryable(f"{partner.pin.origin} answered with a token that cannot stand in a header")
        self._token, self._renew_at = token.access_token, asked + token.seconds * RENEW_SHARE


def _text(name: str, secret: Callable[[str], bytes]) -> str:
    if not name:
        return ""
    try:
        text = secret(name).decode("ascii")
    except UnicodeDecodeError:
        text = "\0"
    if not text.isprintable() or not text:
        raise ConfigError(f"{name} holds what cannot stand in a header", hint="write it as plain ASCII text")
    return text


def _basic(user: str, password: str) -> str:
    """RFC 7617."""
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode("ascii")
