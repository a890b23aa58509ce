"""Targets and the downlink in entrepot.toml: what is wrong is one sentence with its place, and what differs is planned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from runtime import plugins
from runtime.config.assemble import Configuration, load_configuration
from runtime.config.change import compare
from runtime.errors import ConfigError
from tests.support.probes import TARGET
from tests.support.region import MAPPING, POLICY

ENTREPOT = """
region = "eu-de"
jurisdiction = "DE"
environment = "test"
[hub]
servers = ["nats://127.0.0.1:4222"]
[residency]
policy = "policy.toml"
[lanes.realtime]
[sources.wms]
adapter = "webhook"
mapping = "mapping.toml"
dedupe = "body"
auth = { scheme = "none" }
"""
DOWNLINK = """
[downlink]
region = "hq"
"""
ERP = """
[targets.erp]
adapter = "probe"
url = "http://127.0.0.1:1/"
"""
Load = Callable[..., Configuration]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    known = plugins.target
    monkeypatch.setattr(
        plugins, "target", lambda name, *, where: TARGET if name == "probe" else known(name, where=where)
    )

    def write(text: str) -> Configuration:
        (tmp_path / "entrepot.toml").write_text(ENTREPOT + text)
        (tmp_path / "mapping.toml").write_text(MAPPING)
        (tmp_path / "policy.toml").write_text(POLICY)
        return load_configuration(tmp_path / "entrepot.toml")

    return write


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[targets.erp]\nurl = "x"', "the key 'targets.erp.adapter' is missing"),
        ('[targets.erp]\nadapter = "nowhere"', "targets.erp.adapter: there is no target adapter 'nowhere'"),
        (ERP.replace("url", "ulr"), "targets.erp.ulr"),
        (ERP + 'reads = "realtme"', "targets.erp.reads is 'realtme'"),
        (ERP + "retry = { seconds_min = 0 }", "targets.erp.retry.seconds_min"),
        (ERP + "in_flight_max = 0", "targets.erp.in_flight_max"),
        (ERP + "[lanes.inbox]", "a lane cannot be named 'inbox'"),
        ('[downlink]\nregion = "eu-de"', "downlink.region is this region itself"),
        ('[downlink]\nregoin = "hq"', "downlink.regoin"),
        ('[downlink]\npublic_key = "missing.pub"', "missing.pub cannot be read"),
        ('[downlink]\npublic_key = "policy.toml"', "downlink.public_key"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, says: str, load: Load) -> None:
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert says in str(caught.value)


def test_a_target_of_the_inbox_without_a_downlink_is_warned_of_and_one_of_a_lane_is_not(load: Load) -> None:
    def warned(text: str) -> bool:
        return any("there is no [downlink]" in warning for warning in load(text).warnings)

    assert warned(ERP)
    assert not warned(ERP + 'reads = "realtime"')
    assert not warned(DOWNLINK + ERP)


def test_pauses_that_cannot_grow_are_warned_of(load: Load) -> None:
    def warned(retry: str) -> bool:
        return any("pauses lie between them" in warning for warning in load(ERP + retry).warnings)

    assert warned("retry = { seconds_min = 9, seconds_max = 3 }")
    assert not warned("retry = { seconds_max = 3 }")


def test_the_key_of_headquarters_is_read_from_its_file(load: Load, tmp_path: Path) -> None:
    (tmp_path / "hq.pub").write_text("00" * 32 + "\n")
    assert load('[downlink]\npublic_key = "hq.pub"').headquarters_key == bytes(32)
    assert load(DOWNLINK).headquarters_key is None


@pytest.mark.parametrize(
    ("before", "after", "part", "says", "started", "ended"),
    [
        ("", ERP, "targets.erp", "added adapter probe", {"erp"}, set()),
        (ERP, "", "targets.erp", "removed", set(), {"erp"}),
        (ERP, ERP.replace("1/", "2/"), "targets.erp", "changed url", {"erp"}, {"erp"}),
        (ERP, ERP + "in_flight_max = 1", "targets.erp", "changed in_flight_max", {"erp"}, {"erp"}),
    ],
)
def test_a_changed_target_begins_anew_and_nothing_else(
    before: str, after: str, part: str, says: str, started: set[str], ended: set[str], load: Load
) -> None:
    old, new = load(DOWNLINK + before), load(DOWNLINK + after)
    plan = compare(old, new, {}, {})
    assert {c.part: f"{c.change} {c.detail}".strip() for c in plan.changes} == {part: says}
    assert (plan.targets_started, plan.targets_ended) == (started, ended)
    assert not plan.uplink
    assert not plan.started


def test_a_changed_rendering_begins_the_target_anew(load: Load, tmp_path: Path) -> None:
    folder = '[targets.files]\nadapter = "file"\npath = "out"\nrendering = "stock.toml"\n'
    rendering = 'rendering = "stock"\nversion = {}\nformat = "json"\n[fields]\nsku = "data.sku"\n'
    (tmp_path / "stock.toml").write_text(rendering.format(1))
    old = load(DOWNLINK + folder)
    (tmp_path / "stock.toml").write_text(rendering.format(2))
    new = load(DOWNLINK + folder)
    assert old.digest != new.digest
    plan = compare(old, new, {}, {})
    assert [(change.part, change.detail) for change in plan.changes] == [("targets.files", "files")]
    assert plan.targets_started == {"files"}


def test_a_changed_downlink_is_read_over_a_new_connection(load: Load) -> None:
    for before, after in (("", DOWNLINK), (DOWNLINK, ""), (DOWNLINK, DOWNLINK + "poll_seconds = 1.0")):
        plan = compare(load(before), load(after), {}, {})
        assert [change.part for change in plan.changes] == ["downlink"]
        assert plan.uplink
