"""What decides: canaries, non-interference and monotonicity, over all types and random policies."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.canonical import TYPES
from runtime.canonical.classes import CLASSES
from runtime.canonical.leaves import Field, fields_of, leaves
from runtime.clearance import Clearance, Cleared, Rule, Withheld, compile_policy
from runtime.clearance.actions import Action
from runtime.clearance.policy import Policy
from tests.support.examples import examples
from tests.unit.clearance.specimens import (
    ALL_CLASSES_ALLOWED,
    Markers,
    body_of,
    marked,
    policy,
    rule,
    schema_path,
    specimen,
)

TODAY = date(2026, 11, 23)
NAMES = sorted(TYPES)
PATHS = sorted({leaf.path for entry in TYPES.values() for leaf in leaves(entry.struct)})
GLOBS = ["*", "*.address.*", "customer.*", "lines[].*", "*.city", "*_id"]


def _rules(*actions: str) -> st.SearchStrategy[Rule]:
    return st.builds(
        Rule,
        id=st.text("abcdefgh", min_size=4, max_size=8),
        action=st.sampled_from([Action(name) for name in actions]),
        types=st.sampled_from([("*",), ("stock.*",), ("order.*", "shipment.*"), ("partner.changed",)]),
        classes=st.lists(st.sampled_from(["*", "personal.*", *CLASSES]), min_size=1, max_size=4).map(tuple),
        paths=st.one_of(st.just(("*",)), st.lists(st.sampled_from(PATHS + GLOBS), min_size=1, max_size=3).map(tuple)),
    )


# Mostly generous policies: a policy that withholds everything proves nothing.
POLICIES = st.builds(
    lambda extra, generous: policy(*extra, *generous),
    st.lists(_rules("allow", "mask", "drop"), max_size=6, unique_by=lambda one: one.id),
    st.sampled_from([
        (rule("a0", "allow", classes=("business",)),),
        (rule("a1", "allow", classes=("business*", "public", "personal.quasi")),),
        (ALL_CLASSES_ALLOWED,),
        (),
    ]),
)  # fmt: skip


def compiled(given_policy: Policy, name: str) -> Clearance:
    return compile_policy(given_policy, today=TODAY, types={name: TYPES[name]})


def actions_of(outcome: Cleared | Withheld) -> dict[str, str]:
    return {path: action for path, _, action, _ in outcome.disposition.fields}


def test_released_leaves_are_there_and_all_others_are_not() -> None:
    released = 0
    for name in NAMES:
        marks = Markers()
        body = body_of(name, specimen(TYPES[name].struct, marks))
        for class_name in CLASSES:
            both = policy(rule("one", "allow", classes=(class_name,)), rule("key", "allow", classes=("business",)))
            clearance = compiled(both, name)
            outcome = clearance.clear(name, body)
            if isinstance(outcome, Cleared):
                released += _check_canaries(marks, outcome)
    assert released > 1000


def _check_canaries(marks: Markers, outcome: Cleared) -> int:
    text, actions = outcome.data.decode(), actions_of(outcome)
    for path, markers in marks.by_path.items():
        for marker in markers:
            assert (marker in text) == (actions[path] == "allow"), f"{path} {actions[path]}"
    return sum(marker in text for markers in marks.by_path.values() for marker in markers)


@pytest.mark.model
@settings(max_examples=examples(150))
@given(given_policy=POLICIES, name=st.sampled_from(NAMES))
def test_under_any_policy_the_output_holds_exactly_what_the_disposition_says(given_policy: Policy, name: str) -> None:
    marks = Markers()
    body = body_of(name, specimen(TYPES[name].struct, marks))
    outcome = compiled(given_policy, name).clear(name, body)
    if isinstance(outcome, Withheld):
        assert not set(actions_of(outcome).values()) & {"allow", "mask"}
    else:
        _check_canaries(marks, outcome)
        assert outcome.data.count(b'"***"') > 0 or "mask" not in actions_of(outcome).values()


@st.composite
def _twins(draw: st.DrawFn) -> tuple[str, Clearance, bytes, bytes]:
    """Two events that differ at will in what is withheld, absence included, and agree in the rest."""
    name = draw(st.sampled_from(NAMES))
    clearance = compiled(draw(POLICIES), name)
    released = {row.path for row in clearance.explain(name) if row.action == "allow"}
    draw_number = st.integers(7_000_001, 7_999_999)

    def differing(path: str, field: Field) -> Any:
        if schema_path(path) in released:
            return marked(field, 7_000_001 + len(path))[0]
        return marked(field, draw(draw_number))[0]

    events = []
    for _ in range(2):
        event = specimen(TYPES[name].struct, differing, elements=1)
        _thin(draw, event, TYPES[name].struct, "", released)
        events.append(body_of(name, event))
    return name, clearance, events[0], events[1]


def _thin(draw: st.DrawFn, event: dict[str, Any], struct: Any, prefix: str, released: set[str]) -> None:
    """Take away, at random, optional parts in which nothing is released."""
    for field in fields_of(struct):
        path = prefix + field.step
        holds = any(kept == path or kept.startswith(f"{path}.") for kept in released)
        if not field.required and not holds and draw(st.booleans()):
            del event[field.name]
        elif field.nested is not None:
            for inner in event[field.name] if field.many else [event[field.name]]:
                _thin(draw, inner, field.nested, f"{path}.", released)


@settings(max_examples=200)
@given(_twins())
def test_what_is_withheld_changes_no_byte(twins: tuple[str, Clearance, bytes, bytes]) -> None:
    name, clearance, one, other = twins
    assert clearance.clear(name, one) == clearance.clear(name, other)


def test_an_object_of_which_nothing_is_stated_looks_like_an_absent_one() -> None:
    clearance = compiled(policy(rule("trade", "allow", classes=("business",))), "order.created")
    base = {"occurred_at": "2026-01-01T00:00:00Z", "order_id": "1", "lines": []}
    absent = clearance.clear("order.created", body_of("order.created", base))
    hidden = clearance.clear("order.created", body_of("order.created", {**base, "customer": {"name": "Erika"}}))
    assert absent == hidden


@settings(max_examples=150)
@given(given_policy=POLICIES, extra=_rules("mask", "drop"), name=st.sampled_from(NAMES))
def test_a_mask_or_drop_rule_added_never_reveals_more(given_policy: Policy, extra: Rule, name: str) -> None:
    body = body_of(name, specimen(TYPES[name].struct, Markers()))
    before = compiled(given_policy, name).clear(name, body)
    after = compiled(policy(*given_policy.rules, extra), name).clear(name, body)
    if isinstance(before, Withheld):
        assert isinstance(after, Withheld)
    elif isinstance(after, Cleared):
        allowed = {path for path, action in actions_of(before).items() if action == "allow"}
        assert {path for path, action in actions_of(after).items() if action == "allow"} <= allowed
        assert set(_values(msgspec.json.decode(after.data))) <= {*_values(msgspec.json.decode(before.data)), "***"}


def _values(tree: Any) -> list[Any]:
    if isinstance(tree, dict):
        return [value for inner in tree.values() for value in _values(inner)]
    if isinstance(tree, list):
        return [value for inner in tree for value in _values(inner)]
    return [tree]


@pytest.mark.parametrize("class_name", ["free_text", "attachment", "secret"])
def test_what_nobody_can_foresee_leaves_only_by_its_full_path(class_name: str) -> None:
    wide = policy(ALL_CLASSES_ALLOWED, rule("class", "allow", classes=(class_name,), paths=("*", "lines[].*")))
    spelled = 0
    for name in NAMES:
        for leaf in leaves(TYPES[name].struct):
            if leaf.class_name == class_name:
                by_class = {row.path: row.action for row in compiled(wide, name).explain(name)}
                named = policy(ALL_CLASSES_ALLOWED, rule("path", "allow", paths=(leaf.path,)))
                by_path = {row.path: row.action for row in compiled(named, name).explain(name)}
                assert (by_class[leaf.path], by_path[leaf.path]) == ("drop", "allow")
                spelled += 1
    assert spelled > 0
