"""Accept → visible at the hub at 500 events a second: sender and subscriber in one process, on one clock.

`sent` starts when the request leaves and is the stricter one; `receipt` starts when the 202 is read.
"""

from __future__ import annotations

import json
import select
import socket
import time

from bench.agent import NUMBER, PLAIN, STREAM, agent, template
from bench.payloads import EVENT_BYTES
from bench.peers.nats_server import nats_server
from bench.results import Figure, Goal, Row
from bench.scale import Bench
from bench.wire import Wire

NAME = "latency"
RATE = 500
CONNECTIONS = 16
SETTLE_SECONDS = 5.0


class Probe:
    """Sends on a fixed schedule and notes, by intake sequence, when each event was sent, accepted and seen."""

    def __init__(self, port: int, wire: Wire) -> None:
        self.wire = wire
        self.sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]
        for connection in self.sockets:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.idle = list(self.sockets)
        self.since: dict[socket.socket, float] = {}
        self.sent: dict[int, float] = {}
        self.accepted: dict[int, float] = {}
        self.visible: dict[int, float] = {}
        before, after = template(EVENT_BYTES).split(NUMBER)
        self.before, self.after = before.encode(), after.encode()

    def _send(self, number: int) -> None:
        connection = self.idle.pop()
        body = b"%s%012d%s" % (self.before, number, self.after)
        head = b"POST /in/%s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n" % PLAIN.encode()
        self.since[connection] = time.perf_counter()
        connection.sendall(b"%sIdempotency-Key: l-%d\r\nContent-Length: %d\r\n\r\n%s" % (head, number, len(body), body))

    def _receive(self, wait_seconds: float) -> None:
        ready = select.select([self.wire.socket, *self.since], [], [], max(0.0, wait_seconds))[0]
        now = time.perf_counter()
        for connection in ready:
            if connection is self.wire.socket:
                self._see(now)
            else:
                self._accept(connection, now)

    def _see(self, now: float) -> None:
        for message in self.wire.poll():
            at = message.header.find(b"entrepot-origin:")
            if at >= 0:
                origin = message.header[at + 16 : message.header.find(b"\r\n", at)].strip()
                self.visible.setdefault(int(origin.split(b".")[1]), now)

    def _accept(self, connection: socket.socket, now: float) -> None:
        answer = connection.recv(65536)
        if not answer.startswith(b"HTTP/1.1 202"):
            raise RuntimeError(f"not accepted: {answer[:300]!r}")
        seq = int(json.loads(answer[answer.index(b"\r\n\r\n") + 4 :])["intake_seq"])
        self.sent[seq], self.accepted[seq] = self.since.pop(connection), now
        self.idle.append(connection)

    def run(self, events: int, first: int) -> None:
        """Open loop: a late answer delays nothing but its own connection. Raises when events stay unseen."""
        begin = time.perf_counter()
        for index in range(events):
            due = begin + index / RATE
            while (now := time.perf_counter()) < due or not self.idle:
                self._receive(due - now if self.idle else 1.0)
            self._send(first + index)
        deadline = time.perf_counter() + SETTLE_SECONDS
        while len(self.visible) < events and time.perf_counter() < deadline:
            self._receive(0.05)
        if missing := len(self.accepted.keys() - self.visible.keys()):
            raise RuntimeError(f"{missing} of {events} events were not seen at the hub")

    def percentile(self, starts: dict[int, float], share: float) -> float:
        """Milliseconds."""
        spans = sorted(self.visible[seq] - start for seq, start in starts.items())
        return spans[min(len(spans) - 1, int(len(spans) * share))] * 1000

    def close(self) -> None:
        for connection in self.sockets:
            connection.close()


def _subscribe(wire: Wire) -> None:
    """A push consumer from now on: what it delivers has been stored, unlike a plain subscription's."""
    subject = f"SEEN{wire.inbox}"
    # The server delivers to a subject that is subscribed to by its exact name; the inbox's wildcard is not enough.
    wire.subscribe(subject)
    config = {"deliver_subject": subject, "deliver_policy": "new", "ack_policy": "none"}
    wire.request(f"$JS.API.CONSUMER.CREATE.{STREAM}", {"stream_name": STREAM, "config": config})


def run(bench: Bench) -> list[Row]:
    if not bench.with_agent:
        return []
    events, directory = bench.size(10_000, 2_500), bench.directory("latency")
    figures: dict[str, list[float]] = {"p99 sent": [], "p50 sent": [], "p99 receipt": [], "p50 receipt": []}
    with nats_server(directory) as hub, agent(directory, hub.port) as ours:
        with Wire(hub.port) as wire:
            ours.feed(200)
            wire.wait_for_last(STREAM, 200, seconds_max=30.0)
        for index in range(bench.rounds):
            with Wire(hub.port) as wire:
                _subscribe(wire)
                probe = Probe(ours.port, wire)
                probe.run(events, 1_000_000 + index * events)
                probe.close()
            for name, values in figures.items():
                share, start = name.split()
                starts = probe.sent if start == "sent" else probe.accepted
                values.append(probe.percentile(starts, 0.99 if share == "p99" else 0.5))
    return [_row(name, values) for name, values in figures.items()]


def _row(name: str, values: list[float]) -> Row:
    share, start = name.split()
    goal = Goal(figure=30.0, most=True) if name == "p99 sent" else Goal()
    what = f"{start} → visible at the hub, {RATE} events/s, {share}"
    return Row(measure=NAME, what=what, ours=Figure("ms", values), goal=goal)
