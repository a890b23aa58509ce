"""The compiled policy: one decode and one encode per event decide what leaves. Pure, no allocation per leaf.

What cannot be cleared for certain (unknown type, unreadable body) is withheld.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from hashlib import sha256
from operator import attrgetter

import msgspec
from msgspec import Struct

from runtime.canonical.leaves import leaves
from runtime.canonical.registry import TYPES, CanonicalType
from runtime.clearance.actions import ALLOW, Action
from runtime.clearance.decide import Decision, decide
from runtime.clearance.policy import Policy, in_force
from runtime.clearance.projection import Projector

UNCLASSIFIED_TYPE = "unclassified"
UNREADABLE = "unreadable"
RESERVED_RULES = frozenset(
    {"default-deny", "no-released-leaf", "cannot-mask", "cannot-export", UNCLASSIFIED_TYPE, UNREADABLE}
)
"""Rule ids that clearance itself writes into the evidence, beside `required-field:<path>`."""

DispositionField = tuple[str, str, str, str]
"""(path, class, action, rule)."""


class Disposition(Struct, frozen=True):
    """What happens to every leaf of one event type under one policy; events share a handful of these."""

    type: str
    fields: tuple[DispositionField, ...]
    digest: str
    """SHA-256 (hex) over type and fields."""
    id: int
    """First 63 bits of the digest: fits a signed 64-bit column."""


class Cleared(Struct, frozen=True, gc=False):
    """The projection that may leave, as compact JSON; `subject` and `time` only if their leaves are released."""

    data: bytes
    subject: str | None
    time: str | None
    disposition: Disposition


class Withheld(Struct, frozen=True, gc=False):
    """The whole event stays, because of `rule`."""

    rule: str
    disposition: Disposition


class ExplainRow(Struct, frozen=True):
    """One line of `explain`: a leaf, and why it leaves or stays."""

    path: str
    class_name: str
    subject: str | None
    action: str
    rule: str
    basis: str


Plan = Callable[[bytes], Cleared | Withheld]


class Clearance:
    """A policy compiled for one destination and one day.

    `digest` changes whenever any leaf of any type is treated differently (policy, dates, or vocabulary);
    `changes_on` is the next day on which a dated rule begins or ends.
    """

    __slots__ = ("_decisions", "_outcomes", "_plans", "_unknown", "changes_on", "destination", "digest", "policy")

    def __init__(self, policy: Policy, *, today: date, destination: str, types: Mapping[str, CanonicalType]) -> None:
        self.policy = policy
        self.destination = destination
        self.changes_on = _next_change(policy, today)
        self._plans: dict[str, Plan] = {}
        self._outcomes: dict[str, Disposition] = {}
        self._decisions: dict[str, tuple[Decision, ...]] = {}
        for name, entry in types.items():
            self._add(entry, name, today)
        self._unknown = Withheld(UNCLASSIFIED_TYPE, make_disposition(UNCLASSIFIED_TYPE, ()))
        parts = [policy.digest, *(outcome.digest for _, outcome in sorted(self._outcomes.items()))]
        self.digest = sha256("\n".join(parts).encode()).hexdigest()

    def clear(self, type_name: str, body: bytes) -> Cleared | Withheld:
        """Clear one event. `body` is the compact JSON of the canonical struct, decimals as strings. Never raises."""
        plan = self._plans.get(type_name)
        return self._unknown if plan is None else plan(body)

    def explain(self, type_name: str) -> list[ExplainRow]:
        """One row a leaf, in the order of the schema. Raises `KeyError` for an unknown type."""
        return [
            ExplainRow(d.leaf.path, d.leaf.class_name, d.leaf.subject, d.action.name, d.rule, d.basis)
            for d in self._decisions[type_name]
        ]

    def actions(self) -> dict[tuple[str, str], Action]:
        """(event type, path) → what is done to that leaf."""
        return {(name, d.leaf.path): d.action for name, rows in self._decisions.items() for d in rows}

    def dispositions(self) -> list[Disposition]:
        """The usual disposition of each type, for the evidence."""
        return list(self._outcomes.values())

    def _add(self, entry: CanonicalType, name: str, today: date) -> None:
        rules = [
            rule
            for rule in self.policy.rules
            if in_force(rule, type_name=name, destination=self.destination, today=today)
        ]
        projector = Projector({leaf.path: decide(leaf, rules) for leaf in leaves(entry.struct)})
        part = projector.project(entry.struct)
        decisions = tuple(projector.decisions.values())
        outcome = make_disposition(name, tuple(_row(decision) for decision in decisions))
        self._decisions[name] = decisions
        self._outcomes[name] = outcome
        if part.type is None:
            self._plans[name] = _withhold_all(Withheld(part.denied, outcome))
        else:
            allowed = {decision.leaf.path for decision in decisions if decision.action == ALLOW}
            self._plans[name] = _plan(part.type, entry.key_field, allowed, outcome)


def compile_policy(
    policy: Policy, *, today: date, destination: str = "hub", types: Mapping[str, CanonicalType] = TYPES
) -> Clearance:
    """Compile a policy as it stands on `today` (local date of the region) for one destination."""
    return Clearance(policy, today=today, destination=destination, types=types)


def make_disposition(type_name: str, fields: tuple[DispositionField, ...]) -> Disposition:
    """A disposition under its own digest: equal content, equal id."""
    digest = sha256(msgspec.json.encode([type_name, fields])).digest()
    return Disposition(type_name, fields, digest.hex(), int.from_bytes(digest[:8], "big") >> 1)


def _row(decision: Decision) -> DispositionField:
    return decision.leaf.path, decision.leaf.class_name, decision.action.name, decision.rule


def _withhold_all(verdict: Withheld) -> Plan:
    return lambda body: verdict


def _plan(released: type[Struct], key_field: str, allowed: set[str], outcome: Disposition) -> Plan:
    """The hot path of one event type."""
    decode = msgspec.json.Decoder(released).decode
    encode = msgspec.json.Encoder().encode
    subject_of = _reader(key_field, allowed)
    time_of = _reader("occurred_at", allowed)
    stays = tuple((path, class_name, "drop", UNREADABLE) for path, class_name, _, _ in outcome.fields)
    unreadable = Withheld(UNREADABLE, make_disposition(outcome.type, stays))

    def clear(body: bytes) -> Cleared | Withheld:
        try:
            event = decode(body)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return unreadable
        return Cleared(encode(event), subject_of(event), time_of(event), outcome)

    return clear


def _reader(path: str, allowed: set[str]) -> Callable[[object], str | None]:
    return attrgetter(path) if path in allowed else lambda event: None


def _next_change(policy: Policy, today: date) -> date | None:
    begins = (rule.since for rule in policy.rules if rule.since is not None)
    ends = (rule.until + timedelta(days=1) for rule in policy.rules if rule.until not in (None, date.max))
    return min((day for day in (*begins, *ends) if day > today), default=None)
