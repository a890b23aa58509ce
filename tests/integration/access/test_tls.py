"""TLS on the listener of a running agent: renewed while a connection stays, clients told apart by certificate."""

from __future__ import annotations

import asyncio
import json
import shutil
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path

import aiohttp
import anyio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from tests.support.authority import Authority
from tests.support.nats import free_port
from tests.support.region import Region, fact, until

pytestmark = pytest.mark.anyio
SOURCE = """
[sources.dhl]
adapter = "webhook"
mapping = "mapping.toml"
auth = { scheme = "caller" }
"""
POST = b"POST /in/wms HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"


class Secure(Region):
    """A region whose listener speaks TLS."""

    trust: ssl.SSLContext

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    async def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"the agent ended: {self.log[-1500:]}"
        return (self.state / "admin.sock").exists() and "ready" in self.log

    async def post(self, path: str, context: ssl.SSLContext, number: int = 1) -> int:
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as http,
            http.post(self.url + path, data=fact(number), headers={"content-type": "application/json"}) as answer,
        ):
            return answer.status

    async def served(self) -> str:
        """Fingerprint of the certificate that a new connection is shown."""
        _, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=self.trust)
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        return sha256(shown).hexdigest()


def fingerprint(cert: Path) -> str:
    """SHA-256 of a certificate file, in hex."""
    return x509.load_pem_x509_certificate(cert.read_bytes()).fingerprint(SHA256()).hex()


@asynccontextmanager
async def running(tmp_path: Path, **keys: str) -> AsyncIterator[tuple[Secure, Authority]]:
    authority = Authority(tmp_path / "tls")
    authority.issue("server", valid_days=90)
    region = Secure(tmp_path / "region", f"nats://127.0.0.1:{free_port()}", more=SOURCE)
    own = {"cert": "../tls/server.pem", "key": "../tls/server.key", **keys}
    table = "\n".join(["[gateway.tls]", *(f'{name} = "{value}"' for name, value in own.items())])
    region.config.write_text(f"{region.config.read_text()}\n{table}\n")
    region.trust = authority.trusting()
    async with region:
        yield region, authority


def renew(authority: Authority, days: int = 90) -> str:
    """Another certificate in place of the one that is served."""
    cert, key = authority.issue("renewed", valid_days=days)
    shutil.move(key, authority.ca.parent / "server.key")
    shutil.move(cert, authority.ca.parent / "server.pem")
    return fingerprint(authority.ca.parent / "server.pem")


async def test_a_renewed_certificate_is_used_by_new_connections_while_an_old_one_goes_on(tmp_path: Path) -> None:
    async with running(tmp_path) as (region, authority):
        reader, writer = await asyncio.open_connection("127.0.0.1", region.port, ssl=region.trust)
        before = await region.served()

        async def exchange(number: int) -> bytes:
            body = fact(number)
            writer.write(POST % (len(body), body))
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            await reader.readexactly(length)
            return head.split(b" ")[1]

        assert await exchange(1) == b"202"
        renewed = renew(authority)
        code, out, err = await region.run("reload", "--json")
        assert code == 0, err
        assert [(c["part"], c["detail"]) for c in json.loads(out)["changes"]] == [("gateway", "certificate")]
        assert await region.served() == renewed != before
        assert await exchange(2) == b"202", "the connection from before was cut"

        again = renew(authority)

        async def seen() -> bool:
            return await region.served() == again

        await until(seen, "the certificate is renewed without a reload")
        assert await exchange(3) == b"202"
        writer.close()


async def test_files_that_do_not_fit_are_refused_and_the_old_certificate_goes_on(tmp_path: Path) -> None:
    async with running(tmp_path) as (region, authority):
        before = await region.served()
        authority.issue("other", valid_days=90)
        shutil.copy(authority.ca.parent / "other.key", authority.ca.parent / "server.key")
        code, _, err = await region.run("reload")
        assert code == 2
        assert "gateway.tls" in err
        assert "Traceback" not in err
        assert await region.served() == before


async def test_a_certificate_that_ends_soon_raises_an_alert(tmp_path: Path) -> None:
    async with running(tmp_path) as (region, authority):
        renew(authority, days=5)

        async def raised() -> bool:
            return "certificate_expiring" in {alert["name"] for alert in (await region.status())["alerts"]}

        await until(raised, "the alert")


async def test_plain_text_gets_no_answer(tmp_path: Path) -> None:
    async with running(tmp_path) as (region, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", region.port)
        writer.write(b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"HTTP" not in await reader.read()
        writer.close()


async def test_a_caller_is_known_by_its_certificate_or_its_subject(tmp_path: Path) -> None:
    async with running(tmp_path, client_ca="../tls/hub-ca.pem", clients="accept") as (region, authority):
        mine, other = authority.issue("wms-1"), authority.issue("wms-2")
        third, foreign = authority.issue("wms-3"), Authority(tmp_path / "foreign", "foreign")
        forged = foreign.issue("wms-1")
        scope = ("--scope", "source:dhl:write")
        for words in (("dhl-1", "--certificate", str(mine[0])), ("dhl-2", "--certificate-subject", "CN=wms-2")):
            code, out, err = await region.run("access", "grant", *words, *scope, "--json")
            assert code == 0, err
            assert "key" not in json.loads(out), "whoever shows a certificate needs no key"
        assert await region.post("/in/dhl", authority.trusting(certificate=mine)) == 202
        assert await region.post("/in/dhl", authority.trusting(certificate=other)) == 202
        assert await region.post("/in/dhl", authority.trusting(certificate=third)) == 401
        assert await region.post("/in/dhl", region.trust) == 401
        with pytest.raises((aiohttp.ClientError, ssl.SSLError, ConnectionError)):
            await region.post("/in/dhl", authority.trusting(certificate=forged))
        code, _, err = await region.run("access", "revoke", "dhl-1")
        assert code == 0, err
        assert await region.post("/in/dhl", authority.trusting(certificate=mine)) == 401


async def test_without_a_certificate_nobody_connects_where_one_is_required(tmp_path: Path) -> None:
    async with running(tmp_path, client_ca="../tls/hub-ca.pem", clients="require") as (region, authority):
        mine = authority.issue("wms-1")
        assert await region.post("/in/wms", authority.trusting(certificate=mine)) == 202
        with pytest.raises((aiohttp.ClientError, ConnectionError)):
            await region.post("/in/wms", region.trust)


async def test_who_asks_clients_has_to_say_whom_it_believes(tmp_path: Path) -> None:
    async with running(tmp_path) as (region, _):
        text = region.config.read_text()
        region.config.write_text(text.replace("[gateway.tls]", '[gateway.tls]\nclients = "require"'))
        code, _, err = await region.run("check")
        assert code == 2
        assert "give both or neither" in err


async def test_tls_comes_asks_clients_and_goes_on_the_same_port_by_reloads_and_no_connection_is_refused(
    tmp_path: Path,
) -> None:
    """The listening socket stays open throughout: whoever connects in between waits in its queue."""
    async with running(tmp_path) as (region, authority):
        secure, mine = region.config.read_text(), authority.issue("wms-1")
        asking = secure + 'client_ca = "../tls/hub-ca.pem"\nclients = "require"\n'
        refused: list[OSError] = []
        connections = 0

        async def connect_all_the_time() -> None:
            nonlocal connections
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", region.port)
                except OSError as error:
                    refused.append(error)
                else:
                    connections += 1
                    writer.close()
                await anyio.sleep(0.002)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connect_all_the_time)
            for text in (asking, secure.partition("[gateway.tls]")[0], secure):
                region.config.write_text(text)
                code, out, err = await region.run("reload", "--json")
                assert code == 0, out + err
                if text == asking:
                    assert await region.post("/in/wms", authority.trusting(certificate=mine)) == 202
                    with pytest.raises((aiohttp.ClientError, ConnectionError)):
                        await region.post("/in/wms", region.trust)
                elif text == secure:
                    assert await region.post("/in/wms", region.trust) == 202
                else:
                    async with aiohttp.ClientSession() as http:
                        address = f"http://127.0.0.1:{region.port}/in/wms"
                        async with http.post(address, data=fact(2)) as answer:
                            assert answer.status == 202
            tasks.cancel_scope.cancel()
        assert connections
        assert not refused


async def test_a_listener_moves_from_plain_text_to_tls_on_another_port_by_a_reload(tmp_path: Path) -> None:
    async with running(tmp_path) as (region, _):
        text, port = region.config.read_text(), region.port
        await region.stop()
        region.config.write_text(text.partition("[gateway.tls]")[0])
        (region.directory / "agent.log").write_text("")
        await region.start()
        async with aiohttp.ClientSession() as http:
            async with http.get(f"http://127.0.0.1:{port}/live") as answer:
                assert answer.status == 200
            region.port = free_port()
            region.config.write_text(text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{region.port}"))
            code, out, err = await region.run("reload", "--json")
            assert code == 0, out + err
            async with http.get(f"http://127.0.0.1:{port}/live") as answer:
                assert answer.headers["Connection"] == "close", "the open connection gets its last answer"
        assert await region.post("/in/wms", region.trust) == 202
        renewed = renew(Authority(tmp_path / "tls"))
        region.trust = ssl.create_default_context(cafile=str(tmp_path / "tls" / "hub-ca.pem"))
        assert (await region.run("reload"))[0] == 0
        assert await region.served() == renewed
