"""Before anything is sent: what would not load, lets out more, or no longer understands a golden message is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runtime.fleet.documents import Revision
from runtime.fleet.layers import Layer, Rendered, render
from runtime.fleet.plan import file_digest, make_plan
from runtime.fleet.sight import Sight
from runtime.headquarters.folder import Folder, open_folder
from runtime.headquarters.proposal import Proposal, describe
from runtime.headquarters.trial import Trial, as_toml, try_region
from tests.support.region import MAPPING, POLICY, fact
from tests.support.simulated_fleet import HEAD, REGIONS

SETTINGS: dict[str, Any] = {
    "lanes": {"realtime": {}},
    "residency": {"policy": "policy.toml"},
    "sources": {"wms": {"adapter": "webhook", "mapping": "mappings/wms.toml", "auth": {"scheme": "none"}}},
}
FILES = {"mappings/wms.toml": MAPPING.encode(), "policy.toml": POLICY.encode()}
GOLDEN = {"mappings/golden/wms/stock.json": fact(1)}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "fleet.toml").write_text(HEAD + REGIONS)
    return open_folder(tmp_path)


def rendered(settings: dict[str, Any] | None = None, files: dict[str, bytes] | None = None) -> Rendered:
    return render(
        [Layer(name="base", settings=SETTINGS | (settings or {}), files=FILES | (files or {}), golden=GOLDEN)]
    )


def last(settings: dict[str, Any] | None = None) -> Revision:
    digests = {path: file_digest(content) for path, content in FILES.items()}
    return Revision(
        environment="test",
        region="eu-de",
        issued_at="2026-11-23T10:00:00+00:00",
        version=1,
        settings=SETTINGS if settings is None else settings,
        files=digests,
        by="ada",
    )


def tried(folder: Folder, found: Rendered, revision: Revision | None = None) -> Trial:
    return try_region(folder, "eu-de", found, revision, FILES)


def test_what_loads_may_go_and_its_golden_messages_were_tried(folder: Folder) -> None:
    trial = tried(folder, rendered(), last())
    assert (trial.refused, trial.golden, trial.loosened, trial.samples) == ("", [], [], 1)


def test_what_would_not_load_is_refused_with_region_key_and_layer_and_without_the_scratch_folder(
    folder: Folder,
) -> None:
    sources = {"wms": SETTINGS["sources"]["wms"] | {"on_letter": "prk"}}
    trial = tried(folder, rendered({"sources": sources}))
    assert trial.refused == ("entrepot.toml: sources.wms.on_letter is 'prk'; did you mean 'park'? (said by base)")
    trial = tried(folder, rendered({"journal": {"key_dayz": 1}}))
    assert trial.refused == "entrepot.toml: there is no key 'journal.key_dayz'; did you mean 'key_days'? (said by base)"


def test_a_mapping_that_does_not_compile_is_refused(folder: Folder) -> None:
    broken = MAPPING.replace('type = "stock.snapshot"', 'type = "stock.snapsot"').encode()
    trial = tried(folder, rendered(files={"mappings/wms.toml": broken}), last())
    assert "mappings/wms.toml" in trial.refused
    assert "stock.snapshot" in trial.refused


def test_warnings_are_shown(folder: Folder) -> None:
    no_key = MAPPING.replace('key = "id"\n', "").encode()
    trial = tried(folder, rendered(files={"mappings/wms.toml": no_key}), last())
    assert trial.refused == ""
    assert any("sources.wms" in warning and "entrepot-fleet-" not in warning for warning in trial.warnings)


def test_a_policy_that_lets_out_more_is_refused_and_a_stricter_one_is_not(folder: Folder) -> None:
    looser = POLICY.replace('"business.confidential"]', '"business.confidential", "personal.quasi"]').encode()
    trial = tried(folder, rendered(files={"policy.toml": looser}), last())
    assert "let out more" in trial.refused
    assert all("→ allow" in leaf for leaf in trial.loosened)
    stricter = POLICY.replace('"public", "business", ', '"public", ').encode()
    assert tried(folder, rendered(files={"policy.toml": stricter}), last()).loosened == []


def test_a_golden_message_that_becomes_something_else_is_shown_leaf_by_leaf(folder: Folder) -> None:
    other = MAPPING.replace('on_hand = { path = "qty", convert = "decimal" }', 'on_hand = { const = "7" }').encode()
    trial = tried(folder, rendered(files={"mappings/wms.toml": other}), last())
    (found,) = trial.golden
    assert (trial.refused, found.source, found.sample) == ("", "wms", "mappings/golden/wms/stock.json")
    assert [(d.leaf, d.before, d.after) for d in found.differences] == [("on_hand", "1", "7")]


def test_a_golden_message_that_is_no_longer_understood_is_refused(folder: Folder) -> None:
    other = MAPPING.replace("kind == 'STOCK'", "kind == 'STOCKS'").encode()
    trial = tried(folder, rendered(files={"mappings/wms.toml": other}), last())
    assert "would be rejected" in trial.refused
    first = try_region(folder, "eu-de", rendered(files={"mappings/wms.toml": other}), None, {})
    assert (first.refused, len(first.golden)) == ("", 1)


def test_what_the_regions_own_file_says_is_known_from_local_toml(folder: Folder) -> None:
    alone = {key: value for key, value in SETTINGS.items() if key != "lanes"}
    only_sources = render([Layer(name="base", settings=alone, files=FILES)])
    assert "lanes" in tried(folder, only_sources).refused
    (folder.path / "regions" / "eu-de").mkdir(parents=True)
    (folder.path / "regions" / "eu-de" / "local.toml").write_text("[lanes.realtime]\n")
    assert tried(folder, only_sources).refused == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a b": [1, True, 2.5, 'x"\n\x7f']}, '{"a b" = [1, true, 2.5, "x\\"\\n\\u007f"]}'),
        ({}, "{}"),
    ],
)
def test_values_are_written_as_toml(value: Any, text: str) -> None:
    import tomllib

    assert as_toml(value) == text
    assert tomllib.loads(f"v = {text}")["v"] == value


def test_the_audit_tells_equal_differences_once_and_never_more_than_fits_one_message() -> None:
    def proposal(region: str, hours: int) -> Proposal:
        found = rendered({"journal": {"refill_hours": hours}})
        plan = make_plan(region, found, None, {}, highest=hours)
        return Proposal(region=region, sight=Sight(region=region), plan=plan, rendered=found, trial=Trial())

    same, other = describe([proposal("eu-de", 1), proposal("eu-fr", 1), proposal("eu-pl", 2)])
    assert (same["regions"], other["regions"]) == ({"eu-de": 2, "eu-fr": 2}, {"eu-pl": 3})
    assert "journal.refill_hours: – → 1" in same["changes"]
    short = describe([proposal("eu-de", 1), proposal("eu-pl", 2)], lines_max=3)
    assert [len(one["changes"]) for one in short] == [4, 1]
    assert short[1]["changes"] == [f"… and {len(other['changes'])} more lines"]
