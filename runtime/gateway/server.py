"""The listener: routes a request to its source's door, and stops without losing what is in hand.

Promises one answer per request, and a graceful stop within `STOP_SECONDS_MAX`.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import unquote

import anyio
from aiohttp import web
from anyio.abc import TaskStatus

from runtime import clock
from runtime.errors import ConfigError, Refused
from runtime.gateway import health, listening, problems
from runtime.gateway.answers import Answer, rejected
from runtime.gateway.api.enquiries import Enquiries
from runtime.gateway.api.operations import DOCUMENT, ROOT, Operation, route
from runtime.gateway.body import Room
from runtime.gateway.connection import Connection, Listener, Log, new_correlation_id
from runtime.gateway.headers import origin_form
from runtime.gateway.inlet import GatewaySource, Inlet
from runtime.gateway.keys import traceparent
from runtime.gateway.problems import Rejection
from runtime.gateway.proxies import Proxies
from runtime.gateway.settings import GatewaySettings
from runtime.gateway.tls import Loaded, Tls, TlsSite

STOP_SECONDS_MAX = 10.0
"""7-faults.md: SIGTERM in a burst ends within 10 s."""
LAST_REQUESTS_SECONDS = 1.0
"""At a stop, connections stay open so long for a request that is on its way; its answer says `Connection: close`."""
_CLOSE_SECONDS_MAX = 0.5
_ASKED = ("/check/", "/receipts/")
_API = f"{ROOT}/"
_GETS = ("/live", "/ready", "/metrics")


def _silent(_event: str, **_fields: object) -> None:
    pass


class Gateway:
    """HTTP in for all sources of one agent."""

    def __init__(
        self,
        settings: GatewaySettings,
        sources: Mapping[str, GatewaySource],
        *,
        ready: Callable[[], list[str]] = list,
        metrics: Callable[[], bytes] = bytes,
        log: Log = _silent,
        tls: Loaded | None = None,
        now: Callable[[], float] = clock.monotonic,
    ) -> None:
        """`ready` returns what keeps messages out, as sentences; `now` is monotonic seconds."""
        self._settings = settings
        self._ready = ready
        self._metrics = metrics
        self._log = log
        self._now = now
        self.tls = None if tls is None else Tls(tls)
        self._room = Room(settings.buffered_bytes_max)
        self._runner: web.ServerRunner | None = None
        self._sockets: list[socket.socket] = []
        self.given = False
        """The sockets are the service manager's: it says where they listen."""
        self._listener: Listener | None = None
        self._in_hand = 0
        self._idle: anyio.Event | None = None
        self._served: dict[str, GatewaySource] = {}
        self._inlets: dict[str, Inlet] = {}
        self._enquiries: Enquiries | None = None
        self.draining = False
        """Each answer is now the last one of its connection; messages are still taken."""
        self.answers: Counter[tuple[str, int]] = Counter()
        """How often each path (of a known source or a page) was answered with which status."""
        self.serve_sources(sources)

    def serve_sources(self, sources: Mapping[str, GatewaySource], settings: GatewaySettings | None = None) -> None:
        """Replace all sources, and the limits, at once; requests in hand finish with the old ones.

        A source that is the same object keeps its bucket and its count of requests in hand.
        """
        before, settings = self._settings, settings or self._settings
        if settings is not before:
            self._room.bytes_max = settings.buffered_bytes_max
            if self._listener is not None:
                self._listener.use(settings)
            for one in self._sockets:
                one.listen(settings.backlog_max)
        kept = self._served if _seen_alike(settings) == _seen_alike(before) else {}
        proxies = Proxies(settings.trusted_proxies, settings.proxy_header)
        self._inlets = {
            f"/in/{name}": self._inlets[f"/in/{name}"]
            if kept.get(name) is served
            else Inlet(served, served.limits or settings, self._room, settings.body_timeout_seconds, self._now, proxies)
            for name, served in sources.items()
        }
        self._served, self._settings = dict(sources), settings

    def serve_api(self, enquiries: Enquiries | None) -> None:
        """Answer `/api/v1` by this from now on; without it there is no API."""
        self._enquiries = enquiries

    async def start(self, sockets: Sequence[socket.socket] = ()) -> list[str]:
        """Listen and return the addresses as `host:port`. Open `sockets` (systemd) replace `settings.listen`.

        Raises `ConfigError` when the address cannot be had.
        """
        self.given = bool(sockets)
        self._listener = Listener(self._handle, self._settings, self._log)
        runner = web.ServerRunner(self._listener, shutdown_timeout=_CLOSE_SECONDS_MAX)
        await runner.setup()
        try:
            self._sockets = list(sockets) or await listening.bind(self._settings)
            await self._accept_at(runner, self._sockets, self._settings)
        except (OSError, ConfigError):
            await runner.cleanup()
            raise
        self._runner = runner
        return self.addresses

    @property
    def addresses(self) -> list[str]:
        """Where it listens, as `host:port`."""
        names = self._runner.addresses if self._runner is not None else []
        return [f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}" for name in names]

    async def prepare_move(self, settings: GatewaySettings) -> list[socket.socket]:
        """Sockets for other `[gateway]` settings: they queue connections, and `move_to` serves them. Raises `ConfigError`.

        What stays at its address, and what the service manager has opened, is taken over.
        """
        if self._runner is None:
            raise Refused("the gateway is stopping")
        if self.given or settings.listen == self._settings.listen:
            return listening.take_over(self._sockets)
        return await listening.bind(settings, beside=self._sockets)

    async def move_to(self, sockets: Sequence[socket.socket], settings: GatewaySettings, tls: Tls | None) -> None:
        """Serve these sockets alone; each open connection gets its next answer and is then closed. Does not wait."""
        runner = self._runner
        if runner is None:
            listening.close(sockets)
            return
        before, self._sockets, self.tls = list(runner.sites), list(sockets), tls
        await self._accept_at(runner, self._sockets, settings)
        for site in before:
            await site.stop()
        for connection in self._listener.connections if self._listener is not None else ():
            if isinstance(connection, Connection):
                connection.leaving = True

    async def _accept_at(
        self, runner: web.ServerRunner, sockets: Sequence[socket.socket], settings: GatewaySettings
    ) -> None:
        for one in sockets:
            site = (
                web.SockSite(runner, one, backlog=settings.backlog_max)
                if self.tls is None
                else TlsSite(runner, self.tls, settings, one)
            )
            await site.start()

    async def stop(self, seconds_max: float = STOP_SECONDS_MAX) -> None:
        """Stop listening, answer what is in hand or on its way, close every connection. Safe to call twice.

        A socket of the service manager is closed here and stays open there: who connects now waits for the next start.
        """
        runner, self._runner = self._runner, None
        if runner is None or self._listener is None:
            return
        self.draining = True
        for site in list(runner.sites):
            await site.stop()
        with anyio.move_on_after(min(LAST_REQUESTS_SECONDS, seconds_max / 2)):
            await self._listener.deserted.wait()
        if self._in_hand:
            self._idle = anyio.Event()
            with anyio.move_on_after(seconds_max - LAST_REQUESTS_SECONDS - 2 * _CLOSE_SECONDS_MAX):
                await self._idle.wait()
        await runner.cleanup()

    async def abandon(self) -> None:
        """Close everything now; waits for nothing, so it also works while being cancelled."""
        runner, self._runner = self._runner, None
        if runner is None:
            return
        for site in list(runner.sites):
            await site.stop()
        if runner.server is not None:
            for connection in runner.server.connections:
                connection.force_close()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self._in_hand += 1
        try:
            answer = await self._answer(request)
            if self.draining or request.protocol.last_answer:  # type: ignore[attr-defined]
                answer.force_close()
            return answer
        finally:
            self._in_hand -= 1
            if self._idle is not None and not self._in_hand:
                self._idle.set()

    async def _answer(self, request: web.BaseRequest) -> Answer:
        path = request.raw_path
        inlet = self._inlets.get(path)
        if inlet is None:
            path = origin_form(path).partition("?")[0]
            inlet = self._inlets.get(path)
        try:
            if inlet is not None:
                answer = await self._receive(inlet, request)
            elif path.startswith(_ASKED):
                asked, path = (
                    path,
                    "/".join(path.split("/", 3)[:3]),
                )  # keys are no labels, and nobody's to read in a log
                answer = await self._asked(asked, request)
            elif path.startswith(_API):
                asked, path = path, _API  # no labels either
                answer, path = await self._api(asked, request)
            else:
                answer = self._page(path, request)
        except Rejection as rejection:
            answer = self._reject(path, request, rejection)
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001 - a bug of ours must cost one request, not the connection of others
            answer = self._reject(path, request, problems.internal(), error=f"{type(error).__name__}: {error}")
        self.answers[path if answer.status != 404 else "", answer.status] += 1
        return answer

    async def _receive(self, inlet: Inlet, request: web.BaseRequest) -> Answer:
        _allow(request, "POST")
        return await inlet.receive(request)

    async def _asked(self, path: str, request: web.BaseRequest) -> Answer:
        """A partner tries a message, or asks what became of one."""
        area, name, *key = path[1:].split("/", 2)
        inlet = self._inlets.get(f"/in/{name}")
        if inlet is None or (area == "receipts") != bool(key):
            raise problems.not_found()
        if area == "check":
            _allow(request, "POST")
            return await inlet.receive(request, "check")
        _allow(request, "GET, HEAD")
        return await inlet.lookup(request, unquote(key[0]))

    async def _api(self, path: str, request: web.BaseRequest) -> tuple[Answer, str]:
        """The answer, and the address as the counts of answers know it."""
        enquiries = self._enquiries
        if enquiries is None:
            raise problems.not_found()
        if path == DOCUMENT:
            _allow(request, "GET, HEAD")
            return Answer(200, enquiries.document), path
        asked = route(path)
        if asked is None:
            raise problems.nothing_there()
        operation = asked.operation
        try:
            if operation.method == "POST":
                _allow(request, "POST")
                return await self._order(enquiries, operation, request), operation.path
            _allow(request, "GET, HEAD")
            return await enquiries.answer(asked, request), operation.path
        except Rejection as rejection:
            rejection.headers |= enquiries.ending(operation)
            raise

    async def _order(self, enquiries: Enquiries, operation: Operation, request: web.BaseRequest) -> Answer:
        """Orders go through the door of their source: its limits, its journal, its rules."""
        inlet = self._inlets.get(f"/in/{enquiries.settings.orders}")
        if inlet is None:
            raise problems.nothing_there()
        answer = await inlet.receive(request, "order")
        answer.add(enquiries.ending(operation))
        return answer

    def _page(self, path: str, request: web.BaseRequest) -> Answer:
        if path not in _GETS:
            raise problems.not_found()
        _allow(request, "GET, HEAD")
        if path == "/live":
            return health.live()
        if path == "/metrics":
            return health.metrics(self._metrics())
        return health.ready(["The agent is stopping."] if self.draining else self._ready())

    def _reject(self, path: str, request: web.BaseRequest, rejection: Rejection, **fields: object) -> Answer:
        trace = traceparent(request.headers.get("traceparent"))
        correlation_id = new_correlation_id() if trace is None else trace[3:35]
        self._log(
            "request_rejected",
            path=path[:100],
            status=rejection.status,
            problem=rejection.name,
            correlation_id=correlation_id,
            **fields,
        )
        return rejected(rejection, correlation_id)


def _allow(request: web.BaseRequest, methods: str) -> None:
    if request.method not in methods.split(", "):
        raise problems.wrong_method(methods)


def _seen_alike(settings: GatewaySettings) -> tuple[object, ...]:
    """What every door is made with, beside its own limits."""
    return settings.body_timeout_seconds, settings.trusted_proxies, settings.proxy_header


async def serve(
    gateway: Gateway,
    stop: anyio.Event,
    *,
    sockets: Sequence[socket.socket] = (),
    task_status: TaskStatus[list[str]] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Listen until `stop` is set, then stop gracefully. `task_status` reports the addresses.

    Cancelling instead of stopping leaves at once; senders then retry what got no answer.
    """
    addresses = await gateway.start(sockets)
    task_status.started(addresses)
    try:
        await stop.wait()
        await gateway.stop()
    except BaseException:
        await gateway.abandon()
        raise
