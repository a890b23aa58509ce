"""Asks the agent's own listener, as a sender would."""

from __future__ import annotations

import ssl

import anyio

from runtime.gateway.settings import parse_listen

ANSWER_SECONDS_MAX = 5.0
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
_QUESTION = b"GET /live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


async def listener_trouble(address: str, *, encrypted: bool) -> str:
    """Why nobody can send to `host:port`; empty when somebody can. With TLS a connection is all that is tried."""
    host, port = parse_listen(address)
    try:
        with anyio.fail_after(ANSWER_SECONDS_MAX):
            async with await anyio.connect_tcp(_ANYWHERE.get(host, host), port) as stream:
                if encrypted:
                    return ""
                await stream.send(_QUESTION)
                answer = await stream.receive(64)
    except (OSError, ssl.SSLError, TimeoutError, anyio.EndOfStream, anyio.BrokenResourceError) as error:
        return f"the listener at {address} does not answer ({type(error).__name__})"
    words = answer.split(b" ", 2)
    if len(words) > 1 and words[1] == b"200":
        return ""
    return f"the listener at {address} answers {words[1].decode('ascii', 'replace') if len(words) > 1 else 'nothing'}"
