"""Peer: frames built before the clock starts, blasted with JetStream fast ingest (ADR-50). The hub's own ceiling."""

from __future__ import annotations

import select
import time

from msgspec import Struct

from bench.payloads import EVENT_BYTES, nats_headers
from bench.wire import READ_BYTES_MAX, Wire

FLOW = 500
OUTSTANDING_ACKS = 4
CHUNK_FRAMES = 100
START, APPEND, COMMIT = 0, 1, 2


class Blast(Struct, frozen=True):
    """What to send: chunks of whole frames, all built."""

    chunks: list[bytes]
    count: int
    inbox: str


def build(wire: Wire, subject: str, count: int, *, first: int = 0) -> Blast:
    """`first`: the stream's last sequence before the first frame, sent as the expected one."""
    inbox = f"{wire.inbox}.b{time.monotonic_ns():x}"
    payload = b"x" * EVENT_BYTES
    frames, chunks = [], []
    for n in range(1, count + 1):
        op = START if n == 1 else COMMIT if n == count else APPEND
        extra = b"Nats-Expected-Last-Sequence:%d\r\n" % first if n == 1 else b""
        header = nats_headers(first + n) + extra + b"\r\n"
        reply = f"{inbox}.{FLOW}.fail.{n}.{op}.$FI"
        sizes = f"{len(header)} {len(header) + len(payload)}"
        frames.append(f"HPUB {subject} {reply} {sizes}\r\n".encode() + header + payload + b"\r\n")
        # The first frame goes alone: the batch exists only once it is acknowledged.
        if n in {1, count} or len(frames) == CHUNK_FRAMES:
            chunks.append(b"".join(frames))
            frames = []
    return Blast(chunks, count, inbox)


def _number(text: bytes, key: bytes) -> int | None:
    """The last `"key":<digits>` in a buffer of answers."""
    at = text.rfind(key)
    if at < 0:
        return None
    digits = text[at + len(key) : at + len(key) + 20].split(b",")[0].split(b"}")[0]
    return int(digits) if digits.isdigit() else None


def blast(wire: Wire, what: Blast, *, seconds_max: float = 120.0) -> float:
    """Seconds from the first byte out to the commit's acknowledgement. Raises on an error or a stall."""
    sock = wire.socket
    begin = time.monotonic()
    sent = acked = 0
    window = 1
    tail = b""
    for chunk in what.chunks:
        frames = chunk.count(b"\r\nNATS/1.0\r\n")
        while sent > 0 and sent + frames - acked > window:
            tail = (tail + _read(wire, begin + seconds_max))[-8192:]
            acked = _number(tail, b'"seq":') or acked
            window = max(OUTSTANDING_ACKS * (_number(tail, b'"msgs":') or FLOW), CHUNK_FRAMES + 1)
        sock.sendall(chunk)
        sent += frames
    while b'"batch":' not in tail:
        tail = (tail + _read(wire, begin + seconds_max))[-8192:]
    seconds = time.monotonic() - begin
    wire.buffer.clear()
    if f'"count":{what.count}'.encode() not in tail:
        raise RuntimeError(f"the batch ended early: {tail[-300:]!r}")
    return seconds


def _read(wire: Wire, deadline: float) -> bytes:
    if not select.select([wire.socket], [], [], max(0.0, deadline - time.monotonic()))[0]:
        raise TimeoutError("fast ingest stalled: no acknowledgement")
    data = wire.socket.recv(READ_BYTES_MAX)
    if not data or b'"error":' in data or b"-ERR" in data:
        raise RuntimeError(f"fast ingest failed: {data[-500:]!r}")
    if b"PING\r\n" in data:
        wire.socket.sendall(b"PONG\r\n")
    return data


def rate(port: int, stream: str, subject: str, count: int) -> float:
    """Events per second into an existing stream with `allow_batched`, checked against the stream's own count."""
    with Wire(port) as wire:
        first = wire.stream_last(stream)
        seconds = blast(wire, build(wire, subject, count, first=first))
        if wire.stream_last(stream) != first + count:
            raise RuntimeError(f"{stream} does not hold what was sent")
        return count / seconds
