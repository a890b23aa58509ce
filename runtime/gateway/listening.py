"""The sockets that a gateway listens on: bound anew, or taken over where the address stays.

A duplicate shares the queue of its original: who waits in it is served by whoever accepts next, and nobody is refused.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import anyio

from runtime.errors import ConfigError
from runtime.gateway.settings import GatewaySettings, parse_listen

_LACKING = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


async def bind(settings: GatewaySettings, beside: Sequence[socket.socket] = ()) -> list[socket.socket]:
    """Sockets that queue connections to `settings.listen`, also on a port that those `beside` hold. Raises `ConfigError`."""
    host, port = parse_listen(settings.listen)
    try:
        found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        with _sharing(one for one in beside if port and one.getsockname()[1] == port) as shared, ExitStack() as undo:
            opened = _bind_all({(family, where): None for family, _, _, _, where in found}, undo, shared=shared)
            for one in opened:
                one.listen(settings.backlog_max)  # looks once more whether the port is free
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)
            undo.pop_all()
            return opened
    except OSError as error:
        reason = (
            "is taken by another process" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
        )
        raise ConfigError(
            f'gateway.listen: "{settings.listen}" {reason}',
            hint="choose another port, or stop what listens there (ss -ltnp)",
        ) from error


def take_over(sockets: Sequence[socket.socket]) -> list[socket.socket]:
    """The same addresses for somebody else; the originals may be closed. Raises `ConfigError` without a free handle."""
    with ExitStack() as undo:
        try:
            taken = [undo.enter_context(_duplicate(one)) for one in sockets]
        except OSError as error:
            raise ConfigError(f"gateway: the listening socket cannot be taken over ({error.strerror})") from error
        undo.pop_all()
        return taken


def close(sockets: Sequence[socket.socket]) -> None:
    """Who waits in their queues connects anew."""
    for one in sockets:
        one.close()


def _bind_all(
    addresses: Iterable[tuple[int, tuple[str, int]]], undo: ExitStack, *, shared: bool
) -> list[socket.socket]:
    """A name may have addresses of a kind that this machine lacks (IPv6): one that can be had is enough."""
    opened: list[socket.socket] = []
    lacking: OSError | None = None
    for family, where in addresses:
        try:
            opened.append(undo.enter_context(_bind(family, where, shared=shared)))
        except OSError as error:
            if error.errno not in _LACKING:
                raise
            lacking = error
    if lacking is not None and not opened:
        raise lacking
    return opened


def _bind(family: int, where: tuple[str, int], *, shared: bool) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setblocking(False)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shared)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(where)
    except BaseException:
        bound.close()
        raise
    return bound


def _duplicate(one: socket.socket) -> socket.socket:
    # Not `dup()`: what the event loop has made of it must not be copied, only the handle.
    return socket.socket(fileno=os.dup(one.fileno()))


@contextmanager
def _sharing(sockets: Iterator[socket.socket]) -> Iterator[bool]:
    """Let "every address" and one of them hold the same port for a moment; to other processes it stays taken."""
    held = list(sockets)
    for one in held:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        yield bool(held)
    finally:
        for one in held:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)
