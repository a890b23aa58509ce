"""What would change: keys with their layer, files with their difference, and a version higher than any before."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import Refused
from runtime.fleet.documents import Revision
from runtime.fleet.layers import Layer, Rendered, render
from runtime.fleet.plan import file_digest, go_back, make_plan, make_revision, next_version

AT = "2026-11-23T10:00:00+00:00"


def rendered(settings: dict[str, Any], **files: bytes) -> Rendered:
    return render([Layer(name="base", settings=settings, files={f"{name}.toml": body for name, body in files.items()})])


def revision(found: Rendered, version: int = 4) -> Revision:
    return make_revision(
        found, region="eu-de", environment="test", version=version, at=AT, by="ada", ticket="T-1", note="n"
    )


def test_the_same_content_changes_nothing_whatever_its_version() -> None:
    found = rendered({"residency": {"policy": "p.toml"}}, p=b"x")
    plan = make_plan("eu-de", found, revision(found), found.files, highest=9)
    assert plan.empty
    assert (plan.base, plan.version) == (4, 10)


def test_each_change_is_told_with_before_after_and_the_layer_that_says_it() -> None:
    old = rendered({"a": {"x": 1, "gone": True}, "policy": "p.toml"}, p=b"one\ntwo\n")
    new = rendered({"a": {"x": 2, "new": {}}, "policy": "p.toml"}, p=b"one\nthree\n")
    plan = make_plan("eu-de", new, revision(old), old.files, highest=4)
    assert [(c.key, c.before, c.after, c.layer) for c in plan.keys] == [
        ("a.gone", "true", None, ""),
        ("a.new", None, "{}", "base"),
        ("a.x", "1", "2", "base"),
    ]
    (change,) = plan.files
    assert (change.before, change.after) == (file_digest(b"one\ntwo\n"), file_digest(b"one\nthree\n"))
    assert change.diff[-2:] == ["-two", "+three"]


def test_a_key_that_is_taken_away_is_a_change_although_it_has_no_value() -> None:
    plan = make_plan("eu-de", rendered({"remove": ["a"]}), revision(rendered({})), {}, highest=4)
    assert [(c.key, c.before, c.after) for c in plan.keys] == [("a", None, "null")]


def test_a_region_that_has_nothing_yet_gets_version_1() -> None:
    plan = make_plan("eu-de", rendered({"a": 1}), None, {}, highest=0)
    assert (plan.base, plan.version, plan.empty) == (0, 1, False)


@given(st.lists(st.integers(0, 10**6)))
def test_the_next_version_is_higher_than_all_that_were_seen(known: list[int]) -> None:
    assert all(next_version(known) > version for version in known)


def test_going_back_is_a_higher_version_with_the_old_content_and_nothing_else() -> None:
    old = revision(rendered({"a": 1, "policy": "p.toml"}, p=b"x"))
    said: dict[str, Any] = {
        "region": "eu-de",
        "environment": "test",
        "at": AT,
        "by": "grace",
        "ticket": "",
        "note": "b",
    }
    back = go_back(old, version=9, **said)
    assert (back.settings, back.files, back.provenance) == (old.settings, old.files, old.provenance)
    assert (back.version, back.by, back.note) == (9, "grace", "b")
    assert go_back(None, version=2, **said).settings == {}
    with pytest.raises(Refused, match="would not be higher"):
        go_back(old, version=4, **said)
