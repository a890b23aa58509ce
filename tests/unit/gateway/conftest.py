"""A gateway on a real loopback socket, with a journal that remembers or fails, and one signed and one open source."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import anyio
import pytest

from adapters.sdk.recording import RecordingIntake
from runtime.envelope import Envelope, Event, Ignored, Message, Receipt
from runtime.errors import Refused
from runtime.gateway.inlet import GatewaySource
from runtime.gateway.schema import MessageSchema
from runtime.gateway.server import Gateway
from runtime.gateway.settings import GatewaySettings, SourceLimits
from runtime.ports import Request

SECRET = b"a shared secret for tests"


class Signed:
    def authenticate(self, request: Request) -> None:
        given = request.headers.get("x-signature", "").encode()
        if not hmac.compare_digest(given, hmac.digest(SECRET, request.body, "sha256").hex().encode()):
            raise Refused("The signature does not match.")

    async def run(self) -> None: ...


class Open:
    def authenticate(self, request: Request) -> None: ...

    async def run(self) -> None: ...


class ById:
    """Takes the key from the first bytes of a body that starts with `id:`."""

    version = "test"
    headers = ()

    def key(self, body: bytes, content_type: str) -> str | None:
        return body[3:8].decode() if body.startswith(b"id:") else None

    def translate(self, envelope: Envelope) -> Sequence[Event | Ignored]:
        return []


class HeldIntake(RecordingIntake):
    """Commits only when told; `failure` is raised instead."""

    def __init__(self) -> None:
        super().__init__()
        self.failure: Exception | None = None
        self.gate: anyio.Event | None = None
        self.entered = anyio.Event()

    async def accept(self, messages: Sequence[Message]) -> list[Receipt]:
        self.entered.set()
        if self.failure is not None:
            raise self.failure
        if self.gate is not None:
            await self.gate.wait()
        return await super().accept(messages)


class Site:
    """What a test needs of a running gateway."""

    def __init__(self, gateway: Gateway, address: str, session: aiohttp.ClientSession, intake: HeldIntake) -> None:
        self.gateway = gateway
        self.host, _, port = address.rpartition(":")
        self.port = int(port)
        self.url = f"http://{address}"
        self.session = session
        self.intake = intake
        self.now = 0.0
        self.logged: list[tuple[str, dict[str, Any]]] = []

    async def post(self, path: str, body: bytes = b"{}", **headers: str) -> tuple[int, Any, dict[str, str]]:
        """Status, decoded JSON and headers of a POST; `_` in header names stands for `-`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.post(f"{self.url}{path}", data=body, headers=named) as answer:
            return answer.status, await answer.json(content_type=None), dict(answer.headers)

    async def get(self, path: str, method: str = "GET") -> tuple[int, bytes, dict[str, str]]:
        async with self.session.request(method, f"{self.url}{path}") as answer:
            return answer.status, await answer.read(), dict(answer.headers)

    async def raw(self, *parts: bytes) -> bytes:
        """Send bytes on a connection of its own and return everything until the gateway closes it."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
            return await reader.read()
        finally:
            writer.close()


Start = Callable[..., Any]


@asynccontextmanager
async def running(
    limits: SourceLimits | None = None,
    ready: Callable[[], list[str]] = list,
    dedupe: Any = "key",
    metrics: bytes = b"entrepot_up 1\n",
    translator: Any = None,
    schema: MessageSchema | None = None,
    outcome: Any = None,
    **settings: Any,
) -> AsyncIterator[Site]:
    intake = HeldIntake()
    sites: list[Site] = []
    open_source = GatewaySource(
        source=Open(),
        intake=intake,
        translator=translator or ById(),
        limits=limits,
        dedupe=dedupe,
        schema=schema,
        outcome=outcome,
    )
    sources = {"wms": GatewaySource(source=Signed(), intake=intake, schema=schema), "open": open_source}
    gateway = Gateway(
        GatewaySettings(**{"listen": "127.0.0.1:0"} | settings),
        sources,
        ready=ready,
        metrics=lambda: metrics,
        log=lambda event, **fields: sites[0].logged.append((event, fields)) if sites else None,
        now=lambda: sites[0].now if sites else 0.0,
    )
    addresses = await gateway.start()
    try:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            sites.append(Site(gateway, addresses[0], session, intake))
            yield sites[0]
    finally:
        if intake.gate is not None:
            intake.gate.set()
        await gateway.stop(seconds_max=2)


@pytest.fixture
async def start(anyio_backend: Any) -> AsyncIterator[Start]:
    """Start a gateway with the given settings; it is stopped after the test."""
    async with AsyncExitStack() as stack:

        async def start(**settings: Any) -> Site:
            return await stack.enter_async_context(running(**settings))

        yield start


@pytest.fixture
def signature() -> Callable[[bytes], str]:
    return lambda body: hmac.digest(SECRET, body, "sha256").hex()
