"""Where an agent stands with what headquarters offers, and the only ways from there. Pure: documents, time and health in.

offered → verified → staged → provisional → confirmed | reverted | rejected. What is to be done next follows from the
stage alone, so that a process that ends anywhere goes on from what it wrote last. A `Refused` changes nothing.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from runtime.errors import Refused
from runtime.fleet.documents import VETO, Revision, Stage, Timestamp

FAILED_MAX = 100
"""Versions that are remembered as failed; older ones are below the high-water mark anyway."""
REASON_CHARS_MAX = 2_000
PENDING: frozenset[str] = frozenset({"offered", "verified", "staged"})
LOCAL = 0
"""The version of the local file alone."""
WORDS_MAX = 100
"""Decisions that wait for the access log; of more the newest are kept."""


class Override(Struct, frozen=True, kw_only=True):
    """Regional IT works by something else for a while (break-glass)."""

    until_us: int
    reason: str
    version: int = LOCAL
    """What is in force instead: the local file alone, or a revision that is still in its slot."""


class Word(Struct, frozen=True, kw_only=True):
    """What regional IT has decided while no agent ran."""

    verb: str
    by: str
    at: str


class State(Struct, frozen=True, kw_only=True):
    """All that outlives the process. One file; replacing it is what switches between the slots."""

    format: int = 1
    seen: int = 0
    """Highest version that a trusted timestamp has named: the high-water mark. Never falls."""
    expires_us: int = 0
    """Until when the newest word of headquarters may be believed; 0 before the first."""
    stage: Stage | Literal[""] = ""
    version: int = 0
    """What `stage` is about."""
    digest: str = ""
    """SHA-256 (hex) of its statement."""
    reason: str = ""
    regional: bool = False
    """Signed by a key of the region: it may loosen."""
    confirmed: int = LOCAL
    previous: int = LOCAL
    """Confirmed before; kept so that it can be pinned."""
    digests: dict[int, str] = {}
    """Version → digest of each revision that has a slot."""
    failed: list[int] = []
    override: Override | None = None
    clean: bool = True
    """The process that wrote this has since ended in order, or nothing was on trial."""
    spent_seconds: float = 0.0
    """How long what is provisional was in force before this process began."""
    complaint: str = ""
    """Why what the hub offers now is not believed."""
    words: list[Word] = []
    """Not in the access log yet: the next start enters them."""


class Reading(Struct, frozen=True, kw_only=True):
    """How the agent is, as sentences; empty: well."""

    hub: str = ""
    intake: str = ""


class Limits(Struct, frozen=True, kw_only=True):
    """How long what may last; see `FleetSettings`."""

    intake_seconds_max: float
    hub_seconds_max: float
    soak_seconds: float


class Trial(Struct, frozen=True, kw_only=True):
    """What was seen of a provisional revision since this process put it into force. Seconds since then."""

    well_since: float | None = None
    broken_since: float | None = None


class Passed(Struct, frozen=True):
    """The trial went well."""


class Failed(Struct, frozen=True):
    """It must be taken back."""

    reason: str


def in_force(state: State) -> int:
    """The version to work by."""
    if state.override is not None:
        return state.override.version
    return state.version if state.stage == "provisional" else state.confirmed


def kept(state: State) -> set[int]:
    """Versions whose slots must stay."""
    versions = {state.confirmed, state.previous, state.override.version if state.override else LOCAL}
    if state.stage in {"staged", "provisional"}:
        versions.add(state.version)
    return versions - {LOCAL}


def instant_us(text: str) -> int:
    """RFC 3339 with offset, in microseconds since 1970. Raises `Refused`."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise Refused(f"{text[:40]!r} is no instant with an offset")
    return int(found.timestamp() * 1_000_000)


# ---------------------------------------------------------------- what headquarters offers


def offer(state: State, timestamp: Timestamp, *, expires_us: int, now_us: int) -> State:
    """A timestamp that a release key has signed. Raises `Refused`: expired, old, another content, failed before."""
    version = timestamp.version
    if version < state.seen or version < 1:
        raise Refused(
            f"the hub offers version {version}, although {state.seen} has been seen: it was rolled back, or replayed"
        )
    if expires_us <= now_us:
        raise Refused(
            f"the word of headquarters ended at {timestamp.expires_at} (frozen); nothing changes until a new one"
        )
    state = replace(state, seen=version, expires_us=max(expires_us, state.expires_us), complaint="")
    if version == state.version:
        if timestamp.revision != state.digest:
            raise Refused(f"version {version} is offered again with another content: it must have a higher version")
        return state
    if state.stage == "provisional":
        return state  # one trial at a time; it ends by itself, and the newest is asked for again
    return replace(state, stage="offered", version=version, digest=timestamp.revision, reason="", regional=False)


def verify(state: State, revision: Revision, digest: str, *, regional: bool) -> State:
    """The revision that was offered, signed by a trusted key. Raises `Refused` when it is another one."""
    _expect(state, "offered")
    if (revision.version, digest) != (state.version, state.digest):
        raise Refused(f"what stands at the hub as version {state.version} is not what headquarters has signed for")
    return replace(state, stage="verified", reason="", regional=regional)


def stage(state: State, findings: str) -> State:
    """It lies complete in its slot, and a dry run has gone well. `findings`: what it would change."""
    _expect(state, "verified")
    digests = {version: found for version, found in state.digests.items() if version in kept(state)}
    return replace(state, stage="staged", reason=_cut(findings), digests={**digests, state.version: state.digest})


def complain(state: State, reason: str) -> State:
    """What the hub offers is not believed. What is in force, or on its way, stays."""
    return replace(state, complaint=_cut(reason))


def postpone(state: State, reason: str) -> State:
    """Not now: the same step is tried again later."""
    return replace(state, reason=_cut(reason)) if state.stage in PENDING else state


def reject(state: State, reason: str) -> State:
    """It will never be in force here; a higher version may be."""
    assert state.stage in PENDING, state.stage
    return replace(state, stage="rejected", reason=_cut(reason))


# ---------------------------------------------------------------- on trial


def begin(state: State, *, now_us: int) -> State:
    """Put it on trial. Written before anything changes. Raises `Refused` when that is not right now."""
    _expect(state, "staged")
    if state.override is not None:
        raise Refused("waits: a regional override is in force")
    if state.expires_us <= now_us:
        raise Refused("waits: the word of headquarters has ended (frozen)")
    return replace(state, stage="provisional", clean=False, spent_seconds=0.0)


def withdraw(state: State, reason: str) -> State:
    """It could not be put into force yet, and nothing has changed: tried again later."""
    _expect(state, "provisional")
    return replace(state, stage="staged", reason=_cut(reason), clean=True)


def judge(trial: Trial, reading: Reading, limits: Limits, *, now: float, spent: float) -> Trial | Passed | Failed:
    """A `Trial` goes on. `now`: seconds on any clock that never jumps; `spent`: how long the trial has lasted in all."""
    if reading.intake:
        broken = now if trial.broken_since is None else trial.broken_since
        if now - broken >= limits.intake_seconds_max:
            return Failed(f"intake is broken: {reading.intake}")
        trial = Trial(broken_since=broken)
    elif reading.hub:
        trial = Trial()
    else:
        since = now if trial.well_since is None else trial.well_since
        trial = Trial(well_since=since)
        if now - since >= limits.soak_seconds:
            return Passed()
    if spent >= limits.hub_seconds_max:
        why = reading.intake or reading.hub or "it was never well for long enough"
        return Failed(f"not confirmed within {limits.hub_seconds_max:g} s: {why}")
    return trial


def confirm(state: State) -> State:
    """The trial went well: this is the last known good from now on."""
    _expect(state, "provisional")
    return replace(state, stage="confirmed", reason="", previous=state.confirmed, confirmed=state.version, clean=True)


def revert(state: State, reason: str) -> State:
    """Back to what was confirmed; this version is not tried again."""
    _expect(state, "provisional")
    failed = [*state.failed, state.version][-FAILED_MAX:]
    return replace(state, stage="reverted", reason=_cut(reason), failed=failed, clean=True)


def start(state: State, *, hub_seconds_max: float, now_us: int) -> State:
    """What a new process makes of what the last one has written."""
    if state.override is not None and state.override.until_us <= now_us:
        state = replace(state, override=None)
    if state.stage != "provisional":
        return state
    if not state.clean:
        return revert(state, "the process ended without an orderly stop while it was on trial")
    if state.spent_seconds >= hub_seconds_max:
        return revert(state, f"not confirmed within {hub_seconds_max:g} s")
    return replace(state, clean=False)


def leave(state: State, spent_seconds: float) -> State:
    """The process ends in order; a trial goes on at the next start."""
    if state.stage != "provisional":
        return state
    return replace(state, clean=True, spent_seconds=spent_seconds)


# ---------------------------------------------------------------- the region's own word


def override(state: State, wanted: Override) -> State:
    """Break-glass. Raises `Refused` for a version that has no slot. A trial ends by it."""
    if wanted.version != LOCAL and wanted.version not in {state.confirmed, state.previous}:
        known = ", ".join(str(v) for v in sorted({state.confirmed, state.previous} - {LOCAL}, reverse=True)) or "none"
        raise Refused(f"there is no slot with version {wanted.version}", hint=f"versions that can be pinned: {known}")
    if state.stage == "provisional":
        state = revert(state, f"regional override: {wanted.reason}")
    return replace(state, override=wanted)


def resume(state: State) -> State:
    """The end of an override."""
    return replace(state, override=None)


def veto(state: State, reason: str) -> State:
    """The region does not take the newest version. Raises `Refused` when there is none."""
    said = f"{VETO} {reason}"
    if state.stage == "provisional":
        return revert(state, said)
    if state.stage in PENDING:
        return replace(reject(state, said), failed=[*state.failed, state.version][-FAILED_MAX:])
    if state.stage == "confirmed":
        failed = [*state.failed, state.version][-FAILED_MAX:]
        return replace(
            state, stage="reverted", reason=_cut(said), failed=failed, confirmed=state.previous, previous=LOCAL
        )
    raise Refused("there is no revision to veto", hint="`entrepot revision show` says where things stand")


def note(state: State, word: Word) -> State:
    """Remember who has decided, for the access log."""
    return replace(state, words=[*state.words, word][-WORDS_MAX:])


def is_stale(state: State, now_us: int) -> bool:
    """Whether the newest word of headquarters has ended. Before the first word nothing is stale."""
    return 0 < state.expires_us <= now_us


def _expect(state: State, wanted: Stage) -> None:
    assert state.stage == wanted, f"{state.stage} is not {wanted}"


def _cut(reason: str) -> str:
    return reason[:REASON_CHARS_MAX]
