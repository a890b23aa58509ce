"""Routes that no event can take: a wrong letter in one would send everything the other way without a word."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import filter as matching

from runtime.canonical.registry import TYPES
from runtime.nearest import nearest
from runtime.pipeline.route import Route


def idle_routes(routes: Iterable[Route], sources: Iterable[str]) -> Iterator[str]:
    """A sentence for each condition that nothing fits."""
    known = {"type": sorted(TYPES), "source": sorted(sources)}
    for index, route in enumerate(routes):
        for name, values in known.items():
            pattern = getattr(route.when, name)
            if pattern is not None and not matching(values, pattern):
                yield f"routes[{index}].when.{name} is {pattern!r}, which nothing fits{nearest(pattern, values)}"
