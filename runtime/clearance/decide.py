"""Decides each leaf of an event type: which action, by which rule. Pure; runs once per policy, not per event."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from runtime.canonical.leaves import Leaf
from runtime.clearance.actions import ALLOW, DROP, Action, join_all
from runtime.clearance.policy import Rule, covers

DEFAULT_DENY = "default-deny"


class Decision(Struct, frozen=True):
    """What happens to one leaf. `rule` names the rules that are as strict as the result, joined by `+`."""

    leaf: Leaf
    action: Action
    rule: str
    basis: str = ""
    allowed: bool = False
    """Whether some rule allows the leaf: a mask alone never makes a missing leaf good."""


def decide(leaf: Leaf, rules: Sequence[Rule]) -> Decision:
    """The strictest word of all rules that cover a leaf; `drop` if none does."""
    covering = [rule for rule in rules if covers(rule, leaf)]
    if not covering:
        return Decision(leaf, DROP, DEFAULT_DENY)
    action = join_all(rule.action for rule in covering)
    deciding = [rule for rule in covering if rule.action == action] or covering
    return Decision(
        leaf,
        action,
        "+".join(rule.id for rule in deciding),
        "; ".join(dict.fromkeys(rule.basis for rule in deciding if rule.basis)),
        any(rule.action == ALLOW for rule in covering),
    )
