"""The statements of the fleet, JSON inside an `envelope.Signed`. Structs only; `signing` makes and checks them.

Two roles sign for people: `release` (headquarters) and `region` (regional IT; the only one that may loosen the floor).
An agent signs what it reports with its own key.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from runtime.envelope import Signed

FORMAT = 1
REVISION, TIMESTAMP, ACTION, OVERRIDE = "revision", "timestamp", "action", "override"
STATUS, PRESENCE, RESULT = "status", "presence", "result"
CHANGE, WATERMARK = "change", "watermark"
REHEARSAL, ANSWER = "rehearsal", "answer"
"""Kinds of statements: the signature covers the kind, so that none can be taken for another."""

VETO = "regional veto:"
"""A refusal whose reason begins so is regional IT's no, not a failure: a rollout goes on without this region."""

Stage = Literal["offered", "verified", "staged", "provisional", "confirmed", "reverted", "rejected"]


class Statement(Struct, frozen=True, kw_only=True):
    """What every statement says about itself."""

    format: int = FORMAT
    environment: str
    region: str
    issued_at: str
    """RFC 3339 with offset."""


class Revision(Statement, frozen=True, kw_only=True):
    """One version of a region's configuration, as headquarters has rendered it."""

    version: int
    """Grows by any step, never falls: going back is a higher version with the old content."""
    settings: dict[str, Any]
    """Keys of entrepot.toml that headquarters steers, as nested tables; they replace those of the local file."""
    files: dict[str, str] = {}
    """Relative path, as named by the settings → SHA-256 (hex) of the content."""
    provenance: dict[str, str] = {}
    """Dotted key → the layer that said it: `base`, `group/<name>`, `region/<name>`, `agent/<name>`."""
    by: str
    ticket: str = ""
    note: str = ""


class Rehearsal(Revision, frozen=True, kw_only=True):
    """A revision that an agent is only asked about. Signed as another kind, so that it can never be offered."""

    expires_at: str


class Timestamp(Statement, frozen=True, kw_only=True):
    """What is newest, and until when this may be believed. A stale one stops changes, never the flow of data."""

    version: int
    revision: str
    """SHA-256 (hex) of the revision's statement."""
    expires_at: str


class Action(Statement, frozen=True, kw_only=True):
    """Something that an agent shall do once: the same `id` is never done twice."""

    id: str
    """[a-z0-9-], chosen by the sender."""
    previous: str = ""
    """The id of the action before this one for the same region; empty: the first. So an agent finds what it missed."""
    verb: str
    """`pause`, `resume`, `replay`, `drain`, `rotate`. An agent that does not know it refuses this one action only."""
    parameters: dict[str, Any] = {}
    expires_at: str
    by: str
    ticket: str = ""


class Result(Statement, frozen=True, kw_only=True):
    """What came of an action; signed by the agent."""

    id: str
    verb: str
    state: Literal["done", "refused", "failed"]
    reason: str = ""
    answer: dict[str, Any] = {}


class Question(Struct, frozen=True, kw_only=True):
    """What comes with a probe: unsigned, because probes change nothing."""

    nonce: Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
    """Drawn anew for each question: an answer that repeats it was given to this one."""
    rehearsal: Signed | None = None
    """The `Rehearsal` that the probe `rehearse` is about."""


class Answer(Statement, frozen=True, kw_only=True):
    """What an agent says to a probe; signed by the agent."""

    probe: str
    nonce: str
    answer: Any


class DryRun(Struct, frozen=True, kw_only=True):
    """What an agent says of a revision that it was only asked about."""

    state: Literal["ready", "waits", "refused"]
    """It would take it now; not now; never."""
    reason: str
    """What it would change, or why not."""


class Status(Statement, frozen=True, kw_only=True):
    """Where an agent stands with what it was offered; signed by the agent."""

    stage: Stage
    version: int
    """The version that `stage` is about; 0 before the first offer."""
    reason: str = ""
    confirmed: int
    """The version in force when nothing is provisional; 0: the local file alone."""
    effective: str
    """Digest of the configuration in force."""
    failed: list[int] = []
    """Versions that this agent has reverted and does not try again."""
    override_until: str = ""
    """Local break-glass override in force until then; empty: none."""


class Presence(Statement, frozen=True, kw_only=True):
    """The heartbeat; signed by the agent."""

    number: int
    versions: dict[str, str]
    """`entrepot`, `python`, `sqlite`, `nats-server`."""
    labels: dict[str, str] = {}
    config: str
    """Digest of the configuration in force."""
    books: dict[str, int]
    lanes: dict[str, dict[str, Any]]
    """Per lane: `sealed`, `acked`, `lag_seconds`, `fenced`."""
    buffer_seconds_left: int | None = None
    certificate_days_left: int | None = None
    alerts: list[str] = []


class Change(Statement, frozen=True, kw_only=True):
    """Who changed what: one record of the audit stream; signed by the release key, chained by `previous`."""

    number: int
    previous: str
    """SHA-256 (hex) of the statement before."""
    by: str
    what: str
    """`rollout.start`, `rollout.abort`, `revision.publish`, `action.send`, `enrol.approve` …"""
    ticket: str = ""
    detail: dict[str, Any] = {}


class Watermark(Statement, frozen=True, kw_only=True):
    """Up to where headquarters has verified a region's lanes; the region may prune what lies before."""

    lanes: dict[str, tuple[int, int, str]]
    """Lane → (epoch, sequence, chain as hex)."""
