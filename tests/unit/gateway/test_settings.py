"""The listen address is understood, and no limit can be switched off."""

from __future__ import annotations

import msgspec
import pytest

from runtime.errors import ConfigError
from runtime.gateway.settings import GatewaySettings, is_loopback, parse_listen


@pytest.mark.parametrize(
    ("listen", "host", "port"),
    [("127.0.0.1:8080", "127.0.0.1", 8080), ("[::1]:0", "::1", 0), ("host:65535", "host", 65535)],
)
def test_an_address_is_host_and_port(listen: str, host: str, port: int) -> None:
    assert parse_listen(listen) == (host, port)


@pytest.mark.parametrize("listen", ["", "8080", ":8080", "host:", "host:x", "host:65536", "host:-1", "host:８０"])
def test_a_wrong_address_is_named_with_an_example(listen: str) -> None:
    with pytest.raises(ConfigError, match="host:port"):
        parse_listen(listen)


@pytest.mark.parametrize(
    ("listen", "loopback"),
    [
        ("127.0.0.1:1", True),
        ("127.9.9.9:1", True),
        ("[::1]:1", True),
        ("localhost:1", True),
        ("0.0.0.0:1", False),
        ("[::]:1", False),
        ("192.0.2.1:1", False),
        ("localhost.example:1", False),
    ],
)
def test_loopback_is_what_only_this_machine_reaches(listen: str, loopback: bool) -> None:
    assert is_loopback(listen) is loopback


@pytest.mark.parametrize("key", [k for k in GatewaySettings.__struct_fields__ if k not in {"listen", "compressed"}])
def test_no_limit_can_be_switched_off(key: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({key: 0}, GatewaySettings)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({key: -1}, GatewaySettings)


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="body_byte_max"):
        msgspec.convert({"body_byte_max": 5}, GatewaySettings)
