"""A change spreads in waves and stops at the first that breaks. Sans-I/O: states in, the next state and orders out.

The state is one record of the audit stream, so any machine of headquarters can go on with it. Orders follow from the
state and from what the hub shows, never from what somebody remembers having done: doing one twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Annotated, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace

from runtime.fleet.judgement import Fate, Limits, judge
from runtime.fleet.plan import next_version
from runtime.fleet.sight import Sight

State = Literal["running", "paused", "aborting", "aborted", "done"]
OPEN: frozenset[str] = frozenset({"running", "paused", "aborting"})
"""As long as one of these stands no other change begins."""

_BROKEN = "broken: "
"""Before the reason of a fate that was written down."""


class Rollout(Struct, frozen=True, kw_only=True):
    """One change on its way. Instants are microseconds since 1970 (UTC); 0: not yet."""

    id: str
    state: State
    waves: list[list[str]]
    wave: int = 0
    """Which wave is being offered, from 0."""
    wave_since_us: int = 0
    """When it began; 0: it waits, for instance for the end of a freeze."""
    calm_since_us: int = 0
    """Since when nobody in it is under way."""
    target: dict[str, int]
    """Region → the version that it gets."""
    before: dict[str, int]
    """Region → the version whose content it had; 0: the local file alone."""
    back: dict[str, int] = {}
    """Region → the version that brings the old content back."""
    books: dict[str, tuple[int, int]] = {}
    """Region → facts and letters when its wave began: only what came later counts."""
    limits: Limits
    reason: str = ""
    fates: dict[str, str] = {}
    """What became of each region that was offered it, in words; written at the end."""


class Order(Struct, frozen=True, kw_only=True):
    """Make the timestamp of `region` name `version`. `content_of`: that version has to be made, with this one's content."""

    region: str
    version: int
    content_of: int | None = None


class Freeze(Struct, frozen=True, kw_only=True):
    """From … until (µs) these regions get nothing new; empty: everybody."""

    since_us: int
    until_us: int
    reason: str
    regions: frozenset[str] = frozenset()
    until: str = ""
    """As a person wrote it."""


class Step(Struct, frozen=True, kw_only=True):
    """What to write down (if it differs from what stands there), and what a person should know."""

    rollout: Rollout
    what: str = ""
    """The word of the audit, as in `rollout.wave`; empty: nothing has changed."""
    says: str = ""
    fates: dict[str, Fate] = {}


def make_waves(regions: Sequence[str], percents: Sequence[Annotated[float, Meta(gt=0, le=100)]]) -> list[list[str]]:
    """In the given order; each wave has at least one region, the last one takes the rest."""
    waves: list[list[str]] = []
    done = 0
    for percent in [*percents, 100.0]:
        end = min(len(regions), max(done + 1, ceil(len(regions) * percent / 100 - 1e-9)))
        if end > done:
            waves.append(list(regions[done:end]))
            done = end
    return waves


def offered(rollout: Rollout) -> list[str]:
    """Regions whose wave has begun."""
    begun = rollout.wave + 1 if rollout.wave_since_us else rollout.wave
    return [region for wave in rollout.waves[:begun] for region in wave]


def find_freeze(freezes: Sequence[Freeze], regions: Sequence[str], now_us: int) -> Freeze | None:
    """The one that ends last among those that hold one of these regions now."""
    holding = [
        freeze
        for freeze in freezes
        if freeze.since_us <= now_us < freeze.until_us and (not freeze.regions or freeze.regions & set(regions))
    ]
    return max(holding, key=lambda freeze: freeze.until_us, default=None)


def advance(rollout: Rollout, sights: Mapping[str, Sight], freezes: Sequence[Freeze], now_us: int) -> Step:
    """One look at everything. Never begins a wave while one that was offered is broken beyond the limit."""
    fates = judge_all(rollout, sights, now_us)
    if rollout.state not in OPEN:
        return Step(rollout=rollout, fates=fates)
    if rollout.state == "aborting":
        return _finish_abort(rollout, sights, fates)
    broken = _too_many(rollout, fates)
    if broken:
        return abort(rollout, sights, broken, now_us, whole=False)
    if rollout.state == "paused":
        return Step(rollout=rollout, says="paused: nothing more is offered", fates=fates)
    if not rollout.wave_since_us:
        return _begin(rollout, sights, fates, freezes, now_us)
    return _settle(rollout, sights, fates, freezes, now_us)


def judge_all(rollout: Rollout, sights: Mapping[str, Sight], now_us: int) -> dict[str, Fate]:
    """The fate of each region that was offered the change."""
    current = set(rollout.waves[rollout.wave])
    fates = {
        region: judge(
            sights.get(region, Sight(region=region)),
            target=rollout.target[region],
            since_us=rollout.wave_since_us if region in current else None,
            books=rollout.books.get(region, (0, 0)),
            limits=rollout.limits,
            now_us=now_us,
        )
        for region in offered(rollout)
    }
    # A region that is offered the old content again speaks of that: why it broke stands in the rollout.
    said = {region: text.removeprefix(_BROKEN) for region, text in rollout.fates.items() if text.startswith(_BROKEN)}
    known = {region: said[region] for region, fate in fates.items() if fate.word == "broken" and region in said}
    return fates | {region: Fate(word="broken", reason=reason) for region, reason in known.items()}


def abort(rollout: Rollout, sights: Mapping[str, Sight], reason: str, now_us: int, *, whole: bool) -> Step:
    """Stop now, and bring the old content back: to all that were offered the change, or to the newest wave alone."""
    fates = judge_all(rollout, sights, now_us)
    returning = offered(rollout) if whole else [r for r in offered(rollout) if r in rollout.waves[rollout.wave]]
    returning += [region for region, fate in fates.items() if fate.word == "broken" and region not in returning]
    back = {
        region: next_version([rollout.target[region], sights[region].highest if region in sights else 0])
        for region in returning
        if _holds(sights.get(region), rollout.target[region])
    }
    said = {region: f"{fate.word}: {fate.reason}" if fate.reason else fate.word for region, fate in fates.items()}
    stopped = replace(rollout, state="aborting", reason=reason, back=back, fates=said)
    return Step(rollout=stopped, what="rollout.abort", says=f"stopped: {reason}", fates=fates)


def _holds(sight: Sight | None, target: int) -> bool:
    """Whether a region was offered this change, or may be by a desk that is slow to hear, and nothing newer."""
    return sight is None or sight.offered == target or (sight.offered < target and not sight.veto)


def pause(rollout: Rollout, reason: str) -> Step:
    """Offer nothing more until somebody goes on; what breaks still stops it."""
    return Step(rollout=replace(rollout, state="paused", reason=reason), what="rollout.pause", says="paused")


def resume(rollout: Rollout) -> Step:
    """The end of a pause."""
    return Step(rollout=replace(rollout, state="running", reason=""), what="rollout.resume", says="goes on")


def find_orders(rollout: Rollout, sights: Mapping[str, Sight]) -> list[Order]:
    """What is still to be done at the hub so that it shows what the state says."""
    shown = {region: sights[region].offered if region in sights else 0 for region in rollout.target}
    if rollout.state == "running":
        return [
            Order(region=region, version=rollout.target[region])
            for region in offered(rollout)
            if shown[region] < rollout.target[region] and not sights.get(region, Sight(region=region)).veto
        ]
    if rollout.state == "aborting":
        return [
            Order(region=region, version=version, content_of=rollout.before[region])
            for region, version in rollout.back.items()
            if shown[region] < version
        ]
    return []


# ---------------------------------------------------------------- one step


def _too_many(rollout: Rollout, fates: Mapping[str, Fate]) -> str:
    """Why this wave, or all waves together, are broken beyond the limit; empty when they are not."""
    wave = [region for region in rollout.waves[rollout.wave] if region in fates]
    for regions, what in ((wave, "of this wave"), (list(fates), "of all that were offered it")):
        bad = [region for region in regions if fates[region].word == "broken"]
        share = 100 * len(bad) / len(regions) if regions else 0.0
        if bad and share > rollout.limits.broken_percent_max:
            first = bad[0]
            return f"{len(bad)} {what} ({len(regions)}) are broken, first {first}: {fates[first].reason}"
    return ""


def _begin(
    rollout: Rollout, sights: Mapping[str, Sight], fates: dict[str, Fate], freezes: Sequence[Freeze], now_us: int
) -> Step:
    wave = rollout.waves[rollout.wave]
    number = f"wave {rollout.wave + 1} of {len(rollout.waves)}"
    frozen = find_freeze(freezes, wave, now_us)
    if frozen is not None:
        return Step(rollout=rollout, says=f"{number} waits: frozen until {frozen.until} ({frozen.reason})", fates=fates)
    books = {region: sights[region].books for region in wave if region in sights}
    begun = replace(rollout, wave_since_us=now_us, calm_since_us=0, books=rollout.books | books)
    return Step(rollout=begun, what="rollout.wave", says=f"offered to {len(wave)} more", fates=fates)


def _settle(
    rollout: Rollout, sights: Mapping[str, Sight], fates: dict[str, Fate], freezes: Sequence[Freeze], now_us: int
) -> Step:
    wave = {region: fates[region] for region in rollout.waves[rollout.wave]}
    waits = _waits(wave, rollout.limits)
    if waits:
        calm = replace(rollout, calm_since_us=0)
        what = "rollout.unsettled" if calm != rollout else ""
        return Step(rollout=calm, what=what, says=waits, fates=fates)
    if not rollout.calm_since_us:
        calm = replace(rollout, calm_since_us=now_us)
        return Step(rollout=calm, what="rollout.soak", says="all are settled; it soaks", fates=fates)
    left = rollout.limits.soak_seconds - (now_us - rollout.calm_since_us) / 1_000_000
    if left > 0:
        return Step(rollout=rollout, says=f"soaks for {ceil(left)} s more", fates=fates)
    if rollout.wave + 1 == len(rollout.waves):
        said = {region: fate.word for region, fate in fates.items()}
        return Step(
            rollout=replace(rollout, state="done", fates=said),
            what="rollout.done",
            says="all waves are through",
            fates=fates,
        )
    following = replace(rollout, wave=rollout.wave + 1, wave_since_us=0, calm_since_us=0)
    step = _begin(following, sights, fates, freezes, now_us)
    # A wave that may not begin yet is written down as the next one all the same: its soak is over.
    return step if step.what else replace(step, what="rollout.next")


def _waits(wave: Mapping[str, Fate], limits: Limits) -> str:
    """Why the wave is not settled; empty when it is."""
    words = [fate.word for fate in wave.values()]
    pending, away, asked = words.count("pending"), words.count("unreachable"), len(words) - words.count("vetoed")
    if pending:
        return f"{pending} of {len(words)} are under way"
    if asked and 100 * away / asked > limits.unreachable_percent_max:
        return f"{away} of {asked} cannot be reached: the wave waits for them"
    if asked and "confirmed" not in words:
        return "nobody has confirmed: a wave that proves nothing is not followed by another"
    return ""


def _finish_abort(rollout: Rollout, sights: Mapping[str, Sight], fates: dict[str, Fate]) -> Step:
    if find_orders(rollout, sights):
        return Step(rollout=rollout, says="brings the old content back", fates=fates)
    ended = replace(rollout, state="aborted")
    return Step(rollout=ended, what="rollout.aborted", says="stopped; the old content is offered again", fates=fates)
