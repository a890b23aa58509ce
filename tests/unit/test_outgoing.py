"""One origin and nowhere else: the address that was checked is the one that is connected to."""

from __future__ import annotations

import socket
import ssl
from functools import partial
from ipaddress import ip_network
from pathlib import Path

import anyio
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from runtime.errors import ConfigError, Retryable
from runtime.outgoing import Answer, Outgoing
from runtime.policy.addresses import PUBLIC, SITE, Origin, Reach, split_origin
from tests.support.authority import Authority
from tests.support.receivers import receiver

pytestmark = pytest.mark.anyio


class Names(AbstractResolver):
    """A name server of the test's own: each question gets the next answer, and is counted."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked += 1
        found = self.answers[min(self.asked, len(self.answers)) - 1]
        if not found:
            raise OSError(None, "no such name")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in found
        ]

    async def close(self) -> None: ...


async def ask(client: Outgoing, target: str = "/hook", body: bytes = b"{}") -> Answer:
    try:
        return await client.send("POST", target, headers={}, body=body, answer_bytes_max=16)
    finally:
        await client.close()


def client(
    url: str, *, reach: Reach = SITE, names: Names | None = None, ca_file: str = "", seconds: float = 20, **more: bool
) -> Outgoing:
    origin = split_origin(url, reach)[0]
    return Outgoing(origin, reach=reach, timeout_seconds=seconds, ca_file=ca_file, resolver=names, **more)


async def test_the_request_arrives_as_it_was_made_and_the_answer_is_cut() -> None:
    async with receiver() as there:
        there.usual = (201, {"X-Id": "7"}, b"x" * 100_000)
        answer = await ask(client(there.url), "/a%2Fb?c=%20")
        assert (answer.status, answer.headers["x-id"], answer.body) == (201, "7", b"x" * 16)
        [got] = there.received
        assert (got.method, got.target, got.body, got.headers["User-Agent"]) == (
            "POST",
            "/a%2Fb?c=%20",
            b"{}",
            "entrepot",
        )


async def test_the_host_is_named_and_the_checked_address_is_connected_to() -> None:
    async with receiver() as there:
        port = there.url.rpartition(":")[2]
        names = Names(["127.0.0.1"])
        await ask(client(f"http://wms.site:{port}", names=names))
        assert there.received[0].headers["Host"] == f"wms.site:{port}"
        assert names.asked == 1


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["93.184.216.34", "127.0.0.1"],
        ["93.184.216.34", "::1"],
        ["::ffff:127.0.0.1"],
        ["169.254.169.254"],
        ["10.0.0.8"],
    ],
    ids=",".join,
)
async def test_a_name_with_one_bad_address_is_not_connected_to_at_all(addresses: list[str]) -> None:
    async with receiver() as there:
        port = there.url.rpartition(":")[2]
        with pytest.raises(Retryable, match="leads to an address that is") as caught:
            await ask(client(f"https://partner.example:{port}", reach=PUBLIC, names=Names(addresses)))
        assert "allow_private" in caught.value.hint
        assert not there.received


async def test_a_name_that_changes_its_mind_after_the_check_is_not_asked_again() -> None:
    """DNS rebinding: the first answer is checked and used; a second one is never fetched for that connection."""
    async with receiver() as there:
        port = there.url.rpartition(":")[2]
        names = Names(["127.0.0.1"], ["169.254.169.254"])
        outgoing = client(f"http://wms.site:{port}", names=names)
        for _ in range(3):
            await outgoing.send("POST", "/", headers={}, body=b"", answer_bytes_max=0)
        await outgoing.close()
        assert (names.asked, len(there.received)) == (1, 3)


async def test_plain_http_to_a_name_that_leads_out_of_the_site_is_refused() -> None:
    with pytest.raises(Retryable, match="without TLS"):
        await ask(client("http://wms.site", names=Names(["93.184.216.34"])))


async def test_an_open_network_does_not_make_plain_http_to_the_internet_right() -> None:
    reach = Reach(networks=(ip_network("93.184.216.0/24"),))
    with pytest.raises(Retryable, match="without TLS"):
        await ask(client("http://partner.example", reach=reach, names=Names(["93.184.216.34"])))


async def test_a_redirect_is_an_answer_and_nothing_more() -> None:
    async with receiver() as there:
        there.usual = (307, {"Location": there.url + "/elsewhere"}, b"")
        answer = await ask(client(there.url))
        assert answer.status == 307
        assert [got.target for got in there.received] == ["/hook"]


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiver() as there, receiver() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        await ask(client(there.url))
        assert (len(there.received), len(proxy.received)) == (1, 0)


async def test_a_cookie_is_not_given_back() -> None:
    async with receiver() as there:
        there.usual = (200, {"Set-Cookie": "who=you"}, b"")
        outgoing = client(there.url)
        for _ in range(2):
            await outgoing.send("POST", "/", headers={}, body=b"", answer_bytes_max=0)
        await outgoing.close()
        assert "Cookie" not in there.received[1].headers


async def test_an_answer_that_does_not_come_is_a_sentence() -> None:
    async with receiver() as there:
        there.fault("hangs")
        with pytest.raises(Retryable, match=r"did not answer in 0\.2 s"):
            await ask(client(there.url, seconds=0.2))
        there.fault(None)


async def test_what_cannot_be_reached_is_a_sentence_without_the_request() -> None:
    async with receiver() as there:
        url = there.url
    with pytest.raises(Retryable, match="cannot be reached") as caught:
        await ask(client(url), "/secret-path", b"secret-body")
    assert "secret" not in str(caught.value)
    with pytest.raises(Retryable, match="cannot be resolved"):
        await ask(client("https://partner.example", reach=PUBLIC, names=Names([])))


async def test_a_private_authority_is_trusted_where_it_is_named(tmp_path: Path) -> None:
    authority = await anyio.to_thread.run_sync(Authority, tmp_path)
    certificate, key = await anyio.to_thread.run_sync(authority.issue, "wms")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    await anyio.to_thread.run_sync(context.load_cert_chain, certificate, key)
    async with receiver(context=context) as there:
        with pytest.raises(Retryable, match="not trusted") as caught:
            await ask(client(there.url))
        assert "ca_file" in caught.value.hint
        trusting = await anyio.to_thread.run_sync(lambda: client(there.url, ca_file=str(authority.ca)))
        assert (await ask(trusting)).status == 200


async def test_the_system_s_authorities_count_beside_a_private_one_only_where_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private, public = [await anyio.to_thread.run_sync(Authority, tmp_path / name) for name in ("private", "public")]
    monkeypatch.setenv("SSL_CERT_FILE", str(public.ca))
    for authority, beside, instead in ((private, True, True), (public, True, False)):
        certificate, key = await anyio.to_thread.run_sync(authority.issue, "login")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        await anyio.to_thread.run_sync(context.load_cert_chain, certificate, key)
        async with receiver(context=context) as there:
            for system_too, trusted in ((True, beside), (False, instead)):
                made = await anyio.to_thread.run_sync(
                    partial(client, there.url, ca_file=str(private.ca), system_too=system_too)
                )
                if trusted:
                    assert (await ask(made)).status == 200
                else:
                    with pytest.raises(Retryable, match="not trusted"):
                        await ask(made)


async def test_a_certificate_of_another_host_is_not_taken_although_the_address_is_the_same(tmp_path: Path) -> None:
    authority = await anyio.to_thread.run_sync(Authority, tmp_path)
    certificate, key = await anyio.to_thread.run_sync(lambda: authority.issue("wms", host="wms.site"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    await anyio.to_thread.run_sync(context.load_cert_chain, certificate, key)
    async with receiver(context=context) as there:
        port = there.url.rpartition(":")[2]

        def trusting(host: str) -> Outgoing:
            return client(f"https://{host}:{port}", names=Names(["127.0.0.1"]), ca_file=str(authority.ca))

        right = await anyio.to_thread.run_sync(trusting, "wms.site")
        assert (await ask(right)).status == 200
        wrong = await anyio.to_thread.run_sync(trusting, "other.site")
        with pytest.raises(Retryable, match="not trusted"):
            await ask(wrong)


@pytest.mark.parametrize("host", ["127.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1"])
def test_an_address_that_may_not_be_reached_is_refused_although_no_name_is_resolved(host: str) -> None:
    with pytest.raises(ConfigError, match="leads to"):
        Outgoing(Origin("https", host, 443), timeout_seconds=1)


def test_a_ca_file_that_is_none_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ca_file"):
        Outgoing(Origin("https", "partner.example", 443), timeout_seconds=1, ca_file=str(tmp_path / "none.pem"))
