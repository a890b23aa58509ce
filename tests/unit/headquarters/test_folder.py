"""fleet.toml: what is wrong with it is one sentence with the place; layers, keys and freezes come out of the folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.errors import ConfigError
from runtime.headquarters.folder import Folder, find_folder, open_folder
from tests.support.simulated_fleet import HEAD, KEY, REGIONS


def folder(path: Path, text: str = HEAD + REGIONS) -> Folder:
    (path / "fleet.toml").write_text(text)
    return open_folder(path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (HEAD, "the key 'regions' is missing"),
        (f"{HEAD}[regions]", "there is no region"),
        (HEAD.replace("test", "tset", 1) + REGIONS, "environment is 'tset'; did you mean 'test'?"),
        (HEAD.replace(KEY, "abc") + REGIONS, r"release_keys\[0\]: this is no Ed25519 public key"),
        (HEAD + REGIONS.replace('["eu"]', '["ue"]'), r"regions.eu-de.groups: there is no group 'ue'; did you mean 'eu'\?"),
        (HEAD + REGIONS.replace('"DE"', '"Germany"', 1), "ISO 3166"),
        (HEAD + REGIONS + "[rollout]\nsoak_second = 1\n", "did you mean 'soak_seconds'"),
        (HEAD + REGIONS + "[rollout]\nwaves_percent = [0]\n", "rollout.waves_percent"),
        (HEAD + REGIONS + "[rollout]\nbroken_percent_max = 101\n", "rollout.broken_percent_max"),
        (HEAD + REGIONS + '[[freeze]]\nfrom = "1 December"\nuntil = "x"\nreason = "x"\n', r"freeze\[0\].from: '1 December'"),
        (HEAD + REGIONS + '[[freeze]]\nfrom = "2026-12-01T00:00:00"\nuntil = "x"\nreason = "x"\n', "no instant with offset"),
        (
            HEAD + REGIONS + '[[freeze]]\nfrom = "2026-12-02T00:00:00Z"\nuntil = "2026-12-01T00:00:00Z"\nreason = "x"\n',
            "lies before",
        ),
        (
            HEAD
            + REGIONS
            + '[[freeze]]\nfrom = "2026-12-01T00:00:00Z"\nuntil = "2026-12-02T00:00:00Z"\nreason = "x"\nregions = ["eu-dd"]\n',
            "there is no region 'eu-dd'; did you mean 'eu-de'?",
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence_with_its_place(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=says):
        folder(tmp_path, text)


def test_layers_come_in_order_and_a_host_of_a_region_takes_the_regions_folder(tmp_path: Path) -> None:
    for name in ("base", "groups/eu", "groups/north", "regions/eu-de", "regions/eu-se", "agents/eu-de-2"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "entrepot.toml").write_text(f"[lanes.{name.replace('/', '-')}]\n")
    found = folder(tmp_path)
    assert [layer.name for layer in found.layers("eu-se")] == ["base", "group/eu", "group/north", "region/eu-se"]
    assert [layer.name for layer in found.layers("eu-de-2")] == ["base", "region/eu-de", "agent/eu-de-2"]
    assert set(found.render("eu-de-2").settings["lanes"]) == {"base", "regions-eu-de", "agents-eu-de-2"}


def test_golden_messages_and_what_is_local_are_no_files_of_a_layer(tmp_path: Path) -> None:
    base = tmp_path / "base"
    (base / "mappings" / "golden" / "wms").mkdir(parents=True)
    (base / "entrepot.toml").write_text('[sources.wms]\nadapter = "webhook"\nmapping = "mappings/wms.toml"\n')
    (base / "mappings" / "wms.toml").write_text('mapping = "m"\n')
    (base / "mappings" / "golden" / "wms" / "one.json").write_text("{}")
    (base / ".gitignore").write_text("x")
    (base / "local.toml").write_text("x = 1")
    rendered = folder(tmp_path).render("eu-de")
    assert (set(rendered.files), set(rendered.golden)) == ({"mappings/wms.toml"}, {"mappings/golden/wms/one.json"})
    assert rendered.unused == []


def test_regions_are_picked_by_name_or_group_in_the_order_of_the_file(tmp_path: Path) -> None:
    found = folder(tmp_path)
    assert found.pick([]) == ["eu-de", "eu-se", "eu-de-2"]
    assert found.pick(["group:eu"]) == ["eu-de", "eu-se"]
    assert found.pick(["eu-de-2", "group:north"]) == ["eu-se", "eu-de-2"]
    with pytest.raises(ConfigError, match="did you mean 'eu-de'"):
        found.pick(["eu-dee"])
    with pytest.raises(ConfigError, match="did you mean 'north'"):
        found.pick(["group:nort"])


def test_a_freeze_of_a_group_holds_its_members(tmp_path: Path) -> None:
    freeze = '[[freeze]]\nfrom = "2026-12-01T00:00:00+01:00"\nuntil = "2026-12-27T00:00:00Z"\nreason = "peak"\ngroups = ["north"]\n'
    (one,) = folder(tmp_path, HEAD + REGIONS + freeze).freezes
    assert one.regions == {"eu-se"}
    assert one.until_us - one.since_us == (26 * 24 + 1) * 3_600_000_000


def test_an_agents_key_comes_from_fleet_toml_or_from_its_enrolment(tmp_path: Path) -> None:
    assert folder(tmp_path).region_keys == {}
    (tmp_path / "enrolled").mkdir()
    (tmp_path / "enrolled" / "eu-de.pub").write_text(f"{KEY}\n")
    assert folder(tmp_path).region_keys == {"eu-de": bytes(range(32))}
    (tmp_path / "enrolled" / "eu-de.pub").write_text("nonsense")
    with pytest.raises(ConfigError, match=r"enrolled/eu-de\.pub"):
        folder(tmp_path)


def test_without_a_folder_the_next_step_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"there is no fleet\.toml") as failure:
        find_folder(None)
    assert "--fleet" in failure.value.hint
    (tmp_path / "fleet").mkdir()
    (tmp_path / "fleet" / "fleet.toml").touch()
    assert find_folder(None) == Path("fleet")
