"""Callers that an identity provider vouches for: its keys are fetched, its tokens judged, what was revoked stays out."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from time import time
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.support.nats import free_port
from tests.support.region import Region, fact, until

pytestmark = pytest.mark.anyio
ISSUER = "https://idp.example"
KEY, STRANGER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
MORE = """
[sources.dhl]
adapter = "webhook"
mapping = "mapping.toml"
auth = {{ scheme = "caller" }}
[access.oidc]
issuer = "https://idp.example"
audience = ["entrepot"]
jwks = "http://127.0.0.1:{port}/keys"
"""


def b64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def token(key: Ed25519PrivateKey = KEY, header: dict[str, Any] | None = None, **changed: Any) -> str:
    """A token for ten minutes, with everything that it takes."""
    claims = {"iss": ISSUER, "aud": "entrepot", "sub": "jane@example.org", "exp": time() + 600, "jti": "t-1"}
    claims |= {"scope": "openid source:dhl:write"} | changed
    said = {"alg": "EdDSA", "kid": "k1", "typ": "JWT"} | (header or {})
    signed = f"{b64url(json.dumps(said).encode())}.{b64url(json.dumps(claims).encode())}"
    return f"{signed}.{b64url(key.sign(signed.encode()))}"


@pytest.fixture
async def provider() -> AsyncIterator[int]:
    """The port of an identity provider that publishes its key."""
    jwk = {"kty": "OKP", "kid": "k1", "crv": "Ed25519", "x": b64url(KEY.public_key().public_bytes_raw())}

    async def keys(_request: web.BaseRequest) -> web.Response:
        return web.json_response({"keys": [jwk]})

    runner = web.ServerRunner(web.Server(keys))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield runner.addresses[0][1]
    await runner.cleanup()


@pytest.fixture
async def region(tmp_path: Path, provider: int) -> AsyncIterator[Region]:
    region = Region(tmp_path / "region", f"nats://127.0.0.1:{free_port()}", more=MORE.format(port=provider))
    async with region:

        async def keys_are_there() -> bool:
            return await status(region, token()) == 202

        await until(keys_are_there, "the provider's keys are fetched")
        yield region


async def status(region: Region, shown: str) -> int:
    headers = {"content-type": "application/json", "authorization": f"Bearer {shown}"}
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{region.url}/in/dhl", data=fact(1), headers=headers) as answer,
    ):
        return answer.status


async def access(region: Region, *words: str) -> Any:
    code, out, err = await region.run("access", *words, "--json")
    assert code == 0, out + err
    return json.loads(out)


async def test_a_token_opens_what_it_says_and_a_wrong_one_nothing(region: Region) -> None:
    unsigned = token(header={"alg": "none"}).rpartition(".")[0] + "."
    confused = token(header={"alg": "HS256"})
    for wrong in (
        token(STRANGER), token(iss="https://evil.example"), token(aud="other"), token(exp=time() - 120),
        token(nbf=time() + 600), unsigned, confused, token(header={"kid": "k2"}), token(header={"crit": ["x"]}),
        token()[:-2] + "AA", "a.b.c", "nonsense",
    ):  # fmt: skip
        assert await status(region, wrong) == 401, wrong
    assert await status(region, token(scope="openid source:ups:write")) == 403
    assert await status(region, token(exp=time() - 30)) == 202, "within the allowed difference of clocks"


async def test_a_revoked_token_or_subject_stays_out(region: Region) -> None:
    await access(region, "revoke", "--jti", "t-7")
    assert await status(region, token(jti="t-7")) == 401
    assert await status(region, token()) == 202
    await access(region, "revoke", "--subject", "jane@example.org")
    assert await status(region, token(jti="t-8")) == 401
    assert await status(region, token(sub="joe@example.org")) == 202


async def test_a_bound_subject_has_what_was_granted_here(region: Region) -> None:
    await access(region, "grant", "dhl-de", "--subject", "wms-service", "--scope", "source:dhl:check")
    assert await status(region, token(sub="wms-service")) == 403
    await access(region, "grant", "dhl-de", "--scope", "source:dhl:write")
    assert await status(region, token(sub="wms-service", scope="")) == 202


async def test_no_name_from_a_token_is_written_down(region: Region) -> None:
    await access(region, "revoke", "--subject", "jane@example.org")
    await status(region, token())
    used = [e["caller"] for e in (await access(region, "audit"))["entries"] if e["event"] in ("used", "denied")]
    assert used
    assert all(name.startswith("oidc-") for name in used)
    await region.stop()
    assert "jane" not in region.log
    for file in region.state.rglob("*"):
        assert not file.is_file() or b"jane" not in file.read_bytes(), file
