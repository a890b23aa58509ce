"""What has become of a change at one region: confirmed, under way, broken, out of reach, or not wanted there. Pure."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from runtime.fleet.documents import VETO
from runtime.fleet.sight import Sight

Word = Literal["pending", "confirmed", "broken", "unreachable", "vetoed"]


class Limits(Struct, frozen=True, kw_only=True):
    """What counts as broken, and how much of it is borne. They travel with the rollout."""

    soak_seconds: Annotated[float, Meta(ge=0, le=604_800)] = 900.0
    """How long a settled wave is watched before the next one; longer than an agent needs to revert (600 s)."""
    confirm_seconds_max: Annotated[float, Meta(ge=1, le=604_800)] = 1_800.0
    """A region that was there when its wave began and has not confirmed for so long is broken."""
    silent_seconds: Annotated[float, Meta(ge=1, le=86_400)] = 300.0
    """Without a sign for so long a region counts as out of reach."""
    broken_percent_max: Annotated[float, Meta(ge=0, le=100)] = 0.0
    """Share of a wave, and of all waves so far, that may be broken before everything stops."""
    unreachable_percent_max: Annotated[float, Meta(ge=0, le=100)] = 50.0
    """A wave waits while a larger share of it is out of reach."""
    lag_seconds_max: Annotated[float, Meta(ge=1, le=604_800)] = 1_800.0
    """A region that has confirmed and lags more is broken."""
    letters_percent_max: Annotated[float, Meta(ge=0, le=100)] = 5.0
    """Rejected messages among the facts since the wave began; more is broken."""
    letters_facts_min: Annotated[int, Meta(ge=1, le=1_000_000)] = 20
    """With fewer facts since then the share says nothing."""


class Fate(Struct, frozen=True, kw_only=True):
    """One word and why."""

    word: Word
    reason: str = ""


def judge(
    sight: Sight, *, target: int, since_us: int | None, books: tuple[int, int], limits: Limits, now_us: int
) -> Fate:
    """`since_us`: when its wave began, None for an earlier wave. `books`: facts and letters at that moment."""
    if sight.veto:
        return Fate(word="vetoed", reason=sight.veto)
    status = sight.status
    if status is not None and status.confirmed >= target:
        return _health(sight, since_us=since_us, books=books, limits=limits, now_us=now_us)
    if status is not None and status.version == target and status.stage in {"reverted", "rejected"}:
        if status.reason.startswith(VETO):
            return Fate(word="vetoed", reason=status.reason.removeprefix(VETO).strip())
        return Fate(word="broken", reason=f"{status.stage}: {status.reason or 'it does not say why'}")
    if status is not None and target in status.failed:
        return Fate(word="broken", reason="reverted before, and not tried again")
    if since_us is None:
        return Fate(word="unreachable", reason="it has not said that it confirmed")
    return _unsettled(sight, since_us, limits, now_us)


def _health(sight: Sight, *, since_us: int | None, books: tuple[int, int], limits: Limits, now_us: int) -> Fate:
    if sight.lag_seconds > limits.lag_seconds_max:
        return Fate(word="broken", reason=f"lags {sight.lag_seconds:.0f} s, at most {limits.lag_seconds_max:.0f}")
    facts, letters = (now - then for now, then in zip(sight.books, books, strict=True))
    share = 100 * letters / facts if facts >= limits.letters_facts_min else 0.0
    if share > limits.letters_percent_max:
        return Fate(
            word="broken", reason=f"rejects {share:.0f} % of its messages, at most {limits.letters_percent_max:g}"
        )
    silent = sight.silent_seconds(now_us)
    if since_us is not None and silent is not None and silent > limits.silent_seconds:
        if now_us - since_us > limits.confirm_seconds_max * 1_000_000:
            return Fate(word="broken", reason=f"silent for {silent:.0f} s after it had confirmed")
        return Fate(word="pending", reason=f"silent for {silent:.0f} s after it had confirmed")
    return Fate(word="confirmed")


def _unsettled(sight: Sight, since_us: int, limits: Limits, now_us: int) -> Fate:
    """Silent already when its wave began: out of reach. Fallen silent since: the change may have done it."""
    was_silent = sight.heard_us < since_us - limits.silent_seconds * 1_000_000
    if was_silent:
        return Fate(word="unreachable", reason="it was silent before it was offered")
    said = "" if sight.status is None else ": ".join(filter(None, (sight.status.stage, sight.status.reason)))
    waited = (now_us - since_us) / 1_000_000
    if waited > limits.confirm_seconds_max:
        silent = sight.silent_seconds(now_us) or 0.0
        what = "fell silent" if silent > limits.silent_seconds else f"is still {said or 'without a word'}"
        return Fate(word="broken", reason=f"{waited:.0f} s after it was offered it {what}")
    return Fate(word="pending", reason=said)
