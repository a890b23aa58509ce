"""A blocking NATS client of few lines: requests, stream state, one subscription, raw bytes out.

The client of the product is not used on the measuring side, so its cost never hides in a peer's figure.
"""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Iterator
from typing import Any, Literal, Self

from msgspec import Struct

READ_BYTES_MAX = 1 << 20


class Incoming(Struct, frozen=True):
    """One message as it came: the header block is raw text, empty for a plain MSG."""

    subject: str
    header: bytes
    payload: bytes


class Refusal(Exception):
    """The server answered with an error."""


class Wire:
    """One connection. Not safe for threads; PINGs are answered whenever something is read."""

    def __init__(self, port: int, *, seconds_max: float = 5.0) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=seconds_max)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        self.inbox = f"_INBOX.bench{id(self):x}{time.monotonic_ns():x}"
        self._requests = 0
        options = {"verbose": False, "pedantic": False, "headers": True, "no_responders": True, "echo": True}
        self.socket.sendall(f"CONNECT {json.dumps(options)}\r\nSUB {self.inbox}.> 1\r\nPING\r\n".encode())
        while b"PONG\r\n" not in self.buffer:
            self._fill(seconds_max)
        del self.buffer[: self.buffer.index(b"PONG\r\n") + 6]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> Literal[False]:
        self.socket.close()
        return False

    def _fill(self, seconds_max: float) -> bool:
        if not select.select([self.socket], [], [], seconds_max)[0]:
            return False
        chunk = self.socket.recv(READ_BYTES_MAX)
        if not chunk:
            raise ConnectionError("the NATS server closed the connection")
        self.buffer += chunk
        return True

    def _parse(self) -> Incoming | None:
        """The next complete message in the buffer; consumes PING, PONG, INFO; raises on -ERR."""
        while (end := self.buffer.find(b"\r\n")) >= 0:
            line = bytes(self.buffer[:end])
            if line.startswith((b"MSG", b"HMSG")):
                words = line.split()
                total = int(words[-1])
                if len(self.buffer) < end + 2 + total + 2:
                    return None
                header = int(words[-2]) if line.startswith(b"HMSG") else 0
                body = bytes(self.buffer[end + 2 : end + 2 + total])
                del self.buffer[: end + 2 + total + 2]
                return Incoming(words[1].decode(), body[:header], body[header:])
            del self.buffer[: end + 2]
            if line == b"PING":
                self.socket.sendall(b"PONG\r\n")
            elif line.startswith(b"-ERR"):
                raise ConnectionError(line.decode())
        return None

    def incoming(self, seconds_max: float) -> Iterator[Incoming]:
        """Messages as they come, until none came for `seconds_max`."""
        while True:
            while (message := self._parse()) is not None:
                yield message
            if not self._fill(seconds_max):
                return

    def poll(self) -> list[Incoming]:
        """What has arrived so far, without waiting."""
        while self._fill(0.0):
            continue
        messages = []
        while (message := self._parse()) is not None:
            messages.append(message)
        return messages

    def request(self, subject: str, document: dict[str, Any] | None = None, seconds_max: float = 5.0) -> dict[str, Any]:
        """JSON in, JSON out. Raises `Refusal` on an error answer and `TimeoutError` on none."""
        self._requests += 1
        reply = f"{self.inbox}.r{self._requests}"
        payload = json.dumps(document).encode() if document is not None else b""
        self.socket.sendall(b"PUB %s %s %d\r\n%s\r\n" % (subject.encode(), reply.encode(), len(payload), payload))
        for message in self.incoming(seconds_max):
            if message.subject != reply:
                continue
            if not message.payload:
                raise Refusal(f"{subject}: {message.header.decode().strip()}")
            answer: dict[str, Any] = json.loads(message.payload)
            if "error" in answer:
                raise Refusal(f"{subject}: {answer['error']}")
            return answer
        raise TimeoutError(f"{subject}: no answer within {seconds_max} s")

    def subscribe(self, subject: str) -> None:
        """Deliver this subject too; registered at the server when the call returns."""
        self._requests += 1
        self.socket.sendall(f"SUB {subject} s{self._requests}\r\n".encode())
        self.request("$JS.API.INFO")

    def stream_create(self, name: str, subjects: list[str], **more: Any) -> None:
        """R1, file storage; `more` are further keys of the stream's configuration."""
        config = {"name": name, "subjects": subjects, "storage": "file", "num_replicas": 1, **more}
        self.request(f"$JS.API.STREAM.CREATE.{name}", {k: v for k, v in config.items() if v != []})

    def stream_last(self, name: str) -> int:
        """Last sequence of a stream; 0 while it does not exist or the server is still loading."""
        try:
            return int(self.request(f"$JS.API.STREAM.INFO.{name}", seconds_max=2.0)["state"]["last_seq"])
        except (Refusal, TimeoutError):
            return 0

    def wait_for_last(self, name: str, sequence: int, *, seconds_max: float, poll_seconds: float = 0.005) -> float:
        """Monotonic instant at which the stream reached `sequence`. Raises `TimeoutError`."""
        deadline = time.monotonic() + seconds_max
        last = 0
        while time.monotonic() < deadline:
            if (last := self.stream_last(name)) >= sequence:
                return time.monotonic()
            time.sleep(poll_seconds)
        raise TimeoutError(f"{name} stands at {last} of {sequence} after {seconds_max} s")
