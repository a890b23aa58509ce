"""Headquarters can tighten what the region's own file says, and loosen nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from runtime.config.assemble import load_configuration
from runtime.config.overlay import Overlay
from runtime.fleet.loosening import loosenings
from tests.support.region import MAPPING, POLICY

TODAY = date(2026, 3, 2)
LOCAL = """
region = "eu-de"
jurisdiction = "DE"
environment = "test"
[hub]
servers = ["tls://hub.example:4222"]
[gateway]
listen = "10.0.0.5:8443"
trusted_proxies = ["10.0.0.9"]
[gateway.tls]
cert = "cert.pem"
key = "key.pem"
client_ca = "ca.pem"
clients = "accept"
[secrets]
dir = "secrets"
[residency]
policy = "policy.toml"
[access.roles]
wms = ["source:wms:write", "source:wms:check"]
[access.oidc]
issuer = "https://login.example"
audience = ["entrepot"]
jwks = "https://login.example/keys"
[lanes.realtime]
[sources.wms]
adapter = "webhook"
mapping = "mapping.toml"
auth = { scheme = "bearer", secrets = ["secret://new", "secret://old"] }
[sources.shop]
adapter = "webhook"
mapping = "mapping.toml"
auth = { scheme = "standard-webhooks", secrets = ["secret://shop"], tolerance_seconds = 120 }
[sources.drop]
adapter = "file_drop"
mapping = "mapping.toml"
path = "drop"
"""
Loosened = Callable[..., list[str]]


@pytest.fixture
def loosened(tmp_path: Path) -> Loosened:
    """What a revision with these settings, and perhaps this policy, would loosen."""
    (tmp_path / "mapping.toml").write_text(MAPPING)
    (tmp_path / "policy.toml").write_text(POLICY)
    (tmp_path / "entrepot.toml").write_text(LOCAL)
    local = load_configuration(tmp_path / "entrepot.toml")

    def compare(settings: dict[str, Any] | None = None, policy: str | None = None) -> list[str]:
        files = {}
        if policy is not None:
            (tmp_path / "other.toml").write_text(policy)
            files = {"policy.toml": tmp_path / "other.toml"}
        overlay = Overlay(version=1, settings=settings or {}, files=files)
        return loosenings(local, load_configuration(tmp_path / "entrepot.toml", overlay), today=TODAY)

    return compare


def auth(source: str, **keys: Any) -> dict[str, Any]:
    return {"sources": {source: {"auth": keys}}}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"gateway": {"burst": 5, "listen": "10.0.0.5:9443"}},
        {"gateway": {"listen": "127.0.0.1:8080"}},
        {"gateway": {"tls": {"clients": "require"}, "trusted_proxies": []}},
        {"access": {"roles": {"wms": ["source:wms:write"]}}},
        {"access": {"oidc": None}},
        {"access": {"oidc": {"clock_skew_seconds": 5}}},
        {"hub": {"servers": ["wss://hub.example:443"]}},
        auth("wms", secrets=["secret://new"]),
        auth("wms", scheme="hmac-sha256"),
        auth("shop", tolerance_seconds=60),
        {"sources": {"shop": None}},
        {"sources": {"more": {"adapter": "file_drop", "mapping": "mapping.toml", "path": "more"}}},
        {"sources": {"drop": {"poll_seconds": 5}}},
    ],
    ids=str,
)
def test_what_is_as_strict_or_stricter_is_no_loosening(loosened: Loosened, settings: dict[str, Any]) -> None:
    assert loosened(settings) == []


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"gateway": {"listen": "0.0.0.0:8443"}}, "gateway.listen"),
        ({"gateway": {"tls": None}}, "gateway.tls: TLS is dropped"),
        ({"gateway": {"tls": {"clients": "none", "client_ca": None}}}, "gateway.tls.clients: accept → none"),
        ({"gateway": {"tls": {"client_ca": "other.pem"}}}, "gateway.tls.client_ca"),
        ({"gateway": {"trusted_proxies": ["10.0.0.9", "10.0.0.10"]}}, "gateway.trusted_proxies"),
        ({"gateway": {"proxy_header": "forwarded"}}, "gateway.proxy_header"),
        ({"access": {"roles": {"wms": ["source:*:write"]}}}, "access.roles.wms: may do more"),
        ({"access": {"roles": {"new": ["source:wms:write"]}}}, "access.roles.new"),
        ({"access": {"oidc": {"issuer": "https://other.example"}}}, "another identity provider"),
        ({"access": {"oidc": {"audience": ["entrepot", "other"]}}}, "access.oidc.audience"),
        ({"access": {"oidc": {"clock_skew_seconds": 600}}}, "access.oidc.clock_skew_seconds"),
        ({"access": {"oidc": {"scopes_claim": "groups"}}}, "access.oidc.scopes_claim"),
        ({"hub": {"servers": ["nats://hub.example:4222"]}}, "hub: TLS is dropped"),
        ({"hub": {"tls_ca": "other.pem"}}, "hub.tls_ca"),
        (auth("wms", scheme="static", header="X-Key"), "sources.wms.auth: scheme bearer → static"),
        (auth("wms", secrets=["secret://shop"]), "accepts another secret (secret://shop)"),
        (auth("shop", scheme="hmac-sha256", tolerance_seconds=None), "scheme standard-webhooks → hmac-sha256"),
        (auth("shop", tolerance_seconds=None), "tolerance_seconds grows"),
        (auth("shop", timestamp="X-Other"), "it is checked in another way"),
        (auth("wms", scheme="hmac-sha256", template="{body}{body}"), "it is checked in another way"),
        (
            {"sources": {"copy": {"adapter": "webhook", "mapping": "mapping.toml", "auth": {"scheme": "bearer", "secrets": ["secret://shop"]}}}},
            "uses secret://shop, which belongs to sources.shop",
        ),
        ({"hub": {"token": "secret://new"}}, "hub.token: uses secret://new, which belongs to sources.wms"),
        (auth("shop", jwks="https://other.example/keys"), "its secret would go to https://other.example"),
        (
            {"sources": {"open": {"adapter": "webhook", "mapping": "mapping.toml", "auth": {"alg": "bearer", "secrets": ["secret://fresh"]}}}},
            "",
        ),
    ],
    ids=str,
)  # fmt: skip
def test_what_lets_more_in_is_named(loosened: Loosened, settings: dict[str, Any], told: str) -> None:
    found = loosened(settings)
    assert any(told in sentence for sentence in found) if told else found == []


@pytest.mark.parametrize("way", [{"scheme": "none"}, {"alg": "none"}], ids=str)
def test_nothing_becomes_open_to_everybody(loosened: Loosened, tmp_path: Path, way: dict[str, str]) -> None:
    """Where everybody can reach the listener the adapter refuses it already; on loopback this does."""
    path = tmp_path / "entrepot.toml"
    path.write_text(LOCAL.replace("10.0.0.5:8443", "127.0.0.1:8443"))
    local = load_configuration(path)
    opened = {"adapter": "webhook", "mapping": "mapping.toml", "auth": way}
    for settings in ({"sources": {"open": opened}}, auth("wms", secrets=[], **way)):
        overlay = Overlay(version=1, settings=settings)
        assert loosenings(local, load_configuration(path, overlay), today=TODAY) != []


LATER = """
[[rules]]
id = "later"
when = { class = ["personal.contact"] }
action = "allow"
from = 2026-05-01
"""


def test_a_policy_is_compared_leaf_by_leaf_and_day_by_day(loosened: Loosened) -> None:
    assert loosened(policy=POLICY.replace('"business", ', "")) == []
    found = loosened(policy=POLICY + LATER.replace("from = 2026-05-01", "from = 2026-03-01"))
    assert found
    assert all(sentence.startswith("residency: ") for sentence in found)
    later = loosened(policy=POLICY + LATER)
    assert later
    assert all(sentence.endswith("(from 2026-05-01)") for sentence in later)
