"""A sender of rubbish at a steady rate, in a process of its own: forged signatures, broken JSON, bodies far too large.

`python -m bench.rubbish` reads a `Rubbish` as JSON on stdin and writes the answers by kind and status on stdout.
"""

from __future__ import annotations

import socket
import sys
import time
from collections import Counter
from itertools import cycle

import msgspec
from msgspec import Struct

from bench.payloads import signature

ANSWER_BYTES_MAX = 65_536
OVERSIZED_BYTES = 50_000_000
"""Announced, and never sent: the head alone says enough."""


class Rubbish(Struct, kw_only=True):
    """What to send to a signed source, in turn, for `seconds`."""

    port: int
    source: str
    secret: str
    rate: float
    seconds: float


def requests(rubbish: Rubbish) -> dict[str, bytes]:
    """One request of each kind. Broken JSON is signed, so it is kept and becomes a letter: the costly kind."""
    good, broken = b'{"kind": "stock.adjustment"}', b'{"kind": "stock.adj'
    secret = rubbish.secret.encode()
    return {
        "forged": _request(rubbish, good, signature(b"another secret", good), len(good)),
        "no signature": _request(rubbish, good, b"zz", len(good)),
        "broken": _request(rubbish, broken, signature(secret, broken), len(broken)),
        "oversized": _request(rubbish, b"", b"00" * 32, OVERSIZED_BYTES),
        "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n",
    }


def _request(rubbish: Rubbish, body: bytes, sign: bytes, length: int) -> bytes:
    head = b"POST /in/%s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nX-Signature: %s\r\n"
    return head % (rubbish.source.encode(), sign) + b"Content-Length: %d\r\n\r\n%s" % (length, body)


def send(rubbish: Rubbish) -> dict[str, int]:
    """Open loop while the answers keep up. A connection that the gateway closes is made anew."""
    kinds = cycle(requests(rubbish).items())
    answers: Counter[str] = Counter()
    connection: socket.socket | None = None
    begin = time.perf_counter()
    for number in range(int(rubbish.rate * rubbish.seconds)):
        time.sleep(max(0.0, begin + number / rubbish.rate - time.perf_counter()))
        if time.perf_counter() - begin > rubbish.seconds:
            break
        kind, request = next(kinds)
        connection = connection or socket.create_connection(("127.0.0.1", rubbish.port), timeout=10.0)
        try:
            connection.sendall(request)
            answer = connection.recv(ANSWER_BYTES_MAX)
        except OSError:
            answer = b""
        answers[f"{kind} {answer[9:12].decode() or 'closed'}"] += 1
        if not answer or b"Connection: close" in answer:
            connection.close()
            connection = None
    return dict(answers)


def main() -> None:
    rubbish = msgspec.json.decode(sys.stdin.buffer.read(), type=Rubbish)
    sys.stdout.buffer.write(msgspec.json.encode(send(rubbish)))


if __name__ == "__main__":
    main()
