"""Only the configured host is ever spoken to, and only at addresses that its networks allow (see `unit/policy`)."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.sdk.partner import Partner
from adapters.sdk.pin import pin
from runtime.errors import ConfigError, Permanent, Refused, Retryable

HOST = pin("https://api.example/v1", [])


@pytest.mark.parametrize(
    "url",
    ["https://api.example/v1?x=1", "https://API.example:443/v1?x=1", "HTTPS://api.example/v1?x=1"],
)
def test_an_address_on_the_host_is_spelled_from_the_pin(url: str) -> None:
    assert HOST.within(url) == "https://api.example/v1?x=1"


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
    assert found.startswith("https://api.example/")
    assert "\\" not in found


@pytest.mark.parametrize("url", ["http://localhost:8080/x", "http://127.0.0.1/x", "https://[::1]:8443/x"])
def test_this_machine_must_be_opened(url: str) -> None:
    with pytest.raises(ConfigError):
        pin(url, [])
    assert pin(url, ["loopback"]).within(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://wms.site/x", "http://10.0.0.1/x", "http://partner.example/", "https://api.example/x#y", "https://api.example#y",
        "https://me@api.example/", "https://api.example:99999/",
    ],
)  # fmt: skip
def test_no_opened_network_lets_a_login_go_in_the_clear_or_to_a_doubtful_host(url: str) -> None:
    with pytest.raises(ConfigError):
        pin(url, ["private", "loopback"])


@pytest.mark.parametrize("networks", [["private"], ["loopback"]])
def test_one_network_does_not_open_the_other(networks: list[Any]) -> None:
    addresses = {"private": "https://10.0.0.1/", "loopback": "https://127.0.0.1/"}
    assert pin(addresses.pop(networks[0]), networks)
    with pytest.raises(ConfigError, match="leads to"):
        pin(*addresses.values(), networks)


async def answers(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Asks a partner whose name leads there."""

    async def lookup(_: object, host: str, port: int, family: Any) -> list[dict[str, Any]]:
        found = {"hostname": host, "port": port, "family": socket.AF_INET, "proto": 0, "flags": 0}
        return [found | {"host": address} for address in addresses]

    monkeypatch.setattr("aiohttp.ThreadedResolver.resolve", lookup)
    async with Partner(HOST, seconds_max=5, bytes_max=100) as made:
        await made.ask("https://api.example/", {})


@pytest.mark.anyio
@pytest.mark.parametrize("address", ["169.254.169.254", "10.0.0.7", "127.0.0.1"])
async def test_a_name_that_leads_inside_is_refused_before_anybody_connects(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    with pytest.raises(Refused, match="leads to an address that is") as caught:
        await answers(monkeypatch, "8.8.8.8", address)
    assert "networks = " in caught.value.hint


@pytest.mark.anyio
async def test_the_connection_goes_to_an_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is looked up once: what a second look-up would say does not matter any more."""
    asked: list[Any] = []

    async def connect(*_: Any, **options: Any) -> Any:
        asked.append(list(options["addr_infos"]))
        raise OSError("no network in a test")

    monkeypatch.setattr("aiohttp.connector.aiohappyeyeballs.start_connection", connect)
    with pytest.raises(Retryable, match="cannot be reached"):
        await answers(monkeypatch, "8.8.8.8", "9.9.9.9")
    assert [[info[4][0] for info in infos] for infos in asked][:1] == [["8.8.8.8", "9.9.9.9"]]
