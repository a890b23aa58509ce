"""The load generator, in a process of its own: keep-alive connections on one epoll loop, no HTTP library.

`python -m bench.load` reads a `Load` as JSON on stdin and writes a `Loaded` as JSON on stdout.
"""

from __future__ import annotations

import select
import socket
import sys
import time
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from bench.payloads import signature
from bench.processes import REPOSITORY, run_json

PREBUILT_BYTES_MAX = 200_000_000


class Load(Struct, kw_only=True):
    """What to send. `template` holds one `%d`-like mark `{number}` of fixed width; every event is different."""

    port: int
    source: str
    events: int
    template: str
    lines: int = 1
    """1: one message a POST; more: NDJSON with that many lines."""
    connections: int = 64
    secret: str = ""
    """Signs the body (HMAC-SHA256, hex, X-Signature) when set."""
    rate: float = 0.0
    """Events per second, open loop; 0: as fast as the answers come."""
    first: int = 1
    keyed: bool = True
    seconds_max: float = 120.0


class Loaded(Struct, kw_only=True):
    """What happened. `ceiling` is the requests per second this generator could make of one full CPU."""

    events: int
    requests: int
    seconds: float
    cpu_seconds: float
    ceiling: float
    statuses: dict[str, int]
    p50_ms: float
    p99_ms: float
    ended: float
    """Monotonic instant of the last answer; the same clock in every process of the machine."""

    @property
    def rate(self) -> float:
        return self.events / self.seconds


def requests(load: Load) -> Iterator[bytes]:
    """Whole HTTP requests, in order."""
    mark = b"{number}"
    before, after = load.template.encode().split(mark)
    secret = load.secret.encode()
    kind = b"application/x-ndjson" if load.lines > 1 else b"application/json"
    head = b"POST /in/%s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: %s\r\n" % (load.source.encode(), kind)
    for start in range(load.first, load.first + load.events, load.lines):
        end = min(start + load.lines, load.first + load.events)
        body = b"\n".join([b"%s%012d%s" % (before, n, after) for n in range(start, end)])
        extra = b"X-Signature: %s\r\n" % signature(secret, body) if secret else b""
        if load.keyed:
            extra += b"Idempotency-Key: bench-%012d\r\n" % start
        yield b"%s%sContent-Length: %d\r\n\r\n%s" % (head, extra, len(body), body)


class Connection:
    """One keep-alive connection: at most one request under way."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.since = 0.0
        self.buffer = b""

    def answer(self) -> int | None:
        """HTTP status of a complete answer, else None."""
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("the server closed a keep-alive connection")
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        at = self.buffer.find(b"Content-Length:", 0, end)
        at = at if at >= 0 else self.buffer.lower().find(b"content-length:", 0, end)
        size = int(self.buffer[at + 15 : self.buffer.find(b"\r\n", at)]) if at >= 0 else 0
        if len(self.buffer) < end + 4 + size:
            return None
        status = int(self.buffer[9:12])
        self.buffer = b""
        return status


class Generator:
    """Feeds idle connections from the stream of requests; one thread, bounded by `seconds_max`."""

    def __init__(self, load: Load) -> None:
        self.load = load
        stream = requests(load)
        small = load.events * (len(load.template) + 300) <= PREBUILT_BYTES_MAX
        self.pending = iter(list(stream)) if small else stream
        self.connections = {c.socket.fileno(): c for c in (Connection(load.port) for _ in range(load.connections))}
        self.idle = list(self.connections.values())
        self.poll = select.epoll()
        for descriptor in self.connections:
            self.poll.register(descriptor, select.EPOLLIN)
        self.latencies: list[float] = []
        self.statuses: dict[str, int] = {}
        self.started = 0
        self.exhausted = False

    def _send_one(self) -> bool:
        request = next(self.pending, None)
        if request is None:
            self.exhausted = True
            return False
        connection = self.idle.pop()
        connection.since = time.perf_counter()
        connection.socket.sendall(request)
        self.started += 1
        return True

    def _due(self, begin: float) -> int:
        """How many requests may start now."""
        if not self.load.rate:
            return len(self.idle)
        planned = int((time.perf_counter() - begin) * self.load.rate / self.load.lines) + 1
        return min(len(self.idle), planned - self.started)

    def _collect(self, wait_seconds: float) -> None:
        for descriptor, _ in self.poll.poll(wait_seconds):
            connection = self.connections[descriptor]
            status = connection.answer()
            if status is None:
                continue
            self.latencies.append(time.perf_counter() - connection.since)
            name = str(status)
            self.statuses[name] = self.statuses.get(name, 0) + 1
            self.idle.append(connection)

    def run(self) -> Loaded:
        begin, cpu = time.perf_counter(), time.process_time()
        while not (self.exhausted and len(self.idle) == len(self.connections)):
            if time.perf_counter() - begin > self.load.seconds_max:
                raise TimeoutError(f"{len(self.latencies)} answers within {self.load.seconds_max} s: {self.statuses}")
            for _ in range(0 if self.exhausted else self._due(begin)):
                if not self._send_one():
                    break
            self._collect(0.001 if self.load.rate else 0.5)
        return self._result(time.perf_counter() - begin, time.process_time() - cpu)

    def _result(self, seconds: float, cpu: float) -> Loaded:
        ordered = sorted(self.latencies)
        done = len(ordered)
        return Loaded(
            events=min(self.load.events, done * self.load.lines),
            requests=done,
            seconds=seconds,
            cpu_seconds=cpu,
            ceiling=done / max(cpu, 1e-9),
            statuses=self.statuses,
            p50_ms=ordered[done // 2] * 1000,
            p99_ms=ordered[min(done - 1, done * 99 // 100)] * 1000,
            ended=time.monotonic(),
        )


def drive(load: Load, *, accepted: str = "202") -> Loaded:
    """Run the generator beside us. Raises when any answer was not `accepted`."""
    answer = run_json("bench.load", msgspec.to_builtins(load), seconds_max=load.seconds_max + 60.0)
    loaded = msgspec.convert(answer, Loaded)
    if set(loaded.statuses) != {accepted}:
        raise RuntimeError(f"not every request was accepted: {loaded.statuses} (see the log under {REPOSITORY})")
    return loaded


def main() -> None:
    load = msgspec.json.decode(sys.stdin.buffer.read(), type=Load)
    sys.stdout.buffer.write(msgspec.json.encode(Generator(load).run()))


if __name__ == "__main__":
    main()
