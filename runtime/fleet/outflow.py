"""Where a revision would send a region's data, or take in data from, that the region's own file does not. Pure.

Targets are the region's: headquarters tunes how patiently they deliver, and nothing else. Anything else counts as looser.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from runtime.config.assemble import Configuration
from runtime.config.targets import ConfiguredTarget
from runtime.downlink import INBOX

TUNED = frozenset(
    {
        "on_letter",
        "retry",
        "expire_hours",
        "in_flight_max",
        "timeout_seconds",
        "breaker_failures_max",
        "breaker_open_seconds",
    }
)
"""Keys of a target that headquarters may change: they say when it is tried, not where it sends, what, or as whom."""


def outflows(local: Configuration, new: Configuration) -> Iterator[str]:
    """What only the region may say, as sentences."""
    for name, target in new.targets.items():
        yield from (f"targets.{name}{sentence}" for sentence in _target(local.targets.get(name), target))
    yield from _lanes(local, new)
    yield from _downlink(local, new)


def _target(before: ConfiguredTarget | None, after: ConfiguredTarget) -> Iterator[str]:
    if before is None:
        yield ": the local file has no such target, so data would go to another place"
        return
    differs = _differing(before.shared, after.shared) - TUNED
    if before.shared.adapter == after.shared.adapter:
        differs |= _differing(before.settings, after.settings)
    for key in sorted(differs):
        yield f".{key}: where data goes, what of it and as whom is not the local file's word any more"


def _differing(before: Any, after: Any) -> set[str]:
    """Keys with another value; one that is spelled out as its default does not differ."""
    held, wanted = msgspec.structs.asdict(before), msgspec.structs.asdict(after)
    return {key for key in held.keys() | wanted.keys() if held.get(key) != wanted.get(key)}


def _lanes(local: Configuration, new: Configuration) -> Iterator[str]:
    """A target that reads a lane gets whatever is put on it."""
    read = {target.shared.reads: name for name, target in new.targets.items() if target.shared.reads != INBOX}
    if read and new.model.routes != local.model.routes:
        yield f"routes: other events would reach {', '.join(f'targets.{name}' for name in sorted(read.values()))}"
    for name, source in new.sources.items():
        before = local.sources.get(name)
        if source.lane in read and (before is None or before.lane != source.lane):
            yield f"sources.{name}.lane: its events would reach targets.{read[source.lane]}"


def _downlink(local: Configuration, new: Configuration) -> Iterator[str]:
    before, after = local.model.downlink, new.model.downlink
    if after is None:
        return
    if before is None:
        yield "downlink: the local file takes nothing in from headquarters"
        return
    if before.region != after.region:
        yield f"downlink.region: {before.region} → {after.region}"
    if (before.public_key, local.headquarters_key) != (after.public_key, new.headquarters_key):
        yield "downlink.public_key: another key would count as headquarters'"
