"""The lattice of actions: joins are the least action at least as strict as both."""

from __future__ import annotations

from itertools import product

import pytest

from runtime.clearance.actions import ALLOW, DROP, HOLD_EVENT, MASK, Action, join, join_all

MIDDLE = [Action("generalise", 1), Action("generalise", 2), Action("pseudonymise"), Action("tokenise"), MASK]
ALL = [ALLOW, *MIDDLE, DROP, HOLD_EVENT]


def test_the_order_in_which_rules_are_joined_does_not_matter() -> None:
    for one, two, three in product(ALL, repeat=3):
        assert join(one, two) == join(two, one)
        assert join(join(one, two), three) == join(one, join(two, three))


def test_an_action_joined_with_itself_stays() -> None:
    assert [join(action, action) for action in ALL] == ALL


@pytest.mark.parametrize("action", ALL)
def test_allow_adds_nothing_and_hold_outranks_all(action: Action) -> None:
    assert join(ALLOW, action) == action
    assert join(HOLD_EVENT, action) == HOLD_EVENT


def test_what_cannot_be_compared_is_dropped() -> None:
    names = {(one.name, two.name) for one, two in product(MIDDLE, repeat=2) if join(one, two) == DROP}
    assert names == {(one.name, two.name) for one, two in product(MIDDLE, repeat=2) if one.name != two.name}


def test_the_coarser_generalisation_counts() -> None:
    assert join(Action("generalise", 1), Action("generalise", 3)) == Action("generalise", 3)


def test_many_actions_join_to_the_strictest() -> None:
    assert join_all([ALLOW, MASK, ALLOW]) == MASK
    assert join_all([MASK, DROP, ALLOW]) == DROP
