"""Layers of configuration: which one wins, who is remembered for it, and what none of them may say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import ConfigError
from runtime.fleet.layers import Layer, leaves, render


def layer(name: str, settings: dict[str, Any], **files: bytes) -> Layer:
    return Layer(name=name, settings=settings, files={path.replace("__", "/"): body for path, body in files.items()})


def test_a_higher_layer_wins_key_by_key_and_is_remembered_for_its_own_keys_only() -> None:
    found = render(
        [
            layer("base", {"journal": {"key_days": 35, "refill_hours": 72}, "lanes": {"realtime": {}}}),
            layer("group/eu", {"journal": {"refill_hours": 96}}),
            layer("region/eu-de", {"lanes": {"bulk": {"lag_seconds_warning": 60}}}),
        ]
    )
    assert found.settings == {
        "journal": {"key_days": 35, "refill_hours": 96},
        "lanes": {"realtime": {}, "bulk": {"lag_seconds_warning": 60}},
    }
    assert found.provenance == {
        "journal.key_days": "base",
        "journal.refill_hours": "group/eu",
        "lanes.realtime": "base",
        "lanes.bulk.lag_seconds_warning": "region/eu-de",
    }


def test_a_table_that_replaces_a_value_forgets_who_said_the_value() -> None:
    found = render([layer("base", {"alerts": "x"}), layer("region/a", {"alerts": {"queue_max": 1}})])
    assert found.provenance == {"alerts.queue_max": "region/a"}
    found = render([layer("base", {"alerts": {"queue_max": 1}}), layer("region/a", {"alerts": "x"})])
    assert found.provenance == {"alerts": "region/a"}


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ({"region": "eu-fr"}, "group/eu: region may not stand here"),
        ({"secrets": {"dir": "s"}}, "group/eu: secrets may not stand here"),
        ({"fleet": {}}, "group/eu: fleet may not stand here: whose signatures count cannot be steered"),
        ({"remove": ["data_dir"]}, "group/eu: data_dir may not stand here"),
        ({"remove": "x"}, "group/eu: remove must be a list"),
        ({"remove": ["journal.key_days"], "journal": {"key_days": 1}}, "set and removed"),
    ],
)
def test_a_key_that_is_the_regions_own_is_refused_with_the_layer_that_said_it(said: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        render([layer("base", {}), layer("group/eu", said)])


def test_a_key_can_be_taken_away_from_lower_layers_and_from_the_regions_file() -> None:
    base = layer("base", {"sources": {"legacy": {"adapter": "file_drop"}, "wms": {"adapter": "webhook"}}})
    found = render([base, layer("region/a", {"remove": ["sources.legacy"]})])
    assert found.settings == {"sources": {"legacy": None, "wms": {"adapter": "webhook"}}}
    assert found.provenance["sources.legacy"] == "region/a"
    assert "sources.legacy.adapter" not in found.provenance


def test_only_files_that_are_named_are_sent_and_those_that_they_name_in_turn() -> None:
    mapping = b'mapping = "m"\n[tables.codes]\nfile = "codes.csv"\n'
    found = render(
        [
            layer(
                "base",
                {"sources": {"wms": {"mapping": "mappings/wms.toml"}}},
                **{"mappings__wms.toml": mapping, "mappings__codes.csv": b"a,b", "mappings__other.toml": b""},
            ),
            layer("region/a", {}, **{"mappings__codes.csv": b"c,d"}),
        ]
    )
    assert found.files == {"mappings/wms.toml": mapping, "mappings/codes.csv": b"c,d"}
    assert found.provenance['files."mappings/codes.csv"'] == "region/a"
    assert found.unused == ["mappings/other.toml"]


names = st.sampled_from(["a", "b", "c.d", "e f"])
values = st.recursive(
    st.one_of(st.integers(-5, 5), st.text(max_size=3), st.lists(st.integers(), max_size=2)),
    lambda inner: st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
tables = st.dictionaries(names, values, max_size=4)


@given(st.lists(tables, max_size=4))
def test_every_leaf_has_exactly_one_layer_and_it_says_so_itself(said: list[dict[str, Any]]) -> None:
    layers = [layer(f"layer-{number}", table) for number, table in enumerate(said)]
    found = render(layers)
    shown = dict(leaves(found.settings))
    assert shown.keys() == found.provenance.keys()
    by_name = {one.name: dict(leaves(one.settings)) for one in layers}
    for key, name in found.provenance.items():
        assert by_name[name][key] == shown[key]
