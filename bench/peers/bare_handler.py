"""Peer: an aiohttp handler that reads the body and answers 202. No check, no disk: what the HTTP server alone can do."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvloop
from aiohttp import web

from bench.processes import free_port, running, wait_for_port

ANSWER = (
    b'{"region":"eu-de","epoch":1,"intake_seq":1,"sha256":"' + b"0" * 64 + b'",'
    b'"committed_at":"2026-01-02T03:04:05.678901Z","duplicate":false}'
)


async def accept(request: web.Request) -> web.Response:
    await request.read()
    return web.Response(status=202, body=ANSWER, content_type="application/json")


def main() -> None:
    uvloop.install()
    application = web.Application()
    application.router.add_post("/in/{source}", accept)
    web.run_app(application, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)


@contextmanager
def bare_handler(directory: Path) -> Iterator[int]:
    """Port of a running bare handler in a process of its own."""
    port, log = free_port(), directory / "bare.log"
    with running([sys.executable, "-m", "bench.peers.bare_handler", str(port)], log=log) as process:
        wait_for_port(port, process=process, log=log)
        yield port


if __name__ == "__main__":
    main()
