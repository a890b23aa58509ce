"""Sources that ask and targets that send refuse the same addresses, written down or behind a name."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec
import pytest

from adapters.http_target import TARGET as HTTP
from adapters.rest_poll import ADAPTER as REST_POLL
from adapters.sdk.follower import FollowSettings, check_following
from adapters.sdk.outbound import OutboundSettings, open_door, read_door
from adapters.sdk.partner import Partner
from adapters.sdk.pin import pin
from adapters.sdk.target_conformance import delivery
from adapters.webhook_out import TARGET as WEBHOOK_OUT
from runtime.errors import ConfigError, EntrepotError
from runtime.ports import TargetContext

SPECIAL = (
    "169.254.169.254", "168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254", "0.0.0.0", "::",
    "169.254.1.1", "fe80::1", "fec0::1", "224.0.0.1", "ff02::1", "240.0.0.1", "255.255.255.255", "198.18.0.1", "192.88.99.1",
    "192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "2001::1", "2002:a00:1::", "64:ff9b:1::1", "4000::1",
    "::ffff:169.254.169.254", "::ffff:168.63.129.16", "64:ff9b::a9fe:a9fe", "::127.0.0.1",
)  # fmt: skip
"""Refused however wide the settings of a kind open."""
SITE = (
    "127.0.0.1",
    "127.9.9.9",
    "::1",
    "::ffff:127.0.0.1",
    "10.0.0.7",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "fd12::1",
)
"""Refused until a setting opens them."""

ASKS: dict[str, Any] = {"networks": ["private", "loopback"]}
SENDS: dict[str, Any] = {"allow_private": True}
"""The widest that each kind can be opened as a whole."""


def check(adapter: Any, settings: Mapping[str, Any]) -> None:
    adapter.check(msgspec.convert(settings, adapter.settings), loopback=False)


def check_follow(settings: Mapping[str, Any]) -> None:
    check_following(msgspec.convert(settings, FollowSettings))


LOGIN = {"client_id": "me", "secret": "secret://id"}


def check_token(kind: str, settings: Mapping[str, Any]) -> None:
    """The same for whoever gives tokens: the address is that of `token_url`, and `url` is harmless."""
    address, rest = settings["url"], {**settings, "url": "https://8.8.8.8/x"}
    if kind == "http":
        check(HTTP, {**rest, "auth": {**LOGIN, "token_url": address}})
        return
    given = {**rest, "login": {**LOGIN, "kind": "oauth2", "token_url": address}}
    check(REST_POLL, given) if kind == "rest_poll" else check_follow(given)


KINDS: dict[str, tuple[Callable[[Mapping[str, Any]], None], dict[str, Any]]] = {
    "rest_poll": (partial(check, REST_POLL), ASKS),
    "follow": (check_follow, ASKS),
    "webhook_out": (partial(check, WEBHOOK_OUT), {**SENDS, "secrets": ["secret://new"]}),
    "http": (partial(check, HTTP), SENDS),
    "tokens of rest_poll": (partial(check_token, "rest_poll"), ASKS),
    "tokens of follow": (partial(check_token, "follow"), ASKS),
    "tokens of http": (partial(check_token, "http"), SENDS),
}


def closed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The same, with nothing opened."""
    return {key: value for key, value in settings.items() if key not in {*ASKS, *SENDS}}


def url(address: str) -> str:
    return f"https://[{address}]/x" if ":" in address else f"https://{address}/x"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("address", SPECIAL)
def test_a_special_address_is_refused_by_every_kind_however_wide_it_is_open(kind: str, address: str) -> None:
    checked, settings = KINDS[kind]
    for given in (settings, closed(settings)):
        with pytest.raises(ConfigError, match="leads to"):
            checked({**given, "url": url(address)})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("address", SITE)
def test_an_address_of_the_site_is_refused_by_every_kind_until_it_is_opened(kind: str, address: str) -> None:
    checked, settings = KINDS[kind]
    with pytest.raises(ConfigError, match="leads to"):
        checked({**closed(settings), "url": url(address)})
    checked({**settings, "url": url(address)})


@pytest.mark.parametrize("kind", KINDS)
def test_this_machine_by_its_usual_name_is_refused_by_every_kind_until_it_is_opened(kind: str) -> None:
    checked, settings = KINDS[kind]
    with pytest.raises(ConfigError, match="this machine"):
        checked({**closed(settings), "url": "https://localhost/x"})
    checked({**settings, "url": "https://localhost/x"})


async def ask(opened: bool) -> None:
    """As a source does."""
    place = pin("https://partner.example/", ASKS["networks"] if opened else [])
    async with Partner(place, seconds_max=5, bytes_max=100) as made:
        await made.ask("https://partner.example/", {})


async def send(opened: bool) -> None:
    """As a target does."""
    settings = OutboundSettings(url="https://partner.example/", allow_private=opened)
    context = TargetContext(
        name="partner", region="eu-de", secret=lambda _: b"", directory=".", log=lambda *_, **__: None, now_us=lambda: 0
    )  # fmt: skip
    made = open_door(read_door(settings), settings, context)
    try:
        await made.send("POST", "/", headers={}, body=b"", answer_bytes_max=1)
    finally:
        await made.close()


async def ask_for_a_token(opened: bool) -> None:
    """As a target does."""
    auth = {**LOGIN, "token_url": "https://partner.example/token"}
    settings = msgspec.convert({"url": "https://8.8.8.8/", "allow_private": opened, "auth": auth}, HTTP.settings)
    context = TargetContext(
        name="partner", region="eu-de", secret=lambda _: b"s", directory=".", log=lambda *_, **__: None, now_us=lambda: 0
    )  # fmt: skip
    made = HTTP.target(settings, context)
    try:
        await made.deliver(delivery())
    finally:
        await made.close()


@pytest.mark.anyio
@pytest.mark.parametrize("asks", [ask, send, ask_for_a_token], ids=["source", "target", "token"])
@pytest.mark.parametrize(("addresses", "opened"), [(SPECIAL, True), (SPECIAL, False), (SITE, False)])
async def test_a_name_that_leads_to_one_is_never_connected_to(
    monkeypatch: pytest.MonkeyPatch, asks: Any, addresses: tuple[str, ...], opened: bool
) -> None:
    connected: list[str] = []

    async def connect(*_: Any, **options: Any) -> Any:
        connected.extend(info[4][0] for info in options["addr_infos"])
        raise OSError("no network in a test")

    monkeypatch.setattr("aiohttp.connector.aiohappyeyeballs.start_connection", connect)
    for address in addresses:
        leading_to(monkeypatch, "8.8.8.8", address)
        with pytest.raises(EntrepotError, match="leads to an address that is"):
            await asks(opened)
    assert connected == []
    leading_to(monkeypatch, "8.8.8.8")
    with pytest.raises(EntrepotError, match="cannot be reached"):
        await asks(opened)
    assert set(connected) == {"8.8.8.8"}


def leading_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Every name, from now on."""

    async def lookup(_: object, host: str, port: int, family: Any) -> list[dict[str, Any]]:
        found = {"hostname": host, "port": port, "proto": 0, "flags": socket.AI_NUMERICHOST}
        return [found | {"host": one, "family": socket.AF_INET6 if ":" in one else socket.AF_INET} for one in addresses]

    monkeypatch.setattr("aiohttp.ThreadedResolver.resolve", lookup)
