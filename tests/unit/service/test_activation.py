"""Sockets of the service manager: taken once, by the process they are meant for, and only if they can serve webhooks."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from runtime.activation import name, require_agreement, take_sockets
from runtime.errors import ConfigError


@pytest.fixture
def handles() -> Iterator[list[int]]:
    """Handles next to each other, as systemd passes them; closed at the end if still open."""
    given = [200, 201]
    assert not any(map(_is_open, given))
    yield given
    for handle in filter(_is_open, given):
        os.close(handle)


def _is_open(handle: int) -> bool:
    try:
        os.fstat(handle)
    except OSError:
        return False
    return True


def offered(count: int, names: str = "", process: int | None = None) -> dict[str, str]:
    return {
        "LISTEN_PID": str(process or os.getpid()),
        "LISTEN_FDS": str(count),
        "LISTEN_FDNAMES": names,
        "PATH": "/bin",
    }


def test_sockets_are_taken_in_order_and_the_variables_are_forgotten(handles: list[int]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        for sock, handle in zip((one, two), handles, strict=False):
            os.dup2(sock.fileno(), handle)
        environment = offered(2, "entrepot.socket:entrepot.socket")
        taken = take_sockets(environment, handles[0])
        assert [s.getsockname() for s in taken] == [one.getsockname(), two.getsockname()]
        assert [name(s) for s in taken] == [f"127.0.0.1:{s.getsockname()[1]}" for s in (one, two)]
        assert not any(s.get_inheritable() or s.getblocking() for s in taken)
        assert environment == {"PATH": "/bin"}
        for sock in taken:
            sock.close()


def test_sockets_of_another_process_are_not_touched(handles: list[int]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as one:
        os.dup2(one.fileno(), handles[0])
        environment = offered(1, process=os.getpid() + 1)
        assert take_sockets(environment, handles[0]) == []
        assert _is_open(handles[0])
        assert environment == {"PATH": "/bin"}


@pytest.mark.parametrize("environment", [{}, {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "many"}])
def test_without_a_clear_offer_there_are_none(environment: dict[str, str]) -> None:
    assert take_sockets(dict(environment)) == []


@pytest.mark.parametrize(
    ("family", "kind", "complaint"),
    [
        (socket.AF_UNIX, socket.SOCK_STREAM, "the family AF_UNIX"),
        (socket.AF_INET, socket.SOCK_DGRAM, "the type SOCK_DGRAM"),
        (socket.AF_INET, socket.SOCK_STREAM, "does not listen"),
    ],
)
def test_a_socket_of_a_wrong_kind_is_one_clear_sentence(
    handles: list[int], family: socket.AddressFamily, kind: socket.SocketKind, complaint: str
) -> None:
    with socket.socket(family, kind) as wrong:
        os.dup2(wrong.fileno(), handles[0])
    with pytest.raises(ConfigError, match=f"handed over web .*{complaint}") as caught:
        take_sockets(offered(1, "web"), handles[0])
    assert "ListenStream" in caught.value.hint


def test_a_pipe_is_no_socket(handles: list[int]) -> None:
    ends = os.pipe()
    os.dup2(ends[0], handles[0])
    for end in ends:
        os.close(end)
    with pytest.raises(ConfigError, match="is no socket"):
        take_sockets(offered(1), handles[0])


def test_an_open_listener_is_refused_where_the_configuration_says_this_machine_only() -> None:
    with socket.create_server(("0.0.0.0", 0)) as everywhere:
        with pytest.raises(ConfigError, match=r"this machine only, but the service manager listens on 0\.0"):
            require_agreement([everywhere], "127.0.0.1:8080")
        require_agreement([everywhere], "0.0.0.0:8080")
    with socket.create_server(("127.0.0.1", 0)) as local:
        require_agreement([local], "127.0.0.1:8080")
