"""Headquarters can tighten what the region's own file says, and loosen nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from runtime.config.assemble import load_configuration
from runtime.config.overlay import Overlay
from runtime.errors import ConfigError, Refused
from runtime.fleet.loosening import loosenings
from runtime.fleet.rehearsal import rehearse
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
[sources.asked]
adapter = "rest_poll"
mapping = "mapping.toml"
url = "https://api.partner.example/items"
login = { kind = "oauth2", token_url = "https://login.partner.example/token", client_id = "me", secret = "secret://asked" }
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
        ({"sources": {"asked": {"url": "https://other.example/items"}}}, "its secret would go to https://other.example"),
        (
            {"sources": {"asked": {"login": {"token_url": "https://other.example/token"}}}},
            "sources.asked: its secret would go to https://other.example",
        ),
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


BRANCH = """
[lanes.partner]
[downlink]
public_key = "hq.pub"
[targets.erp]
adapter = "http"
url = "https://erp.example/orders"
filters = [{ prefix = { type = "entrepot.order" } }]
auth = { bearer = "secret://erp" }
retry = { attempts_max = 5 }
[targets.broker]
adapter = "webhook_out"
url = "https://broker.example/in"
reads = "partner"
secrets = ["secret://broker"]
[targets.ledger]
adapter = "http"
url = "https://api.ledger.example/entries"
auth = { token_url = "https://login.ledger.example/token", client_id = "me", secret = "secret://ledger" }
"""


@pytest.fixture
def branch(tmp_path: Path) -> Path:
    """A region with three targets: two of the inbox, one of them with OAuth2, and one of a lane."""
    (tmp_path / "mapping.toml").write_text(MAPPING)
    (tmp_path / "policy.toml").write_text(POLICY)
    (tmp_path / "hq.pub").write_text("00" * 32)
    path = tmp_path / "entrepot.toml"
    laned = LOCAL.replace('mapping = "mapping.toml"', 'mapping = "mapping.toml"\nlane = "realtime"')
    path.write_text(laned.replace("10.0.0.5:8443", "127.0.0.1:8443") + BRANCH)
    return path


def diverted(path: Path, settings: dict[str, Any], files: dict[str, Path] | None = None) -> list[str]:
    overlay = Overlay(version=1, settings=settings, files=files or {})
    return loosenings(load_configuration(path), load_configuration(path, overlay), today=TODAY)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"targets": {"erp": {"retry": {"attempts_max": None, "seconds_max": 60.0}, "reads": "inbox"}}},
        {"targets": {"erp": {"in_flight_max": 2, "expire_hours": 3, "timeout_seconds": 5.0, "on_letter": "park"}}},
        {"targets": {"broker": {"breaker_failures_max": 9, "breaker_open_seconds": 5.0}}},
        {"targets": {"erp": None, "broker": None}},
        {"targets": {"broker": None}, "routes": [{"when": {"source": "wms"}, "lane": "partner"}]},
        {"downlink": {"poll_seconds": 5.0}},
        {"downlink": None},
    ],
    ids=str,
)
def test_headquarters_tunes_how_a_target_delivers_and_takes_it_away(branch: Path, settings: dict[str, Any]) -> None:
    assert diverted(branch, settings) == []


NEW = {"adapter": "http", "url": "https://other.example/"}


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"targets": {"more": NEW}}, "targets.more: the local file has no such target"),
        ({"targets": {"more": {**NEW, "reads": "partner"}}}, "targets.more: the local file has no such target"),
        ({"targets": {"more": {"adapter": "file", "path": "out"}}}, "targets.more: the local file has no such target"),
        ({"targets": {"erp": {"url": "https://other.example/orders"}}}, "targets.erp.url"),
        ({"targets": {"erp": {"url": "https://erp.example/other"}}}, "targets.erp.url"),
        ({"targets": {"erp": {"reads": "realtime"}}}, "targets.erp.reads"),
        ({"targets": {"erp": {"filters": []}}}, "targets.erp.filters"),
        ({"targets": {"erp": {"filters": None}}}, "targets.erp.filters"),
        ({"targets": {"erp": {"allow_private": True}}}, "targets.erp.allow_private"),
        ({"targets": {"erp": {"allow_networks": ["10.0.0.0/8"]}}}, "targets.erp.allow_networks"),
        ({"targets": {"erp": {"ca_file": "hq.pub"}}}, "targets.erp.ca_file"),
        ({"targets": {"erp": {"auth": {"bearer": "secret://fresh"}}}}, "targets.erp.auth"),
        ({"targets": {"ledger": {"auth": {"token_url": "https://other.example/token"}}}}, "targets.ledger.auth"),
        ({"targets": {"ledger": {"auth": {"token_url": "https://login.ledger.example/other"}}}}, "targets.ledger.auth"),
        ({"targets": {"ledger": {"auth": {"client_id": "other", "scope": "all"}}}}, "targets.ledger.auth"),
        ({"targets": {"erp": {"headers": {"X-Tenant": "other"}}}}, "targets.erp.headers"),
        ({"targets": {"broker": {"url": "https://other.example/in"}}}, "targets.broker.url"),
        ({"targets": {"broker": {"reads": "inbox"}}}, "targets.broker.reads"),
        ({"targets": {"erp": {**NEW, "adapter": "webhook_out", "secrets": ["secret://s"], "auth": None}}}, "erp.adapter"),
        ({"routes": [{"when": {"source": "wms"}, "lane": "partner"}]}, "routes: other events would reach targets.broker"),
        ({"sources": {"wms": {"lane": "partner"}}}, "sources.wms.lane: its events would reach targets.broker"),
        ({"downlink": {"region": "other"}}, "downlink.region: hq → other"),
        ({"downlink": {"public_key": None}}, "downlink.public_key"),
        ({"downlink": {"public_key": "other.pub"}}, "downlink.public_key"),
    ],
    ids=str,
)  # fmt: skip
def test_headquarters_sends_no_data_of_the_region_elsewhere(branch: Path, settings: dict[str, Any], told: str) -> None:
    (branch.parent / "other.pub").write_text("11" * 32)
    found = diverted(branch, settings)
    assert any(told in sentence for sentence in found), found


def test_a_revision_brings_no_other_key_under_the_name_of_headquarters_key(branch: Path, tmp_path: Path) -> None:
    (tmp_path / "brought.pub").write_text("11" * 32)
    found = diverted(branch, {}, {"hq.pub": tmp_path / "brought.pub"})
    assert found == ["downlink.public_key: another key would count as headquarters'"]


def test_a_region_that_takes_nothing_in_is_not_made_to(loosened: Loosened) -> None:
    assert loosened({"downlink": {"region": "hq"}}) == ["downlink: the local file takes nothing in from headquarters"]


def tried(path: Path, settings: dict[str, Any], *, regional: bool) -> str:
    overlay = Overlay(version=1, settings=settings)
    return rehearse(path, overlay, load_configuration(path), regional=regional, today=TODAY)


@pytest.fixture
def working(branch: Path) -> Path:
    """The same, with its secrets on disk; the broker's is none that signs."""
    folder = branch.parent / "secrets"
    folder.mkdir()
    for name in ("new", "old", "shop", "erp", "broker", "asked", "ledger"):
        (folder / name).write_text("no-signing-secret")
        (folder / name).chmod(0o600)
    (folder / "shop").write_text("whsec_" + "QUJD" * 11)
    text = branch.read_text()
    tls = text[text.index("[gateway.tls]") : text.index("[secrets]")]
    branch.write_text(text.replace(tls, ""))
    return branch


def test_a_diverted_target_is_refused_with_the_reason_unless_the_region_has_signed(working: Path) -> None:
    elsewhere = {"targets": {"erp": {"url": "https://other.example/orders"}}}
    with pytest.raises(Refused, match=r"only the region may loosen: targets\.erp\.url"):
        tried(working, elsewhere, regional=False)
    assert "targets.erp" in tried(working, elsewhere, regional=True)


def test_a_target_that_a_revision_touches_is_tried_and_no_other(working: Path) -> None:
    assert "targets.erp" in tried(working, {"targets": {"erp": {"in_flight_max": 2}}}, regional=False)
    with pytest.raises(ConfigError, match=r"targets\.broker"):
        tried(working, {"targets": {"broker": {"in_flight_max": 2}}}, regional=False)
