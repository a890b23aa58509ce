"""The doctor before a real hub: permissions, certificates, and nothing is stored by looking."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import re
from pathlib import Path
from typing import Any

import anyio
import nats
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.support.nats import NatsServer
from tests.support.region import Region, fact, until

NOW = dt.datetime.now(dt.UTC)
ACCOUNTS = """
authorization { users: [
  { user: admin, password: a },
  { user: narrow, password: n, permissions: {
      publish: ["ev.eu-de.>", "cp.eu-de", "$JS.API.STREAM.INFO.*", "$JS.API.STREAM.MSG.GET.*", "$JS.API.DIRECT.GET.>"], subscribe: ["_INBOX_eu-de.>"] } },
  { user: broken, password: b, permissions: { publish: ["cp.eu-de", "$JS.API.STREAM.INFO.*"], subscribe: ["_INBOX_eu-de.>"] } }
  { user: deaf, password: d, permissions: { publish: [">"], subscribe: ["_INBOX.>"] } }
] }
"""


def configured(folder: Path, hub: str, user: str = "", more: str = "") -> Region:
    region = Region(
        folder / f"region-{user}",
        hub,
        manage=False,
        hub_more=(f'user = "{user}"\npassword = "secret://pw"\n' if user else "") + more,
    )
    (region.directory / "s").mkdir(exist_ok=True)
    (region.directory / "s" / "pw").write_text(user[:1] or "x")
    (region.directory / "s" / "pw").chmod(0o600)
    region.config.write_text(region.config.read_text() + '[secrets]\ndir = "s"\n')
    return region


async def doctor(region: Region) -> dict[str, list[dict[str, Any]]]:
    _, out, err = await region.run("doctor", "--json")
    assert out, err
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in json.loads(out)["findings"]:
        rows.setdefault(row["subject"], []).append(row)
    return rows


@pytest.mark.anyio
async def test_permissions_are_tried_without_storing_anything(tmp_path: Path) -> None:
    async with NatsServer(tmp_path, extra=ACCOUNTS) as hub:
        admin = configured(tmp_path, hub.url, "admin")
        assert (await admin.run("topology", "apply"))[0] == 1
        for region, rights in (
            (admin, [True, True, True, True]),
            (configured(tmp_path, hub.url, "narrow"), [True, True, False, False]),
            (configured(tmp_path, hub.url, "broken"), [False, True, False, False]),
        ):
            rows = await doctor(region)
            found = [row["found"].startswith("may write") for row in rows["hub permission"]]
            assert found == rights, rows["hub permission"]
            levels = {row["level"] for row in rows["hub permission"]}
            assert ("warning" in levels, "critical" in levels) == (region is admin, not rights[0])
            assert rows["stream EU-DE_REALTIME"][0]["level"] == "ok", rows
            assert "as recommended" in rows["stream EU-DE_REALTIME"][0]["found"]
            assert "sync_interval" in rows["hub copies"][0]["found"]
        deaf = await doctor(configured(tmp_path, hub.url, "deaf"))
        assert "_INBOX_eu-de.>" in deaf["hub permission"][0]["found"]
        assert deaf["hub permission"][0]["level"] == "critical"
        connection = await nats.connect(hub.url, user="admin", password="a")
        try:
            for name in ("EU-DE_REALTIME", "EU-DE_CHECKPOINTS"):
                assert (await connection.jetstream().stream_info(name)).state.messages == 0
        finally:
            await connection.close()


@pytest.mark.anyio
async def test_an_agent_works_with_the_permissions_that_the_runbook_names(tmp_path: Path) -> None:
    """docs/operations.md, First run."""
    page = (Path(__file__).resolve().parents[3] / "docs" / "operations.md").read_text("utf-8")
    said = next(part for part in page.split("\n\n") if part.startswith("The hub's user of a region"))
    needed = [subject.replace("<region>", "eu-de") for subject in re.findall(r"`([^` ]+[>*]|cp\.<region>)`", said)]
    assert needed[-1] == "_INBOX_eu-de.>"
    publish = ", ".join(f'"{subject}"' for subject in needed[:-1])
    users = (
        "authorization { users: [ { user: admin, password: a }, "
        f'{{ user: narrow, password: n, permissions: {{ publish: [{publish}], subscribe: ["{needed[-1]}"] }} }} ] }}\n'
    )
    async with NatsServer(tmp_path, extra=users) as hub:
        await configured(tmp_path, hub.url, "admin").run("topology", "apply")
        async with configured(tmp_path, hub.url, "narrow") as region:
            for number in range(70):
                await region.send(fact(number))
            await region.settled(facts=70)
            await until_checkpoints(region)
            rows = await doctor(region)
            assert {row["level"] for row in rows["hub permission"]} == {"ok"}, rows["hub permission"]


async def until_checkpoints(region: Region) -> None:
    async def sent() -> bool:
        return (await region.status()).get("checkpoints_unsent") == 0

    await until(sent, "checkpoints are at the hub")


@pytest.mark.anyio
async def test_a_running_agent_looks_with_its_own_credentials(tmp_path: Path) -> None:
    async with NatsServer(tmp_path, extra=ACCOUNTS) as hub:
        region = configured(tmp_path, hub.url, "admin")
        await region.run("topology", "apply")
        async with region:
            await region.send(fact(1))
            await region.settled(facts=1)
            (region.directory / "s" / "pw").unlink()
            (region.directory / "s" / "pw").write_text("a")
            before = await region.status()
            rows = await doctor(region)
            assert rows["hub"][0]["level"] == "ok"
            assert rows["agent"][0]["found"] == "running"
            assert "1 messages" in rows["stream EU-DE_REALTIME"][0]["found"]
            assert (await region.status())["lanes"]["realtime"]["acked"] == before["lanes"]["realtime"]["acked"]
            assert await region.send(fact(2))


def authority() -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "private authority")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - dt.timedelta(days=400))
        .not_valid_after(NOW + dt.timedelta(days=400))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return made, key


def certified(folder: Path, *, address: str, days: int) -> str:
    """Writes ca.pem, cert.pem and key.pem, and gives the server's `tls` block."""
    ca, ca_key = authority()
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hub")]))
        .issuer_name(ca.subject)
        .public_key(key.public_key())
        .serial_number(2)
        .not_valid_before(NOW - dt.timedelta(days=300))
        .not_valid_after(NOW + dt.timedelta(days=days, hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    (folder / "ca.pem").write_bytes(ca.public_bytes(Encoding.PEM))
    (folder / "cert.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return f'tls {{ cert_file: "{folder}/cert.pem", key_file: "{folder}/key.pem" }}\n'


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("address", "days", "ca", "level", "told"),
    [
        ("127.0.0.1", 200, True, "ok", "valid for 200 days"),
        ("127.0.0.1", 7, True, "warning", "expires in 7 days"),
        ("127.0.0.1", -2, True, "critical", "hub's certificate renewed"),
        ("127.0.0.2", 200, True, "critical", "for this address"),
        ("127.0.0.1", 200, False, "critical", "tls_ca"),
    ],
    ids=["good", "soon", "expired", "another address", "unknown authority"],
)
async def test_a_certificate_is_judged(
    address: str, days: int, ca: bool, level: str, told: str, tmp_path: Path
) -> None:
    async with NatsServer(tmp_path, extra=certified(tmp_path, address=address, days=days)) as hub:
        url = hub.url.replace("nats://", "tls://")
        region = configured(tmp_path, url, more=f'tls_ca = "{tmp_path}/ca.pem"\n' if ca else "")
        rows = await doctor(region)
        subject = f"hub 127.0.0.1:{hub.port}"
        row = rows[f"TLS {subject}"][0] if f"TLS {subject}" in rows else rows[subject][0]
        assert row["level"] == level, rows
        assert told in row["found"] + row["next"], row


@pytest.mark.anyio
async def test_a_name_that_does_not_resolve_is_said_so(tmp_path: Path) -> None:
    await anyio.lowlevel.checkpoint()
    rows = await doctor(configured(tmp_path, "nats://hub.invalid:4222"))
    assert rows["DNS hub.invalid"][0]["level"] == "critical"
    assert "getent hosts" in rows["DNS hub.invalid"][0]["next"]
    assert rows["hub"][0]["level"] == "critical"
