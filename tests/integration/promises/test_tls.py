"""Promise 7 where TLS goes wrong: the agent stays offline and accepts, never speaks in plain text, and comes back alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio.lowlevel
import pytest

from tests.support.authority import Authority
from tests.support.nats import NatsServer
from tests.support.region import Region, expected, fact, origins, stored, until

pytestmark = pytest.mark.anyio
WORD = "a-word-that-only-the-hub-may-see"
LOGIN = f'authorization {{ user: "eu-de", password: "{WORD}" }}\n'


def _server_tls(pair: tuple[Path, Path], more: str = "") -> str:
    return f'tls {{ cert_file: "{pair[0]}", key_file: "{pair[1]}", {more} }}\n{LOGIN}'


def _region(directory: Path, url: str, authority: Authority, more: str = "") -> Region:
    secrets = directory / "secrets"
    secrets.mkdir(parents=True)
    (secrets / "hub").write_text(WORD)
    login = f'user = "eu-de"\npassword = "secret://hub"\ntls_ca = "{authority.ca}"\n{more}'
    return Region(directory, url, hub_more=login, more='[secrets]\ndir = "secrets"')


async def _offline(region: Region, why: str, advice: str) -> None:
    """Offline with a reason and a next step, and still accepting."""

    async def told() -> bool:
        alerts = {alert["name"]: alert for alert in (await region.status()).get("alerts", [])}
        return why in str(alerts.get("hub_away", ""))

    await until(told, f"the alert names {why!r}; status {await region.status()}; {region.log[-1000:]}")
    status = await region.status()
    assert not status["hub_connected"]
    alert = next(alert for alert in status["alerts"] if alert["name"] == "hub_away")
    assert advice in str(alert), alert
    before = len(region.receipts)
    await region.persist([fact(before), fact(before + 1)])
    status = await region.status()
    assert status["pending"] + status["delivered"] == len(region.receipts)
    assert status["pending"] >= 2


async def _arrived(region: Region, hub: NatsServer, authority: Authority, **options: object) -> None:
    status = await region.settled(facts=len(region.receipts))
    assert status["balanced"]
    login = {"user": "eu-de", "password": WORD, "tls": authority.trusting(**options)}  # type: ignore[arg-type]
    assert origins(await stored(hub.url, **login)) == expected(region.receipts)


@pytest.mark.parametrize("wrong", ["authority", "expired", "host"])
async def test_promise_7_a_hub_that_cannot_prove_itself_gets_nothing_until_its_certificate_is_renewed(
    tmp_path: Path, wrong: str
) -> None:
    authority = Authority(tmp_path / "pki")
    stranger = Authority(tmp_path / "pki", "stranger")
    issue, why, advice = {
        "authority": (lambda: stranger.issue("bad"), "unable to get local issuer certificate", "tls_ca"),
        "expired": (lambda: authority.issue("bad", valid_days=-1), "certificate has expired", "renew"),
        "host": (lambda: authority.issue("bad", host="hub.example"), "IP address mismatch", "host name"),
    }[wrong]
    bad = issue()
    hub = NatsServer(tmp_path / "hub", extra=_server_tls(bad))
    region = _region(tmp_path / "region", hub.url, authority)
    async with hub, region:
        await _offline(region, why, advice)
        hub.configure(_server_tls(authority.issue("good")))
        hub.reload()
        await _arrived(region, hub, authority)
        assert WORD not in region.log


async def test_promise_7_a_certificate_of_the_hub_that_is_renewed_is_taken_up_alone(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "pki")
    hub = NatsServer(tmp_path / "hub", extra=_server_tls(authority.issue("first")))
    region = _region(tmp_path / "region", hub.url, authority)
    async with hub, region:
        await region.persist([fact(n) for n in range(10)])
        await region.settled(facts=10)
        hub.kill()
        await region.persist([fact(n) for n in range(10, 20)])
        hub.configure(_server_tls(authority.issue("second")))
        await hub.start()
        await _arrived(region, hub, authority)


async def test_promise_7_a_new_authority_of_the_hub_is_taken_up_from_its_file_without_a_restart(tmp_path: Path) -> None:
    authority, next_one = Authority(tmp_path / "pki"), Authority(tmp_path / "pki", "next")
    hub = NatsServer(tmp_path / "hub", extra=_server_tls(authority.issue("first")))
    region = _region(tmp_path / "region", hub.url, authority)
    async with hub, region:
        await region.persist([fact(n) for n in range(5)])
        await region.settled(facts=5)
        hub.kill()
        hub.configure(_server_tls(next_one.issue("second")))
        await hub.start()
        await _offline(region, "unable to get local issuer certificate", "tls_ca")
        authority.ca.write_bytes(authority.ca.read_bytes() + next_one.ca.read_bytes())
        await _arrived(region, hub, next_one)


async def test_promise_7_a_region_without_the_certificate_that_the_hub_asks_for_stays_offline_until_it_has_one(
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path / "pki")
    stranger = Authority(tmp_path / "pki", "stranger")
    both = f'ca_file: "{authority.ca}", verify: true'
    hub = NatsServer(tmp_path / "hub", extra=_server_tls(authority.issue("hub"), both))
    own = stranger.issue("region")
    files = f'tls_cert = "{own[0]}"\ntls_key = "{own[1]}"\n'
    region = _region(tmp_path / "region", hub.url, authority, files)
    async with hub, region:
        await _offline(region, "No connection to the hub", "tls_cert")
        assert authority.issue("region") == own
        await _arrived(region, hub, authority, certificate=own)


async def test_promise_7_a_server_in_the_place_of_the_hub_that_offers_no_tls_hears_no_password(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "pki")
    hub = NatsServer(tmp_path / "hub", extra=_server_tls(authority.issue("hub")))
    region = _region(tmp_path / "region", hub.url, authority)
    heard: list[bytes] = []
    async with region:
        async with _plain(hub.port, heard):
            await _offline(region, "does not offer TLS", "tls_ca")
            await until(lambda: _several(heard), "it was asked more than once")
            assert b"".join(heard) == b""
        async with hub:
            await _arrived(region, hub, authority)


async def _several(heard: list[bytes]) -> bool:
    await anyio.lowlevel.checkpoint()
    return len(heard) >= 3


@asynccontextmanager
async def _plain(port: int, heard: list[bytes]) -> AsyncIterator[None]:
    """Says that it is a NATS server without TLS, and notes what each visitor says."""

    async def visit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b'INFO {"server_id":"X","version":"2.14.0","proto":1,"headers":true,"max_payload":1048576,'
            b'"auth_required":true,"tls_required":false}\r\n'
        )
        said = b""
        with suppress(ConnectionError):
            while more := await reader.read(1_024):
                said += more
        heard.append(said)
        writer.close()

    async with await asyncio.start_server(visit, "127.0.0.1", port):
        yield
