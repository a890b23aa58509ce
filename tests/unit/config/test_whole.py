"""What only looks wrong when all of a configuration is seen: shared folders, one key with two words, too little ballast."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.config.assemble import Configuration, load_configuration
from runtime.errors import ConfigError
from tests.support.region import MAPPING, POLICY

ENTREPOT = """
region = "eu-de"
jurisdiction = "DE"
environment = "test"
data_dir = "state"
[hub]
servers = ["nats://127.0.0.1:4222"]
[residency]
policy = "policy.toml"
[lanes.realtime]
[sources.legacy]
adapter = "file_drop"
mapping = "mapping.toml"
path = "drops/legacy"
"""
SECOND = '[sources.wms]\nadapter = "file_drop"\nmapping = "mapping.toml"\npath = "{}"\n'
TARGET = '[targets.out]\nadapter = "file"\nreads = "realtime"\npath = "{}"\n'
Load = Callable[[str], Configuration]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    (tmp_path / "mapping.toml").write_text(MAPPING)
    (tmp_path / "policy.toml").write_text(POLICY)
    (tmp_path / "drops" / "legacy").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "drops" / "legacy")

    def load(more: str) -> Configuration:
        (tmp_path / "entrepot.toml").write_text(ENTREPOT + more)
        return load_configuration(tmp_path / "entrepot.toml")

    return load


@pytest.mark.parametrize("path", ["drops/legacy", "drops/../drops/legacy/", "link"])
@pytest.mark.parametrize("part", [SECOND, TARGET], ids=["source", "target"])
def test_a_folder_has_one_user(load: Load, part: str, path: str) -> None:
    with pytest.raises(ConfigError, match=r"is the folder of sources\.legacy already") as caught:
        load(part.format(path))
    assert caught.value.hint == "give each a folder of its own"


@pytest.mark.parametrize("part", [SECOND, TARGET], ids=["source", "target"])
@pytest.mark.parametrize("path", ["state", "state/identity", "state/fleet/3"])
def test_nobody_works_in_the_folder_of_the_journal(load: Load, part: str, path: str) -> None:
    with pytest.raises(ConfigError, match="where the agent keeps its journal"):
        load(part.format(path))


def test_folders_of_their_own_are_fine(load: Load) -> None:
    load(SECOND.format("drops/wms") + TARGET.format("state/out"))


def test_one_key_cannot_be_headquarters_and_the_region_s(load: Load) -> None:
    key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    with pytest.raises(ConfigError, match="stands in release_keys and in region_keys"):
        load(f'[fleet]\nrelease_keys = ["{key}"]\nregion_keys = ["{key}"]\n')


@pytest.mark.parametrize(("size", "told"), [(0, True), (16 * 1024 * 1024 - 1, True), (16 * 1024 * 1024, False)])
def test_a_ballast_smaller_than_the_journal_s_log_is_warned_of(load: Load, size: int, told: bool) -> None:
    warnings = load(f"[journal]\nballast_bytes = {size}\n").warnings
    assert any("may then not go on by itself" in warning for warning in warnings) is told
