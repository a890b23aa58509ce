"""Whether intake is as well as it was before a revision: each source against its own past. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise

from msgspec import Struct

SOURCE_STEP = "source/"
FEW = 3
"""Fewer refused requests or letters than this say nothing: somebody may have tried the door."""
SHARE_MARGIN = 0.1
"""A share may be larger than before by this much: traffic is never twice the same."""
MARK_SECONDS = 15.0
MARKS_MAX = 9
"""Between two marks something must have come, eight times in a row, before a source counts as steady."""
MISSED = 10
"""A steady source that should have sent this often by now, and has not at all, cannot reach us any more."""
DISK_IS_FULL = 507


class SourceTally(Struct, frozen=True, kw_only=True):
    """What one source has seen since the process began."""

    requests: int = 0
    refused: int = 0
    facts: int = 0
    letters: int = 0


class Tally(Struct, frozen=True, kw_only=True):
    """All sources at one moment."""

    seconds: float = 0.0
    """When, on a clock that never jumps."""
    sources: Mapping[str, SourceTally] = {}
    failing: frozenset[str] = frozenset()
    """Steps that fail now."""
    full: bool = False
    fenced: frozenset[str] = frozenset()
    """Lanes."""


class Baseline(Struct, frozen=True, kw_only=True):
    """How it was when the trial began: what had happened by then, and what shares were usual before."""

    at: Tally = Tally()
    refused: Mapping[str, float] = {}
    letters: Mapping[str, float] = {}
    per_second: Mapping[str, float] = {}
    """Requests of the sources that are steady."""


def baseline(origin: Tally, at: Tally, marks: Sequence[Tally] = ()) -> Baseline:
    """From what happened between the two. `marks`: the tallies of the last minutes, `MARK_SECONDS` apart."""
    grown = {name: _grown(origin.sources.get(name, SourceTally()), tally) for name, tally in at.sources.items()}
    return Baseline(
        at=at,
        refused={name: _share(t.refused, t.requests) for name, t in grown.items()},
        letters={name: _share(t.letters, t.facts) for name, t in grown.items()},
        per_second={name: rate for name in at.sources if (rate := _steady(marks, name)) > 0},
    )


def _steady(marks: Sequence[Tally], source: str) -> float:
    """Requests a second, if some came in each of the last intervals; else 0."""
    counts = [mark.sources.get(source, SourceTally()).requests for mark in marks]
    if len(counts) < MARKS_MAX or any(later <= earlier for earlier, later in pairwise(counts)):
        return 0.0
    return (counts[-1] - counts[0]) / (marks[-1].seconds - marks[0].seconds)


def intake_trouble(before: Baseline, now: Tally, sources: Collection[str]) -> str:
    """What is worse than before, as a sentence; empty when nothing is. `sources`: those that are configured now."""
    if now.full and not before.at.full:
        return "the journal has no room any more"
    failing = sorted(step for step in now.failing - before.at.failing if step.startswith(SOURCE_STEP))
    if failing:
        return f"{failing[0]} fails"
    for name in sorted(sources):
        tally = _grown(before.at.sources.get(name, SourceTally()), now.sources.get(name, SourceTally()))
        missed = before.per_second.get(name, 0.0) * (now.seconds - before.at.seconds)
        if missed >= MISSED and not tally.requests:
            return f"nothing comes from {name} any more; {missed:.0f} requests were usual by now"
        usual = before.refused.get(name, 0.0)
        if tally.refused >= FEW and _share(tally.refused, tally.requests) > usual + SHARE_MARGIN:
            return f"{tally.refused} of {tally.requests} requests to {name} are refused; usual were {usual:.0%}"
        usual = before.letters.get(name, 0.0)
        if tally.letters >= FEW and _share(tally.letters, tally.facts) > usual + SHARE_MARGIN:
            return f"{tally.letters} of {tally.facts} messages of {name} became letters; usual were {usual:.0%}"
    return ""


def hub_trouble(before: Baseline, now: Tally, *, connected: bool, reached: bool) -> str:
    """Why the hub cannot be said to be there; empty when it is. `reached`: headquarters' word was read there."""
    if not connected:
        return "there is no connection to the hub"
    fenced = sorted(now.fenced - before.at.fenced)
    if fenced:
        return f"lane {fenced[0]} is fenced"
    return "" if reached else "what headquarters says cannot be read at the hub"


def is_refusal(status: int) -> bool:
    """Whether a sender was turned away. A full disk is told by itself."""
    return status >= 400 and status != DISK_IS_FULL


def _grown(before: SourceTally, now: SourceTally) -> SourceTally:
    return SourceTally(
        requests=max(0, now.requests - before.requests),
        refused=max(0, now.refused - before.refused),
        facts=max(0, now.facts - before.facts),
        letters=max(0, now.letters - before.letters),
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float(part > 0)
