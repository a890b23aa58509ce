"""A residency policy as data: dated rules over event types, classes and paths. Deny is what no rule says."""

from __future__ import annotations

import re
from datetime import date
from functools import cache
from hashlib import sha256

import msgspec
from msgspec import Struct

from runtime.canonical.classes import NAMED_PATH_ONLY
from runtime.canonical.leaves import Leaf
from runtime.clearance.actions import ALLOW, Action


class Rule(Struct, frozen=True, kw_only=True):
    """One rule. Each of the four lists is alternatives; `*` stands for any run of characters."""

    id: str
    action: Action
    types: tuple[str, ...] = ("*",)
    classes: tuple[str, ...] = ("*",)
    paths: tuple[str, ...] = ("*",)
    destinations: tuple[str, ...] = ("*",)
    basis: str = ""
    """Reference to the legal or contractual basis, as the auditor knows it."""
    since: date | None = None
    """First day on which the rule counts (`from` in the file); None: always did."""
    until: date | None = None
    """Last day on which it counts."""


class Policy(Struct, frozen=True, kw_only=True):
    """A policy file as read. `digest` is SHA-256 (hex) of its content; order, layout and comments do not count."""

    name: str
    version: int
    rules: tuple[Rule, ...]
    """Sorted by id: the order in the file decides nothing."""
    digest: str


def make_policy(name: str, version: int, rules: tuple[Rule, ...]) -> Policy:
    """A policy with its digest."""
    ordered = tuple(sorted(rules, key=lambda rule: rule.id))
    content = msgspec.json.encode([name, version, ordered], order="deterministic")
    return Policy(name=name, version=version, rules=ordered, digest=sha256(content).hexdigest())


@cache
def _glob(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in pattern.split("*")))


def matches(patterns: tuple[str, ...], text: str) -> bool:
    """Whether one of the patterns covers the whole text."""
    return any(_glob(pattern).fullmatch(text) for pattern in patterns)


def in_force(rule: Rule, *, type_name: str, destination: str, today: date) -> bool:
    """Whether a rule counts at all for this event type, at this destination, on this day."""
    return (
        (rule.since is None or rule.since <= today)
        and (rule.until is None or today <= rule.until)
        and matches(rule.destinations, destination)
        and matches(rule.types, type_name)
    )


def covers(rule: Rule, leaf: Leaf) -> bool:
    """Whether a rule in force speaks about a leaf.

    Leaves whose content nobody can foresee (free text, attachments, secrets, unclassified ones) are released only
    by a rule that spells out the path.
    """
    if not (matches(rule.classes, leaf.class_name) and matches(rule.paths, leaf.path)):
        return False
    return rule.action != ALLOW or leaf.class_name not in NAMED_PATH_ONLY or leaf.path in rule.paths
