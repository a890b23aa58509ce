"""What differs between two configurations, what that asks for, and what a running process cannot change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.config.assemble import Configuration, load_configuration
from runtime.config.change import Plan, compare, fixed
from runtime.errors import ConfigError, Refused
from tests.support.region import MAPPING, POLICY

ENTREPOT = """
region = "eu-de"
jurisdiction = "DE"
environment = "test"
data_dir = "state"
[hub]
servers = ["nats://127.0.0.1:4222"]
token = "secret://hub"
[gateway]
listen = "127.0.0.1:8080"
[secrets]
dir = "secrets"
[residency]
policy = "policy.toml"
[lanes.realtime]
[lanes.bulk]
[sources.wms]
adapter = "webhook"
mapping = "mapping.toml"
lane = "realtime"
auth = { scheme = "bearer", secrets = ["secret://wms-new", "secret://wms-old"] }
[sources.legacy]
adapter = "file_drop"
mapping = "other.toml"
path = "drop"
lane = "bulk"
"""
Load = Callable[..., Configuration]
WMS = """[sources.wms]
adapter = "webhook"
mapping = "mapping.toml"
lane = "realtime"
auth = { scheme = "bearer", secrets = ["secret://wms-new", "secret://wms-old"] }
"""


@pytest.fixture
def load(tmp_path: Path) -> Load:
    (tmp_path / "secrets").mkdir()
    for name in ("hub", "wms-new", "wms-old"):
        (tmp_path / "secrets" / name).write_text(f"the secret of {name}")

    def write(*pairs: tuple[str, str], mapping: str = MAPPING, policy: str = POLICY, more: str = "") -> Configuration:
        text = ENTREPOT
        for old, new in pairs:
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "entrepot.toml").write_text(text + more)
        (tmp_path / "mapping.toml").write_text(mapping)
        (tmp_path / "other.toml").write_text(MAPPING)
        (tmp_path / "policy.toml").write_text(policy)
        return load_configuration(tmp_path / "entrepot.toml")

    return write


def plan(old: Configuration, new: Configuration) -> Plan:
    secrets = old.read_secrets()
    return compare(old, new, secrets, secrets)


def parts(found: Plan) -> dict[str, str]:
    return {change.part: f"{change.change} {change.detail}".strip() for change in found.changes}


def test_the_same_configuration_is_no_change(load: Load) -> None:
    assert plan(load(), load()) == Plan()
    assert plan(load(), load(("[hub]", "# a comment\n[hub]"))) == Plan()


def test_a_comment_in_a_policy_changes_the_digest_and_nothing_else(load: Load) -> None:
    found = plan(load(), load(policy="# seen by the auditor\n" + POLICY))
    assert parts(found) == {"files": "changed comments or layout only"}
    assert found == Plan(changes=found.changes)


def test_a_changed_mapping_starts_its_source_anew_and_no_other(load: Load) -> None:
    found = plan(load(), load(mapping=MAPPING.replace("H87", "KGM")))
    assert found.started == found.ended == {"wms"}
    assert parts(found)["sources.wms"].startswith("changed rules test-stock 1 (")
    assert (found.uplink, found.listen, found.drains) == (False, False, {})


def test_a_changed_entry_of_a_region_s_table_starts_the_source_of_a_pack_anew(load: Load, tmp_path: Path) -> None:
    packed = ('mapping = "mapping.toml"', 'pack = "shopify"\noptions = { skus = "skus.csv" }')
    (tmp_path / "skus.csv").write_text("item,sku\n1,MUG-BLUE\n")
    before = load(packed)
    (tmp_path / "skus.csv").write_text("item,sku\n1,MUG-RED\n")
    after = load(packed)
    assert before.digest != after.digest
    assert plan(before, after).started == {"wms"}


def test_added_and_removed_sources(load: Load) -> None:
    both, one = load(), load((WMS, ""))
    assert (plan(one, both).started, plan(one, both).ended) == ({"wms"}, frozenset())
    assert (plan(both, one).started, plan(both, one).ended) == (frozenset(), {"wms"})
    assert parts(plan(both, one)) == {"sources.wms": "removed"}
    assert parts(plan(one, both)) == {"sources.wms": "added adapter webhook"}


@pytest.mark.parametrize(
    ("old", "new", "part", "says"),
    [
        ('path = "drop"', 'path = "elsewhere"', "sources.legacy", "changed path"),
        ('path = "drop"', 'path = "drop"\non_letter = "park"', "sources.legacy", "changed on_letter"),
        ('path = "drop"', 'path = "drop"\nlimits = { burst = 7 }', "sources.legacy", "changed limits.burst"),
        ("[hub]", "[hub]\nreplicas = 3", "hub", "changed replicas"),
        ("[hub]", "[alerts]\nreminder_seconds = 60\n[hub]", "alerts", "changed reminder_seconds"),
        ("[hub]", "[evidence]\ncheckpoint_seconds = 1\n[hub]", "evidence", "changed checkpoint_seconds"),
        ("[hub]", "[journal]\nkey_days = 1\n[hub]", "journal", "changed key_days"),
        ("[lanes.bulk]", "[lanes.bulk]\nlag_seconds_warning = 1", "lanes.bulk", "changed lag_seconds_warning"),
        ("[lanes.bulk]", "[lanes.bulk]\n[lanes.third]", "lanes.third", "added"),
        ("127.0.0.1:8080", "127.0.0.1:8081", "gateway", "changed listen"),
    ],
)
def test_one_changed_key_is_one_change(load: Load, old: str, new: str, part: str, says: str) -> None:
    assert parts(plan(load(), load((old, new)))) == {part: says}


def test_a_limit_of_the_gateway_reaches_the_sources_without_their_own(load: Load) -> None:
    own = ('path = "drop"', 'path = "drop"\nlimits = {}')
    found = plan(load(own), load(own, ("[gateway]", "[gateway]\nburst = 9")))
    assert parts(found) == {"gateway": "changed burst", "sources.wms": "changed limits.burst"}
    assert found.started == {"wms"}


def test_the_link_is_replaced_for_the_hub_its_secret_and_other_lanes_only(load: Load) -> None:
    before = load()
    held = before.read_secrets()
    assert plan(before, load(("[hub]", "[hub]\nreplicas = 3"))).uplink
    assert plan(before, load(("[lanes.bulk]", "[lanes.bulk]\n[lanes.third]"))).uplink
    assert compare(before, before, held, held | {"hub.token": "another"}).uplink
    assert not compare(before, before, held, held | {"sources.wms.auth.secrets[1]": "another"}).uplink


def test_a_rotated_secret_starts_the_source_that_names_it(load: Load, tmp_path: Path) -> None:
    before = load()
    held = before.read_secrets()
    (tmp_path / "secrets" / "wms-old").write_text("the next secret of the partner")
    found = compare(before, load(), held, before.read_secrets())
    assert parts(found) == {"sources.wms": "changed secrets"}
    assert found.started == {"wms"}


def test_another_folder_of_secrets_starts_everybody_who_has_one(load: Load, tmp_path: Path) -> None:
    (tmp_path / "others").symlink_to(tmp_path / "secrets")
    found = plan(load(), load(('dir = "secrets"', 'dir = "others"')))
    assert parts(found) == {"secrets": "changed dir", "sources.wms": "changed secrets", "hub": "changed secrets"}
    assert found.uplink


def test_a_missing_secret_is_named_with_its_place(load: Load, tmp_path: Path) -> None:
    configuration = load()
    (tmp_path / "secrets" / "wms-old").unlink()
    with pytest.raises(ConfigError, match=r"sources\.wms\.auth\.secrets\[1\]: secret 'wms-old' is missing"):
        configuration.read_secrets()


def test_a_source_that_changes_its_lane_waits_for_the_old_one_alone(load: Load) -> None:
    found = plan(load(), load(('lane = "realtime"', 'lane = "bulk"')))
    assert parts(found) == {"sources.wms": "changed lane realtime → bulk"}
    assert found.drains == {"realtime": "source wms changes its lane"}


def test_a_route_that_moves_nothing_waits_for_nothing(load: Load) -> None:
    before = load(more='[[routes]]\nwhen = { source = "other" }\nlane = "bulk"\n')
    assert plan(load(), before).drains == {}
    after = load(more='[[routes]]\nwhen = { source = "w*", type = "stock.*" }\nlane = "bulk"\n')
    assert plan(before, after).drains == {"realtime": "source wms changes its lane"}
    assert plan(after, before).drains.keys() == {"bulk", "realtime"}


def test_the_order_of_routes_counts_where_they_meet(load: Load) -> None:
    first = '[[routes]]\nwhen = { key = "A*" }\nlane = "bulk"\n'
    second = '[[routes]]\nwhen = { type = "stock.*" }\nlane = "realtime"\n'
    assert plan(load(more=first + second), load(more=second + first)).drains.keys() == {"bulk", "realtime"}


def test_a_lane_goes_only_when_it_is_empty(load: Load) -> None:
    found = plan(load(), load(("[lanes.bulk]\n", ""), ('lane = "bulk"', 'lane = "realtime"')))
    assert found.drains == {"bulk": "the lane is removed"}
    assert found.uplink


def test_what_a_looser_policy_releases_is_named(load: Load) -> None:
    tight = POLICY.replace('"business", ', "")
    assert plan(load(), load(policy=tight)).loosened == []
    found = plan(load(policy=tight), load())
    assert "stock.snapshot sku: drop → allow" in found.loosened
    assert parts(found) == {"residency": "changed policy"}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('region = "eu-de"', 'region = "eu-fr"', "region can never change for a journal"),
        ('environment = "test"', 'environment = "prod"', "environment can never change for a journal"),
        ('jurisdiction = "DE"', 'jurisdiction = "FR"', "restart to change jurisdiction"),
        ('data_dir = "state"', 'data_dir = "elsewhere"', "restart to change data_dir"),
    ],
)
def test_what_a_process_cannot_change_is_one_sentence(load: Load, old: str, new: str, says: str) -> None:
    before = load()
    with pytest.raises(Refused, match=says) as caught:
        fixed(before, load((old, new)))
    assert caught.value.hint


def test_everything_else_may_change(load: Load) -> None:
    fixed(load(), load(("127.0.0.1:8080", "127.0.0.2:8080"), ("[hub]", "[journal]\nkey_days = 1\n[hub]")))


def test_the_listener_is_replaced_for_another_address_or_kind_and_for_nothing_else(load: Load, tmp_path: Path) -> None:
    for name in ("c", "other", "k", "a"):
        (tmp_path / name).write_text("PEM")
    tls = ("[gateway]", "[gateway]\ntls = { cert = 'c', key = 'k' }")
    asking = ("[gateway]", "[gateway]\ntls = { cert = 'c', key = 'k', client_ca = 'a', clients = 'accept' }")
    renamed = ("[gateway]", "[gateway]\ntls = { cert = 'other', key = 'k' }")
    assert plan(load(), load(("127.0.0.1:8080", "0.0.0.0:8080"))).listen
    assert plan(load(), load(tls)).listen
    assert plan(load(tls), load(asking)).listen
    assert not plan(load(tls), load(renamed)).listen
    assert not plan(load(), load(("[gateway]", "[gateway]\nbacklog_max = 7"))).listen


def test_a_schema_that_says_something_else_is_a_change_of_its_source(load: Load, tmp_path: Path) -> None:
    schema = tmp_path / "wms.json"
    named = (WMS, WMS + 'schema = "wms.json"\n')
    schema.write_text('{"type": "object"}')
    plain, with_schema = load(), load(named)
    assert [(c.part, c.detail) for c in plan(plain, with_schema).changes] == [("sources.wms", "schema")]
    schema.write_text('{"type": "array"}')
    changed = load(named)
    assert [(c.part, c.detail) for c in plan(with_schema, changed).changes] == [("sources.wms", "rules of the schema")]
    assert plan(with_schema, changed).started == {"wms"}
    assert schema in changed.paths
