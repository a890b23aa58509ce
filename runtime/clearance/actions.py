"""What may be done to a leaf, ordered by strictness: the lattice that joins the words of several rules.

allow < generalise(level) | pseudonymise | tokenise | mask < drop < hold_event. Policy files of version 1 know
allow, mask and drop; the order is complete, so that later actions join the same way.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

from msgspec import Struct

_RANK = {"allow": 0, "generalise": 1, "pseudonymise": 1, "tokenise": 1, "mask": 1, "drop": 2, "hold_event": 3}


class Action(Struct, frozen=True):
    """`level` counts only for `generalise`: a higher one says less."""

    name: str
    level: int = 0


ALLOW = Action("allow")
MASK = Action("mask")
DROP = Action("drop")
HOLD_EVENT = Action("hold_event")


def join(one: Action, other: Action) -> Action:
    """The least action at least as strict as both; what cannot be compared joins to `drop`."""
    if one == other:
        return one
    if _RANK[one.name] != _RANK[other.name]:
        return max(one, other, key=lambda action: _RANK[action.name])
    if one.name == other.name == "generalise":
        return max(one, other, key=lambda action: action.level)
    return DROP


def join_all(actions: Iterable[Action]) -> Action:
    """The join of at least one action."""
    return reduce(join, actions)
