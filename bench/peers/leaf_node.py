"""Peer: a NATS leaf node with JetStream in the region, and a hub stream that sources the leaf's stream.

The usual way to get store-and-forward without writing anything: what Entrepot has to be better than.
"""

from __future__ import annotations

import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from bench.payloads import EVENT_BYTES, nats_headers
from bench.peers import fast_ingest
from bench.peers.nats_server import NatsServer
from bench.wire import READ_BYTES_MAX, Wire

STREAM, COPY, SUBJECT = "REGION", "CENTRE", "ev.eu-de.realtime.stock.adjusted"
WINDOW = 256


class Pair(Struct):
    """A hub and the leaf connected to it."""

    hub: NatsServer
    leaf: NatsServer


class Recovery(Struct, frozen=True):
    """Seconds after the hub answered again."""

    first_seconds: float
    all_seconds: float


@contextmanager
def pair(directory: Path, *, sync_always: bool) -> Iterator[Pair]:
    """Both started, the stream in the leaf, its copy in the hub, connected and proven by one event."""
    hub = NatsServer(directory, name="hub")
    leaf = NatsServer(directory, name="leaf", sync_always=sync_always)
    leaf.remote = hub.leaf_port
    try:
        hub.start()
        leaf.start()
        _streams(hub, leaf)
        yield Pair(hub, leaf)
    finally:
        leaf.stop()
        hub.stop()


def _streams(hub: NatsServer, leaf: NatsServer) -> None:
    with Wire(leaf.port) as wire:
        wire.stream_create(STREAM, [SUBJECT], allow_batched=True)
    with Wire(hub.port) as wire:
        external = {"api": "$JS.leaf.API", "deliver": ""}
        wire.stream_create(COPY, [], sources=[{"name": STREAM, "external": external}])
    with Wire(leaf.port) as wire:
        publish(wire, 1)
    with Wire(hub.port) as wire:
        wire.wait_for_last(COPY, 1, seconds_max=60.0)


def publish(wire: Wire, count: int, *, window: int = WINDOW, seconds_max: float = 120.0) -> float:
    """Seconds for `count` single publishes with at most `window` unacknowledged; every one is acknowledged."""
    payload, inbox = b"x" * EVENT_BYTES, f"{wire.inbox}.p"
    frames = []
    for n in range(count):
        header = nats_headers(n) + b"\r\n"
        sizes = f"{len(header)} {len(header) + EVENT_BYTES}"
        frames.append(f"HPUB {SUBJECT} {inbox} {sizes}\r\n".encode() + header + payload + b"\r\n")
    begin = time.monotonic()
    sent = acked = 0
    tail = b""
    while acked < count:
        if (room := window - (sent - acked)) > 0 and sent < count:
            wire.socket.sendall(b"".join(frames[sent : sent + room]))
            sent = min(count, sent + room)
        if not select.select([wire.socket], [], [], max(0.0, begin + seconds_max - time.monotonic()))[0]:
            raise TimeoutError(f"the leaf acknowledged {acked} of {count} within {seconds_max} s")
        data = tail + wire.socket.recv(READ_BYTES_MAX)
        if b'"error":' in data:
            raise RuntimeError(f"the leaf refused: {data[-300:]!r}")
        end = data.rfind(b"\r\n") + 2
        acked += data[:end].count(b'"seq":')
        tail = data[end:]
    return time.monotonic() - begin


def durable_rate(leaf: NatsServer, count: int) -> float:
    """Events per second, each flushed before its acknowledgement (the leaf runs with `sync_interval: always`)."""
    with Wire(leaf.port) as wire:
        return count / publish(wire, count)


def recover(servers: Pair, count: int, *, seconds_max: float) -> Recovery:
    """Kill the hub, let `count` events into the leaf, start the hub, time the first and the last event there.

    The events enter with fast ingest, so the outage is short whatever `count` is; that is not in the times.
    """
    with Wire(servers.hub.port) as wire:
        had = wire.stream_last(COPY)
    servers.hub.kill()
    with Wire(servers.leaf.port) as wire:
        fast_ingest.blast(wire, fast_ingest.build(wire, SUBJECT, count, first=wire.stream_last(STREAM)))
    back = servers.hub.start()
    with Wire(servers.hub.port) as wire:
        first = wire.wait_for_last(COPY, had + 1, seconds_max=seconds_max)
        last = wire.wait_for_last(COPY, had + count, seconds_max=seconds_max, poll_seconds=0.05)
    return Recovery(first - back, last - back)
