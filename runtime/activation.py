"""Listening sockets that the service manager opened for us (protocol of sd_listen_fds).

They stay open there while we restart, crash or are upgraded, so callers wait instead of being refused.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping, Sequence

from runtime.errors import ConfigError
from runtime.gateway.settings import is_loopback

HANDLE_FIRST = 3
"""Of sd_listen_fds(3): the first handle that is handed over."""
_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
_HINT = "the .socket unit may only have lines ListenStream=ADDRESS:PORT (systemctl cat entrepot.socket)"


def take_sockets(environment: MutableMapping[str, str] = os.environ, first: int = HANDLE_FIRST) -> list[socket.socket]:
    """The sockets meant for this process, in the order of the unit; none when it was started otherwise.

    Forgets the variables, so that no child takes the sockets for its own. Raises `ConfigError` for any other kind.
    """
    process, count, names = (environment.pop(variable, "") for variable in _VARIABLES)
    if process != str(os.getpid()) or not count.isdecimal():
        return []
    known = names.split(":")
    return [_listener(first + n, known[n] if n < len(known) else "") for n in range(int(count))]


def require_agreement(sockets: Sequence[socket.socket], listen: str) -> None:
    """Sources may be open because `gateway.listen` is loopback: the sockets must then be so too. Raises `ConfigError`."""
    if not is_loopback(listen):
        return
    for address in map(name, sockets):
        if not is_loopback(address):
            raise ConfigError(
                f'gateway.listen is "{listen}", this machine only, but the service manager listens on {address}',
                hint="give gateway.listen and ListenStream= of the .socket unit the same address",
            )


def name(listener: socket.socket) -> str:
    """`host:port`, as gateway.listen writes it."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _listener(handle: int, called: str) -> socket.socket:
    at = f"the service manager handed over {called or 'a handle'} (number {handle})"
    try:
        found = socket.socket(fileno=handle)
    except OSError as error:
        raise ConfigError(f"{at}, which is no socket ({error.strerror})", hint=_HINT) from None
    kind = _wrong_kind(found)
    if kind:
        found.detach()
        raise ConfigError(f"{at}, {kind}; webhooks need a listening TCP socket", hint=_HINT)
    found.set_inheritable(False)
    found.setblocking(False)
    return found


def _wrong_kind(found: socket.socket) -> str:
    if found.family not in {socket.AF_INET, socket.AF_INET6}:
        return f"a socket of the family {socket.AddressFamily(found.family).name}"
    if found.type != socket.SOCK_STREAM:
        return f"a socket of the type {socket.SocketKind(found.type).name}"
    if not found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return "a socket that does not listen"
    return ""
