"""A partner with an API that a source asks: pages, validators, tokens, and every fault that a test wants, on loopback."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any

import anyio
from aiohttp import web
from msgspec import Struct

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Asked(Struct, frozen=True):
    """One request as it came."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]


def answer(status: int = 200, body: bytes = b"{}", **headers: str) -> Handler:
    """Says the same whatever is asked; `_` in header names stands for `-`."""

    async def handler(_request: web.Request) -> web.Response:
        named = {"content-type": "application/json"} | {n.replace("_", "-"): v for n, v in headers.items()}
        return web.Response(status=status, body=body, headers=named)

    return handler


def item(number: int, at: str | None = None, **more: Any) -> dict[str, Any]:
    """The n-th item of the partner, changed at the n-th second unless said otherwise."""
    return {
        "id": f"s-{number}",
        "n": number,
        "updated_at": at or f"2026-03-01T00:{number // 60:02}:{number % 60:02}Z",
        **more,
    }


class Partner:
    """`items` are given in their order, `page_items_max` at a time; what stands in `faults` comes first."""

    def __init__(self) -> None:
        self.url = ""
        self.items: list[dict[str, Any]] = []
        self.page_items_max = 3
        self.by = "link"
        self.faults: deque[Handler | None] = deque()
        """One a request; None: this request is answered as it should be."""
        self.asked: list[Asked] = []
        self.documents: dict[str, Handler] = {}
        """Answers by path."""
        self.tokens: list[dict[str, str]] = []
        """The forms that tokens were asked with."""
        self.token_seconds: Any = 3_600
        self.wants_token = False
        self.etag = True
        self.headers: dict[str, str] = {}
        self.before_page: Callable[[], None] = lambda: None
        self._news = anyio.Event()

    async def asks(self, count: int) -> None:
        """Return once so many requests (but for tokens) have come."""
        while len(self.asked) < count:
            await self._news.wait()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/token":
            return await self._token(request)
        self.asked.append(Asked(request.path, dict(request.query), dict(request.headers)))
        self._news.set()
        self._news = anyio.Event()
        fault = self.faults.popleft() if self.faults else None
        if fault is not None:
            return await fault(request)
        if self.wants_token and request.headers.get("Authorization") != f"Bearer t-{len(self.tokens)}":
            return web.Response(status=401)
        if request.path in self.documents:
            return await self.documents[request.path](request)
        self.before_page()
        return self._page(request)

    def revoke(self) -> None:
        """The token that was given is worth nothing any more."""
        self.tokens.append({})

    def _page(self, request: web.Request) -> web.Response:
        if request.path != "/items":
            return web.Response(status=404)
        since, start = request.query.get("since", ""), int(request.query.get("page", "0"))
        found = [each for each in self.items if str(each["updated_at"]) >= since]
        shown = found[start : start + self.page_items_max]
        following = start + self.page_items_max if start + self.page_items_max < len(found) else None
        said: dict[str, Any] = {"data": {"items": shown}}
        headers = dict(self.headers)
        if following is not None and self.by == "link":
            headers["Link"] = f'<{request.rel_url.update_query(page=following)}>; rel="next"'
        elif following is not None:
            said["next"] = str(following)
        body = json.dumps(said).encode()
        if self.etag:
            headers["ETag"] = f'"{sha256(body).hexdigest()[:8]}"'
            if request.headers.get("If-None-Match") == headers["ETag"]:
                return web.Response(status=304, headers=headers)
        return web.Response(body=body, content_type="application/json", headers=headers)

    async def _token(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.tokens.append(form | {"authorization": request.headers.get("Authorization", "")})
        said = {"access_token": f"t-{len(self.tokens)}", "expires_in": self.token_seconds, "token_type": "Bearer"}
        return web.json_response(said)


@asynccontextmanager
async def partner() -> AsyncIterator[Partner]:
    """A partner that listens on a free port until the context ends."""
    served = Partner()
    runner = web.ServerRunner(web.Server(served.serve), shutdown_timeout=0.5)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    served.url = f"http://{host}:{port}"
    try:
        yield served
    finally:
        await runner.cleanup()
