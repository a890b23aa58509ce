"""Whoever gives tokens (RFC 6749, 4.4 and 6), as a server on loopback, and an interface that takes nothing without one."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal
from urllib.parse import unquote_plus

import anyio
from aiohttp import web

from adapters.sdk.target_conformance import Fault
from tests.support.receivers import Receiver, receiver

CLIENT_ID = "entrepot eu-de"
SECRET = b"cl1ent+s3cret/of=the%region"
SECRET_NAME = "secret://client"


class TokenServer:
    """It knows one client. `answers` (status, headers, body) come first, one a question."""

    def __init__(self) -> None:
        self.url = ""
        self.secret = SECRET.decode()
        self.scope = ""
        self.seconds: Any = 3_600
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.asked: list[dict[str, str]] = []
        """The forms, with the headers `Authorization` and `Content-Type` of each."""
        self.given: list[str] = []
        self.held: anyio.Event | None = None
        """Nothing is answered before it is set."""
        self._valid: set[str] = set()
        self._fault: Fault | None = None
        self._came = anyio.Event()

    @property
    def auth(self) -> dict[str, Any]:
        """`auth` of a target that gets its tokens here."""
        return {"token_url": f"{self.url}/oauth2/v2.0/token", "client_id": CLIENT_ID, "secret": SECRET_NAME}

    def takes(self, headers: Mapping[str, str]) -> bool:
        """Whether a request shows a token that was given and holds."""
        return headers.get("Authorization", "").removeprefix("Bearer ") in self._valid

    def revoke(self) -> None:
        """Every token that was given ends."""
        self._valid.clear()

    def fault(self, fault: Fault | None) -> None:
        """As `adapters.sdk.target_conformance.Foreign`."""
        self._fault = fault
        if fault == "hangs":
            self.held = anyio.Event()
        elif self.held is not None:
            self.held.set()

    async def reached(self, count: int = 1) -> None:
        """Return once so many questions have come."""
        while len(self.asked) < count:
            await self._came.wait()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if self._fault == "away":
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        form = {name: str(value) for name, value in (await request.post()).items()}
        named = {name: request.headers.get(name, "") for name in ("Authorization", "Content-Type")}
        self.asked.append(form | named)
        self._came.set()
        self._came = anyio.Event()
        if self.held is not None:
            await self.held.wait()
        if self._fault == "failing":
            return web.Response(status=503, headers={"Retry-After": "7"})
        if self.answers:
            status, headers, body = self.answers.pop(0)
            return web.Response(status=status, headers=headers, body=body)
        return self._answer(request, form)

    def _answer(self, request: web.Request, form: Mapping[str, str]) -> web.Response:
        if (request.method, request.path) != ("POST", "/oauth2/v2.0/token"):
            return web.Response(status=404)
        if self._client(request, form) != (CLIENT_ID, self.secret):
            said = {"error": "invalid_client", "error_description": f"{SECRET.decode()} is wrong for Ingeborg"}
            return web.json_response(said, status=401)
        if form.get("scope", "") != self.scope:
            return web.json_response({"error": "invalid_scope"}, status=400)
        token = f"tok-{len(self.given) + 1}-{'x' * 1_200}"
        self.given.append(token)
        self._valid.add(token)
        return web.json_response({"access_token": token, "token_type": "Bearer", "expires_in": self.seconds})

    def _client(self, request: web.Request, form: Mapping[str, str]) -> tuple[str, str]:
        """RFC 6749, 2.3.1: in the header, each part encoded for itself, or in the form."""
        kind, _, pair = request.headers.get("Authorization", "").partition(" ")
        if kind != "Basic":
            return form.get("client_id", ""), form.get("client_secret", "")
        user, _, password = b64decode(pair).decode().partition(":")
        return unquote_plus(user), unquote_plus(password)


@asynccontextmanager
async def token_server() -> AsyncIterator[TokenServer]:
    """A running one on a free port."""
    served = TokenServer()
    runner = web.ServerRunner(web.Server(served.handle), handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        served.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield served
    finally:
        await runner.cleanup()


class Guarded:
    """An interface with a token server before it: the foreign system of the suite. `ill`: which of the two has the faults."""

    def __init__(self, api: Receiver, tokens: TokenServer, ill: Literal["api", "tokens"]) -> None:
        self.api, self.tokens = api, tokens
        self._ill: Receiver | TokenServer = api if ill == "api" else tokens
        api.guard = tokens.takes

    @property
    def settings(self) -> Mapping[str, Any]:
        return {**self.api.settings, "auth": self.tokens.auth}

    def effects(self) -> Sequence[str]:
        return self.api.effects()

    def fault(self, fault: Fault | None) -> None:
        self._ill.fault(fault)

    async def reached(self) -> None:
        await self._ill.reached()


@asynccontextmanager
async def guarded(ill: Literal["api", "tokens"] = "api") -> AsyncIterator[Guarded]:
    """Both, running."""
    async with token_server() as tokens, receiver() as api:
        yield Guarded(api, tokens, ill)
