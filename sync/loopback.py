"""A hub in memory, for tests without a server: the same frames, the same answers, the same expected-sequence rule.

`MemoryHub` is the server's side (streams, publishes, the API calls used here) with faults to order;
`LoopbackLink` is the ordinary link over it, so that everything above the socket is the real thing.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
from msgspec import Struct, field

from runtime.ports import HubObserver, Scope
from sync.channel import MESSAGE_MISSING, STREAM_MISSING, ApiError, Channel, Handler, HubAway, RequestHandler
from sync.link import NatsLink
from sync.settings import HubSettings
from sync.wire import EXPECTED_HEADER, parse_headers

Answer = tuple[bytes, bytes, bytes]
"""(reply subject, header block, data)."""
_WRONG_LAST, _UNKNOWN_BATCH, _NO_BATCHES = 10071, 10208, 10205


class Stored(Struct, frozen=True):
    """One message as the hub keeps it."""

    subject: str
    headers: bytes
    data: bytes


class MemoryStream(Struct):
    """A stream: messages by sequence, and the last sequence ever given."""

    config: dict[str, Any]
    last: int
    messages: dict[int, Stored] = field(default_factory=dict)

    @property
    def first(self) -> int:
        """First stored sequence, or the next one when nothing is stored."""
        return min(self.messages, default=self.last + 1)

    def rollback(self, to: int) -> None:
        """Lose everything after `to`, as a hub restored from an older disk does."""
        self.last = min(self.last, to)
        self.messages = {seq: kept for seq, kept in self.messages.items() if seq <= to}


class _Batch(Struct):
    stream: str
    following: int = 1
    stored: int = 0


class MemoryHub:
    """The hub itself; `away` makes every call fail."""

    def __init__(self, *, version: tuple[int, int, int] = (2, 15, 1)) -> None:
        self.version = version
        self.streams: dict[str, MemoryStream] = {}
        self.away = False
        self._batches: dict[bytes, _Batch] = {}

    def restart(self, *, lost: dict[str, int] | None = None) -> None:
        """End all batches, as a restart does; `lost` maps streams to the last sequence that survives."""
        self._batches.clear()
        for name, last in (lost or {}).items():
            self.streams[name].rollback(last)

    # ------------------------------------------------------------ publishing

    def publish(self, frames: bytes) -> list[Answer]:
        """Take whole HPUB frames as a server would and return its answers, in order."""
        answers: list[Answer] = []
        at = 0
        while at < len(frames):
            end = frames.index(b"\r\n", at)
            _, subject, reply, head_size, size = frames[at:end].split(b" ")
            start = end + 2
            middle, at = start + int(head_size), start + int(size) + 2
            stored = Stored(subject.decode(), frames[start:middle], frames[middle : at - 2])
            answers += [(reply, headers, data) for headers, data in self._take(stored, reply)]
        return answers

    def _take(self, message: Stored, reply: bytes) -> list[tuple[bytes, bytes]]:
        name = self._listening(message.subject)
        if name is None:
            return [(b"NATS/1.0 503\r\n\r\n", b"")]
        if reply.endswith(b".$FI") and self.version >= (2, 14, 0):
            return self._take_batched(name, message, reply)
        seq, fault = self._store(name, message)
        return [_said(error=fault, stream=name, seq=0) if fault else _said(stream=name, seq=seq)]

    def _take_batched(self, name: str, message: Stored, reply: bytes) -> list[tuple[bytes, bytes]]:
        _, batch_id, flow, _, number, operation, _ = reply.rsplit(b".", 6)
        place, said = int(number), []
        if not self.streams[name].config.get("allow_batched"):
            return [_said(error=_error(_NO_BATCHES, "batch publish is disabled"), stream=name, seq=0)]
        if place == 1:
            self._batches[batch_id] = _Batch(name)
            if operation == b"0":
                said.append(_said(type="ack", seq=0, msgs=int(flow)))
        batch = self._batches.get(batch_id)
        if batch is None:
            return [_said(error=_error(_UNKNOWN_BATCH, "batch publish ID unknown"), stream=name, seq=0)]
        if place != batch.following:
            del self._batches[batch_id]
            return [*said, _said(stream=name, seq=batch.stored, batch=batch_id.decode(), count=batch.following - 1)]
        seq, fault = self._store(name, message)
        if fault:
            del self._batches[batch_id]
            if place == 1:
                return [*said, _said(error=fault, stream=name, seq=0)]
            ended = _said(stream=name, seq=batch.stored, batch=batch_id.decode(), count=place - 1)
            return [*said, _said(type="err", seq=place, error=fault), ended]
        batch.following, batch.stored = place + 1, seq
        if operation == b"2":
            del self._batches[batch_id]
            said.append(_said(stream=name, seq=seq, batch=batch_id.decode(), count=place))
        elif place % int(flow) == 0:
            said.append(_said(type="ack", seq=place, msgs=int(flow)))
        return said

    def _store(self, name: str, message: Stored) -> tuple[int, dict[str, Any] | None]:
        stream = self.streams[name]
        expected = parse_headers(message.headers).get(EXPECTED_HEADER.lower())
        if expected is not None and int(expected) != stream.last:
            return 0, _error(_WRONG_LAST, f"wrong last sequence: {stream.last}")
        stream.last += 1
        stream.messages[stream.last] = message
        return stream.last, None

    def _listening(self, subject: str) -> str | None:
        for name, stream in self.streams.items():
            for listened in stream.config["subjects"]:
                if subject == listened or (listened.endswith(">") and subject.startswith(listened[:-1])):
                    return name
        return None

    # ------------------------------------------------------------ the API

    def api(self, subject: str, body: Any) -> dict[str, Any]:
        """Answer one API call. Raises `ApiError` as the server would."""
        verb, _, name = subject.rpartition(".")
        if subject == "STREAM.LIST":
            page = [self._info(found) for found in self.streams] if not body["offset"] else []
            return {"total": len(self.streams), "offset": body["offset"], "streams": page}
        if verb == "STREAM.CREATE":
            self.streams.setdefault(name, MemoryStream(dict(body), body.get("first_seq", 1) - 1))
        if name not in self.streams:
            raise ApiError(404, STREAM_MISSING, "stream not found")
        if verb == "STREAM.UPDATE":
            self.streams[name].config = dict(body)
        if verb == "STREAM.MSG.GET":
            return self._message(self.streams[name], body)
        return self._info(name)

    def _info(self, name: str) -> dict[str, Any]:
        stream = self.streams[name]
        state = {"messages": len(stream.messages), "first_seq": stream.first, "last_seq": stream.last}
        return {"config": stream.config, "state": state}

    def _message(self, stream: MemoryStream, body: dict[str, Any]) -> dict[str, Any]:
        seq = body["seq"]
        if "next_by_subj" in body:
            seq = min((s for s in stream.messages if s >= seq), default=0)
        found = stream.messages.get(seq)
        if found is None:
            raise ApiError(404, MESSAGE_MISSING, "no message found")
        shown = {"subject": found.subject, "seq": seq, "data": base64.b64encode(found.data).decode()}
        return {"message": shown | {"hdrs": base64.b64encode(found.headers).decode()}}


def _said(**fields: Any) -> tuple[bytes, bytes]:
    return b"", json.dumps({k: v for k, v in fields.items() if v is not None}).encode()


def _error(code: int, description: str) -> dict[str, Any]:
    return {"code": 400, "err_code": code, "description": description}


class MemoryChannel:
    """A `Channel` to a `MemoryHub`; `cut` loses the connection."""

    server = "memory"
    bytes_max = 1024 * 1024

    def __init__(self, hub: MemoryHub) -> None:
        self._hub = hub
        self.version = hub.version
        self.lost = anyio.Event()
        self.parting_words = ""
        self._count = 0
        self._handlers: dict[bytes, Handler] = {}

    def inbox(self) -> str:
        """See `Channel`."""
        self._count += 1
        return f"_INBOX.{id(self)}.{self._count}"

    async def ask(self, subject: str, body: Any = None, *, seconds_max: float = 2.0) -> dict[str, Any]:
        """See `Channel`."""
        self._check()
        await anyio.lowlevel.checkpoint()
        return self._hub.api(subject, body)

    async def write(self, frames: bytes) -> None:
        """See `Channel`; answers are delivered before it returns."""
        self._check()
        await anyio.lowlevel.checkpoint()
        if frames.startswith(b"PUB $JS.API.DIRECT.GET."):
            _, _, reply, _ = frames.split(b"\r\n", 1)[0].split(b" ")
            self._deliver((reply, b"NATS/1.0 404 Not Found\r\n\r\n", b""))
            return
        for answer in self._hub.publish(frames):
            self._deliver(answer)

    async def listen_for_requests(self, subject: str, handler: RequestHandler) -> Callable[[], None]:
        """See `Channel`. In memory nobody asks."""
        return lambda: None

    async def listen(self, subject: str, handler: Handler) -> Callable[[], None]:
        """See `Channel`."""
        self._check()
        prefix = subject.removesuffix(">").encode()
        self._handlers[prefix] = handler

        def stop() -> None:
            self._handlers.pop(prefix, None)

        return stop

    def close(self) -> None:
        """See `Channel`."""
        self.lost.set()

    cut = close

    def _check(self) -> None:
        if self._hub.away or self.lost.is_set():
            raise HubAway("the connection to the hub was lost")

    def _deliver(self, answer: Answer) -> None:
        for prefix, handler in list(self._handlers.items()):
            if answer[0].startswith(prefix):
                handler(*answer)


class LoopbackLink(NatsLink):
    """The ordinary link over a `MemoryHub`. `cut` loses its connection."""

    def __init__(self, hub: MemoryHub, scope: Scope, settings: HubSettings | None = None) -> None:
        super().__init__(settings or HubSettings(servers=["memory"], manage_streams=True), scope)
        self._hub = hub
        self._channels: list[MemoryChannel] = []

    async def _open(self, observer: HubObserver | None = None) -> Channel:
        if self._hub.away:
            raise HubAway("cannot connect to the hub in memory: it is away")
        channel = MemoryChannel(self._hub)
        self._channels.append(channel)
        return channel

    def cut(self) -> None:
        """Lose every connection that is open."""
        for channel in self._channels:
            channel.cut()
        self._channels.clear()
