"""Whatever is shown at the door, the answer is a caller's name or a refusal, and what is counted stays bounded."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from runtime import clock
from runtime.access.settings import AccessSettings, OidcSettings
from runtime.doorkeeper import ALLOWANCES_MAX, TOKENS_MAX, Doorkeeper
from runtime.errors import Forbidden, Refused, Retryable
from runtime.policy.keyset import ed25519_key
from runtime.ports import Certificate, Request
from tests.support.kernel import region

OIDC = OidcSettings(issuer="i", audience=["a"], jwks="https://idp.example/keys")
KEY = Ed25519PrivateKey.generate()
HEADER = b'{"alg":"EdDSA"}'


def b64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def token(payload: bytes) -> str:
    signed = f"{b64url(HEADER)}.{b64url(payload)}"
    return f"{signed}.{b64url(KEY.sign(signed.encode()))}"


def door() -> Doorkeeper:
    """One that has no journal and knows one provider's key."""
    nothing: Any = None
    keeper = Doorkeeper(nothing, AccessSettings(oidc=OIDC))
    assert keeper._keyring is not None
    keeper._keyring._keys = {"k": ed25519_key(KEY.public_key().public_bytes_raw())}
    keeper._keyring._fetched = clock.now_us() // 1_000_000
    return keeper


DOOR = door()


def asked(shown: str | None, certificate: Certificate | None = None) -> Request:
    return Request(headers={} if shown is None else {"authorization": shown}, body=b"", certificate=certificate)


@given(
    st.text(max_size=200)
    | st.text(max_size=100).map("Bearer {}".format)
    | st.binary(max_size=90).map(token).map("Bearer {}".format)
)
def test_hostile_credentials_are_refused_and_never_break(shown: str) -> None:
    with pytest.raises(Refused):
        DOOR.admit("wms", asked(shown))


@pytest.mark.parametrize(
    "shown", [None, "", "Bearer", "Bearer ", "Basic x", "Bearer \udcff", "Bearer a.b.c", "Bearer " + "a." * 9_000]
)
def test_what_is_no_credential_is_refused(shown: str | None) -> None:
    with pytest.raises(Refused):
        DOOR.admit("wms", asked(shown))
    with pytest.raises(Refused):
        DOOR.admit("wms", asked(shown, Certificate(b"f" * 32, "CN=\udcff")))


def test_without_the_providers_keys_nobody_is_judged() -> None:
    nothing: Any = None
    with pytest.raises(Retryable):
        Doorkeeper(nothing, AccessSettings(oidc=OIDC)).admit("wms", asked(f"Bearer {token(b'{}')}"))


def test_verified_tokens_and_allowances_are_remembered_within_bounds() -> None:
    keeper = door()
    claims = {"iss": "i", "aud": "a", "exp": 4e9, "scope": "source:wms:write"}
    for number in range(TOKENS_MAX + 10):
        said = json.dumps({**claims, "sub": f"s{number}"}).encode()
        keeper.allowance(keeper.admit("wms", asked(f"Bearer {token(said)}")))
    assert len(keeper._tokens) <= TOKENS_MAX
    for number in range(ALLOWANCES_MAX + 10):
        keeper.allowance(f"oidc-{number}")
    assert len(keeper._allowances) <= ALLOWANCES_MAX


def test_a_remembered_token_still_needs_its_scope_and_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = door()
    now = clock.now_us() // 1_000_000
    said = {"iss": "i", "aud": "a", "exp": now + 100, "sub": "s", "scope": "source:wms:write"}
    shown = asked(f"Bearer {token(json.dumps(said).encode())}")
    assert keeper.admit("wms", shown) == keeper.admit("wms", shown)
    with pytest.raises(Forbidden):
        keeper.admit("dhl", shown)
    monkeypatch.setattr(clock, "now_us", lambda: (now + 161) * 1_000_000)
    with pytest.raises(Refused, match="expired"):
        keeper.admit("wms", shown)


@pytest.mark.anyio
async def test_what_cannot_be_written_now_is_written_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with region(tmp_path) as kernel:
        keeper = kernel.doorkeeper
        with pytest.raises(Refused):
            keeper.admit("wms", asked(None))
        write = kernel.journal.write

        async def full(_change: Any) -> Any:
            raise Retryable("no room")

        monkeypatch.setattr(kernel.journal, "write", full)
        with pytest.raises(Retryable):
            await keeper.flush()
        monkeypatch.setattr(kernel.journal, "write", write)
        await keeper.flush()
        rows = await kernel.journal.read(lambda c: c.execute("SELECT entry FROM access_log").fetchall())
        assert [json.loads(row[0])["reason"] for row in rows] == ["missing"]
