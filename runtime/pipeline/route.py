"""Which lane an event takes: the first route that matches, else the lane of its source. Pure."""

from __future__ import annotations

from fnmatch import fnmatchcase

from msgspec import Struct


class Condition(Struct, frozen=True, forbid_unknown_fields=True):
    """All that are given must match; `*` and `?` are wildcards."""

    type: str | None = None
    """Event type, e.g. `stock.snapshot` or `stock.*`."""
    source: str | None = None
    key: str | None = None
    """The event's partition key."""


class Route(Struct, frozen=True, forbid_unknown_fields=True):
    """One `[[routes]]` entry."""

    when: Condition
    lane: str


class Router:
    """Compiled routes; remembers the answer where it does not depend on the key."""

    def __init__(self, routes: tuple[Route, ...], default_lanes: dict[str, str]) -> None:
        self._routes = routes
        self._defaults = default_lanes
        self._by_key = any(route.when.key is not None for route in routes)
        self._known: dict[tuple[str, str], str] = {}

    def lane(self, type_name: str, source: str, key: str) -> str:
        """The lane's name. A source that is configured no more keeps to the first lane that there is."""
        if self._by_key:
            return self._find(type_name, source, key)
        known = self._known.get((type_name, source))
        if known is None:
            known = self._known[(type_name, source)] = self._find(type_name, source, key)
        return known

    def _find(self, type_name: str, source: str, key: str) -> str:
        for route in self._routes:
            if _matches(route.when, type_name, source, key):
                return route.lane
        return self._defaults[source]


def _matches(when: Condition, type_name: str, source: str, key: str) -> bool:
    wanted = ((when.type, type_name), (when.source, source), (when.key, key))
    return all(pattern is None or fnmatchcase(value, pattern) for pattern, value in wanted)
