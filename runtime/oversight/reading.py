"""Reads along: everything that a filter wants, region by region and lane by lane, each in its order, nothing twice."""

from __future__ import annotations

from collections.abc import AsyncIterator

from runtime.oversight.lines import Filter, line
from runtime.ports import Observatory


class Reader:
    """Remembers where it stands; lives as long as its connection."""

    def __init__(self, observatory: Observatory, wanted: Filter) -> None:
        self._observatory = observatory
        self._wanted = wanted
        self._next: dict[tuple[str, str], int] = {}

    async def skip_to_end(self) -> None:
        """Begin with what comes from now on."""
        for region, lanes in (await self._observatory.regions()).items():
            for lane, last in lanes.items():
                self._next[region, lane] = last + 1

    async def so_far(self, since: str | None = None) -> AsyncIterator[bytes]:
        """Lines of what has come since the last call. `since`: where a lane begins that was not read before (UTC)."""
        for region, lanes in sorted((await self._observatory.regions()).items()):
            for lane, last in sorted(lanes.items()):
                if not self._wanted.lane(region, lane):
                    continue
                first = await self._first(region, lane, since)
                async for found in self._observatory.read(region, lane, first, last):
                    if self._wanted.wants(region, lane, found):
                        yield line(region, lane, found)
                self._next[region, lane] = max(first, last + 1)

    async def _first(self, region: str, lane: str, since: str | None) -> int:
        known = self._next.get((region, lane))
        if known is not None:
            return known
        return 1 if since is None else await self._observatory.first_since(region, lane, since)
