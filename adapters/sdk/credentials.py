"""How we prove who we are to a partner: a secret as it is, or a token that is fetched, kept, and renewed in time."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from copy import copy
from typing import Protocol, TypeVar
from urllib.parse import quote_plus

import anyio

from adapters.sdk.answers import Answer
from adapters.sdk.login import Login
from adapters.sdk.tokens import read_token
from runtime.errors import ConfigError, EntrepotError, Retryable

RENEW_SHARE = 0.8
"""A token is renewed when so much of its time is over."""
AGAIN_SECONDS_MIN = 5.0
"""A renewal that fails is tried again not sooner than this, as long as the token that we have still holds."""
UNAUTHORIZED = 401


class TokenServer(Protocol):
    """A client of whoever gives tokens; `adapters.sdk.partner.Partner` is one."""

    async def ask(self, url: str, headers: Mapping[str, str], *, form: Mapping[str, str]) -> Answer:
        """POST the form. Any status is an answer. Raises `Retryable`, `Permanent`, `Refused`."""
        ...


class Judged(Protocol):
    """An answer of the partner, as far as it is looked at here."""

    @property
    def status(self) -> int: ...


Said = TypeVar("Said", bound=Judged)


class Credentials:
    """Of one login. One token serves all who ask at once, and one failure to get one is theirs together."""

    def __init__(
        self,
        login: Login,
        tokens: TokenServer | None,
        secret: Callable[[str], bytes],
        now_us: Callable[[], int],
        now: Callable[[], float] = anyio.current_time,
    ) -> None:
        """`now`: monotonic seconds, so that no clock misleads it.

        Raises `ConfigError` when the secret is missing or cannot stand in a header.
        """
        self._login = login
        self._tokens = tokens
        self._now_us = now_us
        self._now = now
        self._secret = _text(login.secret, secret)
        self._refresh = _text(login.refresh, secret)
        self._token = ""
        self._renew_at = 0.0
        self._ends_at = 0.0
        self._turn = anyio.Lock()
        self._failures = 0
        self._failure: EntrepotError | None = None

    async def prove(self, ask: Callable[[dict[str, str]], Awaitable[Said]]) -> Said:
        """Ask with what proves who we are; once more with a new token if the one we have is not taken any more.

        Raises what `ask` raises; `Retryable` or `Permanent` when no token is to be had.
        """
        login = await self._headers()
        said = await ask(login)
        if said.status == UNAUTHORIZED and self._forget(login):
            said = await ask(await self._headers())
        return said

    async def _headers(self) -> dict[str, str]:
        login = self._login
        if login.kind == "bearer":
            return {"Authorization": f"Bearer {self._secret}"}
        if login.kind == "basic":
            return {"Authorization": _basic(login.user, self._secret)}
        if login.kind == "header" and login.header:
            return {login.header: self._secret}
        if self._tokens is None:
            return {}
        failures = self._failures
        async with self._turn:
            if not self._token or self._now() >= self._renew_at:
                if self._failure is not None and self._failures != failures:
                    raise copy(self._failure)  # whoever was before us in the queue has just been told
                await self._renew(self._tokens)
            return self._dressed()

    def _dressed(self) -> dict[str, str]:
        header = self._login.header
        return {header: self._token} if header else {"Authorization": f"Bearer {self._token}"}

    def _forget(self, login: dict[str, str]) -> bool:
        """The partner does not take this any more: whether there is, or can be had, another one."""
        if self._tokens is not None and login == self._dressed():  # else somebody has renewed it meanwhile
            self._token, self._ends_at = "", 0.0
        return self._tokens is not None

    async def _renew(self, tokens: TokenServer) -> None:
        asked = self._now()
        try:
            headers, form = self._question()
            answer = await tokens.ask(self._login.token_url, headers, form=form)
            token = read_token(answer, self._login, self._now_us())
        except EntrepotError as error:
            left = self._ends_at - self._now()
            if isinstance(error, Retryable) and self._token and left > AGAIN_SECONDS_MIN:
                self._renew_at = self._now() + max(AGAIN_SECONDS_MIN, left / 2)
                return
            self._failures += 1
            self._failure = copy(error)  # without the frames that led there: they hold secrets
            raise
        self._token = token.access_token
        self._renew_at, self._ends_at = asked + token.seconds * RENEW_SHARE, asked + token.seconds

    def _question(self) -> tuple[dict[str, str], dict[str, str]]:
        """Headers and form that ask for a token: RFC 6749, 4.4.2, or 6 with a refresh token."""
        login = self._login
        form = {"grant_type": "client_credentials"}
        if self._refresh:
            form = {"grant_type": "refresh_token", "refresh_token": self._refresh}
        form |= {"scope": login.scope, "audience": login.audience}
        headers = {"Accept": "application/json"}
        if login.send == "basic":
            # Each encoded for itself: RFC 6749, 2.3.1.
            headers["Authorization"] = _basic(quote_plus(login.client_id), quote_plus(self._secret))
        else:
            form |= {"client_id": login.client_id, "client_secret": self._secret}
        return headers, {name: value for name, value in form.items() if value}


def _text(name: str, secret: Callable[[str], bytes]) -> str:
    if not name:
        return ""
    try:
        text = secret(name).decode("ascii").strip()
    except UnicodeDecodeError:
        text = ""
    if not text.isprintable() or not text:
        raise ConfigError(
            f"{name} is empty or holds what cannot stand in a header", hint="write it as plain ASCII text"
        )
    return text


def _basic(user: str, password: str) -> str:
    """RFC 7617."""
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode("ascii")
