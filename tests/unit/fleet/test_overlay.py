"""What headquarters says goes before the local file, key by key and file by file, and reaches nothing beside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runtime.config.assemble import load_configuration
from runtime.config.change import compare
from runtime.config.overlay import Overlay, merged
from runtime.errors import ConfigError, Refused
from runtime.fleet.steering import check_steering
from tests.support import fleet
from tests.support.region import MAPPING, POLICY
from tests.unit.fleet.test_slots import ENTREPOT


@pytest.mark.parametrize(
    ("local", "said", "found"),
    [
        ({"a": {"x": 1, "y": 2}}, {"a": {"y": 3}}, {"a": {"x": 1, "y": 3}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": {"x": 1}, "b": 1}, {"a": {"x": None}, "b": None}, {"a": {}}),
        ({"a": 1}, {"a": {"x": {"y": None}}}, {"a": {"x": {}}}),
    ],
)
def test_tables_are_merged_and_the_rest_is_replaced(
    local: dict[str, Any], said: dict[str, Any], found: dict[str, Any]
) -> None:
    assert merged(local, said) == found


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "mapping.toml").write_text(MAPPING)
    (tmp_path / "policy.toml").write_text(POLICY)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "wms").write_text("a-secret-of-the-partner")
    path = tmp_path / "entrepot.toml"
    path.write_text(
        ENTREPOT.replace("[residency]", 'credentials = "region.creds"\n[residency]') + '[secrets]\ndir = "secrets"\n'
    )
    return path


def test_a_revision_that_touches_another_source_restarts_none(config: Path, tmp_path: Path) -> None:
    slot = tmp_path / "slot.toml"
    slot.write_text(MAPPING)
    local = load_configuration(config)
    more = {"adapter": "file_drop", "mapping": "mapping.toml", "path": "drop"}
    overlay = Overlay(version=1, settings={"sources": {"more": more}}, files={"mapping.toml": slot})
    plan = compare(local, load_configuration(config, overlay), {}, {})
    assert plan.started == {"more"}
    assert plan.ended == frozenset()
    assert not plan.uplink


@pytest.mark.parametrize("key", ["mapping", "schema"])
@pytest.mark.parametrize(
    "name", ["secrets/wms", "./x/../secrets/wms", "state/journal.db", "region.creds", "../other.toml", "/etc/passwd"]
)
def test_headquarters_has_no_other_file_of_the_host_read(config: Path, name: str, key: str) -> None:
    overlay = Overlay(version=1, settings={"sources": {"wms": {key: name}}})
    with pytest.raises(ConfigError, match="no file that it may name"):
        load_configuration(config, overlay)


@pytest.mark.parametrize("path", ["secrets", "state/drops", ".", "..", "/", "secrets/../secrets/more"])
def test_headquarters_has_no_folder_with_secrets_read(config: Path, path: str) -> None:
    source = {"adapter": "file_drop", "mapping": "mapping.toml", "path": path}
    with pytest.raises(ConfigError, match=r"sources\.more\.path: secrets, keys or the journal lie there"):
        load_configuration(config, Overlay(version=1, settings={"sources": {"more": source}}))
    text = config.read_text().replace(
        "[fleet]", f'[sources.more]\nadapter = "file_drop"\nmapping = "mapping.toml"\npath = "{path}"\n[fleet]'
    )
    config.write_text(text)
    load_configuration(config, Overlay(version=1, settings={"sources": {"more": {"poll_seconds": 5}}}))


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("path", "secrets"),
        ("path", "state"),
        ("path", "."),
        ("path", "/"),
        ("rendering", "secrets/wms"),
        ("rendering", "region.creds"),
        ("rendering", "x/../state/journal.db"),
    ],
)
def test_headquarters_has_no_target_reach_where_secrets_keys_or_the_journal_lie(
    config: Path, key: str, place: str
) -> None:
    target = {"adapter": "file", "path": "out", key: place}
    with pytest.raises(ConfigError, match=rf"targets\.more\.{key}: secrets, keys or the journal lie there"):
        load_configuration(config, Overlay(version=1, settings={"targets": {"more": target}}))
    load_configuration(config, Overlay(version=1, settings={"targets": {"more": {"adapter": "file", "path": "out"}}}))


def test_what_the_local_file_says_of_a_target_stays_when_it_is_tuned(config: Path) -> None:
    config.write_text(config.read_text() + '[targets.own]\nadapter = "file"\npath = "state/out"\n')
    load_configuration(config, Overlay(version=1, settings={"targets": {"own": {"in_flight_max": 1}}}))


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../x", "./x", "a//x", "x\n", ".x", "a/..", ""])
def test_a_file_of_a_revision_has_a_plain_name(name: str) -> None:
    with pytest.raises(Refused, match="no plain relative path"):
        check_steering(fleet.revision(1, {}, {name: b""}))


def test_a_file_of_a_revision_has_a_digest() -> None:
    found = fleet.revision(1, {}, {"a.toml": b""})
    check_steering(found)
    found.files["a.toml"] = "../secrets"
    with pytest.raises(Refused, match="SHA-256"):
        check_steering(found)
