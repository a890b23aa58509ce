"""A plan that cannot work is refused with the reason; what is written keeps its keys when it is written again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509

from runtime.errors import ConfigError
from sync import hubfiles, jwt, nkey
from sync.hubplan import HubPlan
from tests.tidy import tree

NODES = [{"name": f"hub{n}", "host": f"hub{n}.example.com"} for n in (1, 2, 3)]
NOW = 1_800_000_000
DAY = 86_400


def plan(**change: Any) -> HubPlan:
    return msgspec.convert({"name": "hub", "nodes": NODES} | change, HubPlan)


def given(files: dict[str, hubfiles.HubFile]) -> dict[str, bytes]:
    return {name: file.content for name, file in files.items()}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"nodes": NODES[:2]}, "two nodes cannot outvote each other"),
        ({"nodes": [NODES[0], NODES[1], NODES[1]]}, "the name 'hub2'"),
        ({"nodes": [node | {"zone": "rack1"} for node in NODES]}, "the zone 'rack1'"),
        ({"environments": ["test", "test"]}, "named twice"),
        ({"nodes": [NODES[0] | {"port": 443}]}, "node hub1 uses a port twice"),
    ],
)
def test_a_plan_that_cannot_work_is_refused(change: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        hubfiles.build(plan(**change), {}, now_seconds=NOW)


def test_no_secret_is_in_a_file_for_everybody_and_machines_get_no_seed() -> None:
    files = hubfiles.build(plan(), {}, now_seconds=NOW)
    seeds = [file.content.decode().strip() for name, file in files.items() if name.endswith(".seed")]
    assert len(seeds) == 8
    for name, file in files.items():
        text = file.content.decode()
        assert file.secret == (name.endswith((".seed", ".creds", ".key", "key.pem"))), name
        if not file.secret or name.startswith("nodes/"):
            assert not any(seed in text for seed in seeds), name


def test_environments_share_no_key_and_say_who_they_are() -> None:
    files = hubfiles.build(plan(), {}, now_seconds=NOW)
    claims = {name: jwt.read(files[f"operations/account-{name}.jwt"].content.decode()) for name in ("prod", "test")}
    assert claims["prod"].sub != claims["test"].sub
    assert not set(claims["prod"].nats["signing_keys"]) & set(claims["test"].nats["signing_keys"])
    for name, said in claims.items():
        assert said.tags == {"environment": name}
        issuer = nkey.Key(files[f"headquarters-{name}/issuer.seed"].content.decode())
        assert said.nats["signing_keys"] == [issuer.public]
        assert said.nats["default_permissions"] == {"pub": {"deny": [">"]}, "sub": {"deny": [">"]}}
    operator = jwt.read(files["operations/operator.jwt"].content.decode())
    assert operator.nats["strict_signing_key_usage"] is True
    assert operator.sub not in operator.nats["signing_keys"]


def test_a_second_run_keeps_keys_and_claims_and_renews_the_rest() -> None:
    first = hubfiles.build(plan(environments=["prod"]), {}, now_seconds=NOW)
    pushed = given(first) | {"operations/account-prod.jwt": b"pushed.later.x\n"}
    second = hubfiles.build(plan(), pushed, now_seconds=NOW + 300 * DAY)
    for name, file in first.items():
        if name.endswith((".seed", "ca.pem", "ca.key")):
            assert given(second).get(name, pushed[name]) == file.content, name
    assert "pushed.later.x" in second["nodes/hub1/accounts.conf"].content.decode()
    assert "headquarters-test/issuer.seed" in second
    ends = [
        x509.load_pem_x509_certificate(f["nodes/hub1/cert.pem"].content).not_valid_after_utc for f in (first, second)
    ]
    assert ends[1] > ends[0]


@pytest.mark.parametrize(
    "lost", ["offline/account-prod.seed", "headquarters-prod/issuer.seed", "operations/operator-signing.seed"]
)
def test_a_second_run_without_a_key_that_claims_speak_of_is_refused(lost: str) -> None:
    files = given(hubfiles.build(plan(), {}, now_seconds=NOW))
    del files[lost]
    with pytest.raises(ConfigError, match=f"{lost} is missing"):
        hubfiles.build(plan(), files, now_seconds=NOW)


def test_the_page_of_the_hub_shows_a_plan_that_works() -> None:
    page = (Path(tree.ROOT) / "docs" / "hub.md").read_text()
    text = page.partition("```toml\n")[2].partition("```")[0]
    made = msgspec.toml.decode(text, type=HubPlan)
    assert made.servers[0] == "tls://hub1.example.com:4222"
    assert made.websockets[0] == "wss://hub1.example.com:443"
    assert made.replicas == 3
    hubfiles.build(made, {}, now_seconds=NOW)
