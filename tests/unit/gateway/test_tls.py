"""What the files of `[gateway.tls]` must be, and what a listener made of them accepts."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import anyio
import pytest

from runtime.errors import ConfigError
from runtime.gateway.server import Gateway
from runtime.gateway.settings import GatewaySettings, TlsSettings, check_gateway
from runtime.gateway.tls import digest, load
from tests.support.authority import Authority

PLAIN = TlsSettings(cert="server.pem", key="server.key")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    authority = Authority(tmp_path)
    authority.issue("server", valid_days=90)
    return authority


def test_nothing_older_than_tls_1_2_and_no_resumption(authority: Authority) -> None:
    context = load(PLAIN, authority.ca.parent).context
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.num_tickets == 0
    assert context.options & ssl.OP_NO_TICKET


@pytest.mark.parametrize(
    ("clients", "mode"), [("accept", ssl.CERT_OPTIONAL), ("require", ssl.CERT_REQUIRED), ("none", ssl.CERT_NONE)]
)
def test_clients_are_asked_as_the_setting_says(authority: Authority, clients: str, mode: ssl.VerifyMode) -> None:
    settings = TlsSettings(cert="server.pem", key="server.key", client_ca=authority.ca.name, clients=clients)  # type: ignore[arg-type]
    assert load(settings, authority.ca.parent).context.verify_mode == mode


def test_a_file_that_is_missing_or_wrong_is_named(authority: Authority, tmp_path: Path) -> None:
    authority.issue("other", valid_days=90)
    (tmp_path / "rubbish.pem").write_text("rubbish")
    for settings, said in (
        (TlsSettings(cert="gone.pem", key="server.key"), r"gateway\.tls\.cert: .*gone\.pem cannot be read"),
        (TlsSettings(cert="server.pem", key="other.key"), "cannot be used together"),
        (TlsSettings(cert="rubbish.pem", key="server.key"), "cannot be used together"),
        (TlsSettings(cert="server.pem", key="server.key", client_ca="rubbish.pem"), "holds no certificate"),
    ):
        with pytest.raises(ConfigError, match=said):
            load(settings, authority.ca.parent)


def test_another_certificate_has_another_digest(authority: Authority) -> None:
    before = digest(PLAIN, authority.ca.parent)
    assert digest(PLAIN, authority.ca.parent) == before == load(PLAIN, authority.ca.parent).digest
    authority.issue("server", valid_days=90)
    assert digest(PLAIN, authority.ca.parent) != before


@pytest.mark.anyio
async def test_who_never_finishes_a_handshake_is_cut_off(authority: Authority) -> None:
    settings = GatewaySettings(listen="127.0.0.1:0", tls=PLAIN, head_timeout_seconds=0.2)
    gateway = Gateway(settings, {}, tls=load(PLAIN, authority.ca.parent))
    host, _, port = (await gateway.start())[0].rpartition(":")
    try:
        reader, writer = await asyncio.open_connection(host, int(port))
        with anyio.fail_after(30):
            assert await reader.read() == b""
        writer.close()
        _, writer = await asyncio.open_connection(host, int(port), ssl=authority.trusting())
        writer.close()
    finally:
        await gateway.stop(seconds_max=2)


@pytest.mark.parametrize(("client_ca", "clients"), [("ca.pem", "none"), (None, "accept"), (None, "require")])
def test_authorities_and_the_question_go_together(client_ca: str | None, clients: str) -> None:
    tls = TlsSettings(cert="a", key="b", client_ca=client_ca, clients=clients)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="client_ca says"):
        check_gateway(GatewaySettings(tls=tls))
