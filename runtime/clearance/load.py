"""Reads a policy file. A wrong key or value is one sentence: the file, the place, the nearest valid choice."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import date, datetime
from difflib import get_close_matches
from typing import Any

from runtime.canonical.classes import CLASSES, UNCLASSIFIED
from runtime.canonical.leaves import leaves
from runtime.canonical.registry import TYPES
from runtime.clearance.actions import ALLOW, DROP, MASK, Action
from runtime.clearance.compiled import RESERVED_RULES
from runtime.clearance.policy import Policy, Rule, make_policy, matches
from runtime.errors import ConfigError

ACTIONS = {"allow": ALLOW, "mask": MASK, "drop": DROP}
DESTINATIONS = ("hub", "target", "log", "trace", "metric", "diagnostics", "backup", "triage")
"""Named sinks. This version clears for `hub`; rules for the others are read and wait for their sink."""
RULES_MAX = 2000
_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_TOP_KEYS = ("policy", "version", "description", "rules")
_RULE_KEYS = ("id", "when", "action", "basis", "from", "until", "note")
_WHEN_KEYS = ("type", "class", "path", "destination")


def load_policy(text: str, *, where: str) -> Policy:
    """The policy in a TOML text; `where` is the file name for messages. Raises `ConfigError`."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where}: not valid TOML: {error}") from error
    _check_keys(document, _TOP_KEYS, where, "")
    name = _text(document, "policy", where, "")
    version = document.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ConfigError(f"{where}: version: must be a whole number from 1, not {version!r}")
    tables = document.get("rules", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ConfigError(f"{where}: rules: write each rule as a [[rules]] table")
    if len(tables) > RULES_MAX:
        raise ConfigError(f"{where}: rules: {len(tables)} rules, at most {RULES_MAX} are read")
    rules = tuple(_rule(table, where, f"rules[{index}]") for index, table in enumerate(tables))
    _check_unique(rules, where)
    return make_policy(name, version, rules)


def _rule(table: dict[str, Any], where: str, at: str) -> Rule:
    _check_keys(table, _RULE_KEYS, where, at)
    rule_id = _text(table, "id", where, at)
    if not _ID.fullmatch(rule_id) or rule_id in RESERVED_RULES:
        raise ConfigError(
            f"{where}: {at}.id: {rule_id!r} is reserved or not a short name of a-z, 0-9, dots and hyphens"
        )
    at = f"rules[{rule_id}]"
    rule = Rule(
        id=rule_id,
        action=_action(_text(table, "action", where, at), where, at),
        basis=_text(table, "basis", where, at, default=""),
        since=_day(table, "from", where, at),
        until=_day(table, "until", where, at),
        **_conditions(table.get("when"), where, f"{at}.when"),
    )
    if rule.since and rule.until and rule.until < rule.since:
        raise ConfigError(f"{where}: {at}.until: {rule.until} lies before from = {rule.since}")
    _check_reach(rule, where, f"{at}.when")
    return rule


def _action(name: str, where: str, at: str) -> Action:
    if name not in ACTIONS:
        raise _unknown(name, ACTIONS, where, f"{at}.action", "an action")
    return ACTIONS[name]


def _conditions(when: Any, where: str, at: str) -> dict[str, tuple[str, ...]]:
    if not isinstance(when, dict):
        raise ConfigError(f'{where}: {at}: missing; write for instance when = {{ class = "business" }}')
    _check_keys(when, _WHEN_KEYS, where, at)
    if not when.keys() & {"type", "class", "path"}:
        raise ConfigError(f'{where}: {at}: name at least one of type, class, path; type = "*" means every event')
    return {
        "types": _patterns(when, "type", TYPES, where, at, "a canonical type"),
        "classes": _patterns(when, "class", (*CLASSES, UNCLASSIFIED), where, at, "a residency class"),
        "paths": _patterns(when, "path", None, where, at, "a path"),
        "destinations": _patterns(when, "destination", DESTINATIONS, where, at, "a destination"),
    }


def _patterns(
    when: dict[str, Any], key: str, choices: Iterable[str] | None, where: str, at: str, what: str
) -> tuple[str, ...]:
    """One text or a list of texts; each must cover at least one of `choices`."""
    given = when.get(key, "*")
    patterns = (given,) if isinstance(given, str) else given
    if not isinstance(patterns, list | tuple) or not patterns or not all(isinstance(p, str) and p for p in patterns):
        raise ConfigError(f"{where}: {at}.{key}: must be a text or a list of texts, not {given!r}")
    if choices is not None:
        known = tuple(choices)
        for pattern in patterns:
            if not any(matches((pattern,), choice) for choice in known):
                raise _unknown(pattern, known, where, f"{at}.{key}", what)
    return tuple(patterns)


def _check_reach(rule: Rule, where: str, at: str) -> None:
    """A rule that can never apply is a slip of the pen, and a slip in a `drop` would let something out."""
    reached = [leaf for name, entry in TYPES.items() if matches(rule.types, name) for leaf in leaves(entry.struct)]
    for pattern in rule.paths:
        if not any(matches((pattern,), leaf.path) for leaf in reached):
            raise _unknown(pattern, {leaf.path for leaf in reached}, where, f"{at}.path", "a leaf of these types")
    if rule.paths == ("*",) or any(
        matches(rule.paths, leaf.path) and matches(rule.classes, leaf.class_name) for leaf in reached
    ):
        return
    classes = sorted({leaf.class_name for leaf in reached if matches(rule.paths, leaf.path)})
    raise ConfigError(
        f"{where}: {at}.class: none of these paths has the class {' or '.join(rule.classes)}; "
        f"their classes are: {', '.join(classes)}"
    )


def _check_unique(rules: tuple[Rule, ...], where: str) -> None:
    seen: set[str] = set()
    for rule in rules:
        if rule.id in seen:
            raise ConfigError(f"{where}: rules[{rule.id}]: two rules have this id; the evidence must tell them apart")
        seen.add(rule.id)


def _check_keys(table: Mapping[str, Any], known: tuple[str, ...], where: str, at: str) -> None:
    for key in table:
        if key not in known:
            raise _unknown(key, known, where, f"{at}.{key}".lstrip("."), "a key here")


def _text(table: Mapping[str, Any], key: str, where: str, at: str, default: str | None = None) -> str:
    value = table.get(key, default)
    if not isinstance(value, str) or (not value and default is None):
        place = f"{at}.{key}".lstrip(".")
        raise ConfigError(f"{where}: {place}: " + ("missing" if value is None else f"must be a text, not {value!r}"))
    return value


def _day(table: Mapping[str, Any], key: str, where: str, at: str) -> date | None:
    value = table.get(key)
    if isinstance(value, str):
        with suppress(ValueError):
            value = date.fromisoformat(value)
    if value is None or (isinstance(value, date) and not isinstance(value, datetime)):
        return value
    raise ConfigError(f"{where}: {at}.{key}: must be a day such as 2026-01-31, not {value!r}")


def _unknown(given: str, choices: Iterable[str], where: str, place: str, what: str) -> ConfigError:
    known = sorted(choices)
    near = get_close_matches(given, known, n=1, cutoff=0.5)
    if near:
        return ConfigError(f"{where}: {place}: {given!r} is not {what}; did you mean {near[0]!r}?")
    listed = ", ".join(known[:12]) + (", …" if len(known) > 12 else "")
    return ConfigError(f"{where}: {place}: {given!r} is not {what}; choose one of {listed}")
