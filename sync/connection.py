"""A NATS connection that never outlives its socket: the only file that knows the insides of nats-py (2.16).

nats-py's own reconnect is off: it would replay buffered publishes. Each attempt makes a new client, so a lost
connection leaves nothing behind. Frames are written straight to its transport, raw messages bypass its parser
of headers, and closing never waits for a dead peer.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import anyio
import nats.errors
from nats.aio.client import Client

from sync.access import Access
from sync.advice import next_step
from sync.channel import ApiError, Handler, HubAway, RequestHandler
from sync.websocket import PlainSocket, Socket, WebSocket

PING_SECONDS = 5
PINGS_MAX = 2
"""5 s × 2: a half-open connection is seen within 15 s (nats-py's default is 120 s × 2)."""
PORTS = {"wss": 443, "ws": 80}
"""Where a URL names none; all others: 4222."""


class _Client(Client):
    """nats-py's client without reconnect, with raw subscriptions and an immediate close."""

    def __init__(self, *, must_encrypt: bool, on_error: Callable[[str], None]) -> None:
        super().__init__()
        self.lost = anyio.Event()
        self._handlers: dict[int, Handler] = {}
        self._questions: dict[int, RequestHandler] = {}
        self.why = ""
        self._must_encrypt = must_encrypt
        self._on_error = on_error
        self.cut: Callable[[str], None] = lambda _: None

    async def report(self, error: Exception) -> None:
        self.why = str(error) or type(error).__name__
        self._on_error(self.why)

    async def _process_err(self, err_msg: str) -> None:
        """What the server says before it cuts the connection; nats-py keeps it to itself."""
        if "permissions violation" not in err_msg.lower():
            self.cut(err_msg.strip("'"))
        await super()._process_err(err_msg)

    async def _select_next_server(self) -> None:
        """One attempt at the one server given; the inherited loop never ends on a refused connection."""
        self._current_server = self._server_pool[0]
        if self._current_server.uri.scheme in {"ws", "wss"}:
            self._transport = WebSocket()
        await self._connect_to_server(self._current_server)

    def _connect_command(self) -> bytes:
        """Called before credentials leave: a server that offers no TLS must not see them."""
        socket = self._socket()
        if socket is None:
            raise nats.errors.Error("the hub closed the connection before the login")
        if self._must_encrypt and socket.encryption() is None:
            raise nats.errors.Error("the server does not offer TLS, which [hub] asks for")
        return super()._connect_command()

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        handler = self._handlers.get(sid)
        if handler is not None:
            handler(subject, headers or b"", data)
        elif (asked := self._questions.get(sid)) is not None:
            asked(subject, reply or b"", data)

    async def _close(self, status: int, do_cbs: bool = True) -> None:
        """The inherited close drains to a peer that may be dead, and would wait for ever."""
        self.drop()

    def drop(self) -> None:
        """Close now: nothing buffered leaves any more."""
        self._status = Client.CLOSED
        self.lost.set()
        self._pending, self._pending_data_size = [], 0
        for task in (self._reading_task, self._ping_interval_task, self._flusher_task):
            # nats-py closes from within its own reading and ping tasks; those end by themselves.
            if task is not None and task is not asyncio.current_task():
                task.cancel()
        socket = self._socket()
        if socket is not None:
            socket.abort()

    def put(self, frames: bytes) -> None:
        """In one piece: a task cancelled between two pieces would leave half a frame on the wire."""
        socket = self._socket()
        if socket is not None and not self.lost.is_set():
            socket.write(frames)

    async def drain(self) -> None:
        """Wait for room in the socket's buffer. Raises `HubAway`."""
        socket = self._socket()
        if socket is None or self.lost.is_set():
            raise HubAway("the connection to the hub was lost")
        try:
            await socket.drain()
        except (OSError, RuntimeError) as error:
            raise HubAway("the connection to the hub was lost") from error

    def subscribe_now(self, subject: str, handler: Handler) -> int:
        """nats-py queues its SUB for a later flush; frames written meanwhile would lose their answers."""
        sid = self._subscribe_now(subject)
        self._handlers[sid] = handler
        return sid

    def answer_now(self, subject: str, handler: RequestHandler) -> int:
        """`subscribe_now` for questions: they are answered on a subject that comes with them."""
        sid = self._subscribe_now(subject)
        self._questions[sid] = handler
        return sid

    def _subscribe_now(self, subject: str) -> int:
        self._sid += 1
        self.put(b"SUB %b %d\r\n" % (subject.encode(), self._sid))
        return self._sid

    def unsubscribe_now(self, sid: int) -> None:
        """The end of `subscribe_now`."""
        self._handlers.pop(sid, None)
        self._questions.pop(sid, None)
        self.put(b"UNSUB %d\r\n" % sid)

    def certificate(self) -> dict[str, Any]:
        """See `Connection`."""
        socket = self._socket()
        shown = None if socket is None else socket.encryption()
        return {} if shown is None else dict(shown.getpeercert() or {})

    def _socket(self) -> Socket | None:
        """None once the socket is gone, which uvloop knows before nats-py does."""
        if isinstance(self._transport, WebSocket):
            return self._transport
        writer: asyncio.StreamWriter | None = getattr(self._transport, "_io_writer", None)
        return None if writer is None or writer.transport.is_closing() else PlainSocket(writer)


class Connection:
    """A `Channel` over one NATS connection."""

    def __init__(self, client: _Client, server: str) -> None:
        self._client = client
        self.server = server
        shown = client.connected_server_version
        self.version = (shown.major, shown.minor, shown.patch)
        self.bytes_max = client.max_payload
        self.lost = client.lost
        self.parting_words = ""
        client.cut = self._hear_why
        self._asked: dict[bytes, _Question] = {}
        self._numbers = count()
        self._answers = client.new_inbox()
        client.subscribe_now(f"{self._answers}.*", self._on_answer)

    def _hear_why(self, words: str) -> None:
        self.parting_words = words

    def inbox(self) -> str:
        """See `Channel`."""
        return self._client.new_inbox()

    async def ask(self, subject: str, body: Any = None, *, seconds_max: float = 2.0) -> dict[str, Any]:
        """See `Channel`."""
        payload = b"" if body is None else json.dumps(body).encode()
        question = _Question()
        # A number of its own: an answer that comes too late must never fit another question.
        reply = f"{self._answers}.{next(self._numbers)}".encode()
        self._asked[reply] = question
        try:
            await self.write(b"PUB $JS.API.%b %b %d\r\n%b\r\n" % (subject.encode(), reply, len(payload), payload))
            with anyio.fail_after(seconds_max):
                await question.answered.wait()
        except TimeoutError as error:
            raise HubAway(f"the hub did not answer {subject} within {seconds_max:g} s") from error
        finally:
            del self._asked[reply]
        if question.headers.startswith(b"NATS/1.0 503"):
            raise HubAway(f"nobody at the hub answers {subject}: JetStream is off, not ready, or not allowed")
        found = _answer(subject, question.data)
        fault = found.get("error")
        if fault:
            raise ApiError(fault.get("code", 0), fault.get("err_code", 0), fault.get("description", ""))
        return found

    def _on_answer(self, subject: bytes, headers: bytes, data: bytes) -> None:
        question = self._asked.get(subject)
        if question is not None:
            question.headers, question.data = headers, data
            question.answered.set()

    async def write(self, frames: bytes) -> None:
        """See `Channel`."""
        self._client.put(frames)
        await self._client.drain()

    async def listen(self, subject: str, handler: Handler) -> Callable[[], None]:
        """See `Channel`."""
        sid = self._client.subscribe_now(subject, handler)
        await self._client.drain()
        return lambda: self._client.unsubscribe_now(sid)

    async def listen_for_requests(self, subject: str, handler: RequestHandler) -> Callable[[], None]:
        """See `Channel`."""
        sid = self._client.answer_now(subject, handler)
        await self._client.drain()
        return lambda: self._client.unsubscribe_now(sid)

    async def settle(self, *, seconds_max: float = 2.0) -> None:
        """Return when the server has taken everything written so far and has said what it thinks of it. Raises `HubAway`."""
        try:
            with anyio.fail_after(seconds_max):
                await self._client.flush(timeout=int(seconds_max) + 1)
        except (OSError, TimeoutError, nats.errors.Error) as error:
            raise HubAway(f"{self.server} does not answer") from error

    def certificate(self) -> dict[str, Any]:
        """The server's certificate as `ssl.SSLSocket.getpeercert` shows it; empty without TLS."""
        return self._client.certificate()

    def close(self) -> None:
        """See `Channel`."""
        self._client.drop()


def _answer(subject: str, data: bytes) -> dict[str, Any]:
    """The JSON object of an answer. Raises `HubAway` when it is none: something else answers there."""
    try:
        found = json.loads(data)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise HubAway(f"the hub's answer to {subject} cannot be read")
    return found


class _Question:
    """One request of the API that waits for its answer."""

    def __init__(self) -> None:
        self.answered = anyio.Event()
        self.headers = b""
        self.data = b""


async def connect(
    server: str, access: Access, *, name: str, seconds_max: float, on_error: Callable[[str], None]
) -> Connection:
    """One attempt at one server. Raises `HubAway` with the reason, `ConfigError` for unusable credentials.

    Bounded in time: nats-py's own `connect` can block on a dead host for ever.
    """
    options = access.options()
    client = _Client(must_encrypt=access.must_encrypt(server), on_error=on_error)
    try:
        with anyio.fail_after(seconds_max):
            await client.connect(
                servers=[server],
                allow_reconnect=False,
                connect_timeout=seconds_max,  # type: ignore[arg-type]
                ping_interval=PING_SECONDS,
                max_outstanding_pings=PINGS_MAX,
                error_cb=client.report,
                name=name,
                # A prefix of its own: default permissions on `_INBOX.>` let regions read each other's replies.
                inbox_prefix=access.inbox_prefix,
                **options,
            )
    except (OSError, TimeoutError, ssl.SSLError, nats.errors.Error, ValueError) as error:
        client.drop()
        reason = client.why or str(error) or "no answer in time"
        raise HubAway(f"cannot connect to {_shown(server)}: {reason}", hint=next_step(reason)) from error
    except BaseException:
        client.drop()
        raise
    return Connection(client, _shown(server))


def address(server: str) -> tuple[str, str, int]:
    """(scheme, host, port) of a server's URL."""
    parts = urlsplit(server if "//" in server else f"nats://{server}")
    return parts.scheme, parts.hostname or "?", parts.port or PORTS.get(parts.scheme, 4222)


def _shown(server: str) -> str:
    """The server without user and password."""
    scheme, host, port = address(server)
    return f"{scheme}://{host}:{port}"
