"""A partner's HTTP interface on loopback, with faults: records what comes, answers as told, and plays the foreign
system of `adapters.sdk.target_conformance`."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import anyio
from aiohttp import web

KEYS = ("webhook-id", "idempotency-key")


class Received(NamedTuple):
    """One request."""

    method: str
    target: str
    """Path and query as they came."""
    headers: Mapping[str, str]
    body: bytes


class Receiver:
    """`answers` are given one after the other, then `usual`. An answer is (status, headers, body)."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.usual: tuple[int, dict[str, str], bytes] = (200, {}, b"")
        self.url = ""
        self.path = "/hook"
        self.guard: Callable[[Mapping[str, str]], bool] = lambda _headers: True
        """Whom it lets in; the others get a 401."""
        self._fault: str | None = None
        self._reached = anyio.Event()
        self._let_go = anyio.Event()

    # ------------------------------------------------------------ the foreign system of the suite

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"url": self.url + self.path, "allow_private": True}

    def effects(self) -> Sequence[str]:
        """One for each idempotency key that was taken."""
        found = [next((r.headers[name] for name in KEYS if name in r.headers), str(at)) for at, r in self._taken()]
        return list(dict.fromkeys(found))

    def fault(self, fault: str | None) -> None:
        self._fault = fault
        if fault is None:
            self._let_go.set()

    async def reached(self) -> None:
        await self._reached.wait()

    # ------------------------------------------------------------ the server

    def _taken(self) -> list[tuple[int, Received]]:
        return [(at, each) for at, each in enumerate(self.received) if at not in self._not_taken]

    _not_taken: frozenset[int] = frozenset()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        fault = self._fault
        if fault == "away":
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        body = await request.read()
        self.received.append(Received(request.method, request.path_qs, request.headers, body))
        if not self.guard(request.headers):
            self._not_taken |= {len(self.received) - 1}
            return web.Response(status=401)
        status, headers, answer = self.answers.pop(0) if self.answers else self.usual
        if fault == "hangs":
            self._reached.set()
            await self._let_go.wait()
        if fault is not None:
            status = {"failing": 503, "refuses": 422, "gone": 410}.get(fault, status)
            headers = {"Retry-After": "7"} if fault == "failing" else {}
        if not 200 <= status < 300:
            self._not_taken |= {len(self.received) - 1}
        return web.Response(status=status, headers=headers, body=answer)


@asynccontextmanager
async def receiver(*, context: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> AsyncIterator[Receiver]:
    """A running one. `context`: it speaks TLS."""
    found = Receiver()
    runner = web.ServerRunner(web.Server(found.handle), handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, 0, ssl_context=context)
        await site.start()
        port = runner.addresses[0][1]
        shown = f"[{host}]" if ":" in host else host
        found.url = f"{'https' if context else 'http'}://{shown}:{port}"
        yield found
    finally:
        await runner.cleanup()
