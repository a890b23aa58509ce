"""Only the configured host is ever spoken to, and only at addresses that its networks allow."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.sdk.addresses import judge, pin
from adapters.sdk.partner import CheckedResolver, Partner
from runtime.errors import ConfigError, Permanent, Refused, Retryable

HOST = pin("https://api.example/v1", [])


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses_may_be_connected_to(address: str) -> None:
    judge(address, [])


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("127.0.0.1", "loopback"), ("127.9.9.9", "loopback"), ("::1", "loopback"), ("::ffff:127.0.0.1", "loopback"),
        ("10.1.2.3", "private"), ("172.16.0.1", "private"), ("192.168.1.1", "private"), ("100.64.0.1", "private"),
        ("fd00::1", "private"), ("::ffff:10.0.0.1", "private"), ("64:ff9b::a00:1", "private"), ("2002:a00:1::", "private"),
    ],
)  # fmt: skip
def test_a_network_is_closed_until_a_setting_opens_it(address: str, network: Any) -> None:
    with pytest.raises(Refused, match=network):
        judge(address, [])
    judge(address, [network])


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "fe80::1", "fe80::1%eth0", "0.0.0.0", "::", "224.0.0.1", "255.255.255.255", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe"],
)  # fmt: skip
def test_metadata_services_and_special_addresses_are_never_connected_to(address: str) -> None:
    with pytest.raises(Refused):
        judge(address, ["private", "loopback"])


@pytest.mark.parametrize(
    "url",
    ["https://api.example/v1?x=1", "https://API.example:443/v1?x=1", "HTTPS://api.example/v1?x=1"],
)
def test_an_address_on_the_host_is_spelled_from_the_pin(url: str) -> None:
    assert HOST.within(url) == "https://api.example:443/v1?x=1"


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example/", "https://api.example:444/", "https://evil.example/", "https://api.example.evil.example/",
        "https://api.example@evil.example/", "https://evil.example\\@api.example/", "//api.example/", "/v1", "",
        "https://api.example\\.evil.example/", "https://api.example/a b", "https://api.example/\r\nHost: evil",
        "https://api.example/\\evil.example", "https://me@api.example/", "https://[::1", "https://api.example:x/",
    ],
)  # fmt: skip
def test_everything_else_is_refused(url: str) -> None:
    with pytest.raises(Permanent):
        HOST.within(url)


@given(
    st.text() | st.text(alphabet="https:/@.api.example\\[]:?#%0443 \t").map(lambda tail: "https://api.example" + tail)
)
def test_whatever_a_partner_names_the_request_begins_with_the_pinned_origin(url: str) -> None:
    try:
        found = HOST.within(url)
    except Permanent:
        return
    assert found.startswith("https://api.example:443/")
    assert "\\" not in found


@pytest.mark.parametrize("url", ["http://localhost:8080/x", "http://127.0.0.1/x", "https://[::1]:8443/x"])
def test_this_machine_must_be_opened(url: str) -> None:
    with pytest.raises(ConfigError):
        pin(url, [])
    assert pin(url, ["loopback"]).within(url)


async def answers(pin_host: str, address: str, networks: list[Any]) -> Partner:
    made = Partner(pin(f"https://{pin_host}/", networks), seconds_max=5, bytes_max=100)
    async with made:
        resolver = made._session.connector._resolver  # type: ignore[union-attr]
        assert isinstance(resolver, CheckedResolver)

        async def lookup(host: str, port: int, family: Any) -> list[dict[str, Any]]:
            found = {"hostname": host, "host": address, "port": port, "family": socket.AF_INET, "proto": 0, "flags": 0}
            return [found | {"host": "8.8.8.8"}, found]

        resolver._resolver.resolve = lookup
        await made.ask(f"https://{pin_host}/", {})
    return made


@pytest.mark.anyio
@pytest.mark.parametrize("address", ["169.254.169.254", "10.0.0.7", "127.0.0.1"])
async def test_a_name_that_leads_inside_is_refused_before_anybody_connects(address: str) -> None:
    with pytest.raises(Refused, match="network"):
        await answers("rebound.example", address, [])


@pytest.mark.anyio
async def test_the_connection_goes_to_an_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is looked up once: what a second look-up would say does not matter any more."""
    asked: list[Any] = []

    async def connect(*_: Any, **options: Any) -> Any:
        asked.append(list(options["addr_infos"]))
        raise OSError("no network in a test")

    monkeypatch.setattr("aiohttp.connector.aiohappyeyeballs.start_connection", connect)
    with pytest.raises(Retryable, match="cannot be reached"):
        await answers("fine.example", "9.9.9.9", [])
    assert [[info[4][0] for info in infos] for infos in asked][:1] == [["8.8.8.8", "9.9.9.9"]]
