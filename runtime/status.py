"""What `entrepot status` says: the books, every lane, how long the room lasts, and what somebody must do."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from runtime import clock
from runtime.journal import books, inbox, lanes, letters, retention, targets
from runtime.journal.journal import Journal
from runtime.journal.store import SQLITE_VERSION, Connection
from runtime.ports import Fence

Level = Literal["ok", "warning", "critical"]
EXIT_CODES: dict[Level, int] = {"ok": 0, "warning": 1, "critical": 2}


class LaneStatus(Struct, frozen=True, kw_only=True):
    """One lane. Sequences are those of its hub stream."""

    sealed: int
    acked: int
    queued: int
    """Events translated and not yet acknowledged."""
    waiting_since_us: int | None
    lag_seconds: float
    """How long the oldest event has waited that the hub does not have yet."""
    hub_last: int | None
    fenced: str | None
    fence: Fence | None
    oldest: int
    refill_horizon_seconds: int
    notes: list[str] = []


class TargetStatus(Struct, frozen=True, kw_only=True):
    """One target and its own books: received = delivered + not_wanted + dead_lettered + expired + pending."""

    reads: str
    configured: bool = True
    idempotent: bool | None = None
    """False: at-least-once, the target cannot tell a second try. None: no agent runs, so nobody knows."""
    received: int
    delivered: int
    not_wanted: int
    dead_lettered: int
    expired: int
    pending: int
    balanced: bool
    letters: int
    disabled: str | None
    trouble: str = ""
    """Why it does not take what it should, now."""


class DownlinkStatus(Struct, frozen=True, kw_only=True):
    """What headquarters sends: the last record taken in."""

    region: str
    epoch: int
    seq: int
    hub_last: int | None = None
    fence: Fence | None


class AlertStatus(Struct, frozen=True, kw_only=True):
    """Something that somebody should know, with the next step."""

    name: str
    subject: str
    severity: str
    sentence: str
    action: str
    since: str


class RevisionStatus(Struct, frozen=True, kw_only=True):
    """Where this region stands with what headquarters says. Version 0 is the local file alone."""

    in_force: int
    stage: str
    """Of `version`; empty before the first offer."""
    version: int
    reason: str
    confirmed: int
    override_until: str
    """RFC 3339; empty: none."""


class Status(Struct, frozen=True, kw_only=True):
    """`entrepot status --json`."""

    region: str
    environment: str
    version: str
    running: bool
    level: Level
    accepted: int
    delivered: int
    withheld: int
    dead_lettered: int
    ignored: int
    expired: int
    pending: int
    balanced: bool
    duplicates: int
    facts: int
    untranslated: int
    epoch: int
    lanes: dict[str, LaneStatus]
    letters: dict[str, int]
    downlinks: list[DownlinkStatus] = []
    targets: dict[str, TargetStatus] = {}
    hub_connected: bool
    hub: str
    buffer_seconds_left: int | None
    """None while the journal does not grow."""
    disk_used_bytes: int
    disk_budget_bytes: int
    checkpoints_unsent: int
    policy: str
    config: str
    config_since: str
    """Since when this configuration is in force; empty while no agent runs."""
    key_id: str
    alerts: list[AlertStatus]
    warnings: list[str]
    uptime_seconds: int = 0
    revision: RevisionStatus | None = None
    """None: headquarters does not steer this region."""


class JournalState(Struct, frozen=True, kw_only=True):
    """What the journal alone knows, read between two commits."""

    books: books.Books
    lanes: dict[str, LaneStatus]
    letters: dict[str, int]
    checkpoints_unsent: int
    downlinks: list[DownlinkStatus] = []
    targets: dict[str, TargetStatus] = {}


def read_state(connection: Connection) -> JournalState:
    """Short queries only: every figure is kept, none is counted."""
    unsent = connection.execute("SELECT count(*) FROM checkpoints WHERE sent = 0").fetchone()[0]
    return JournalState(
        books=books.read(connection),
        lanes={row.name: _lane(connection, row) for row in lanes.everyone(connection)},
        letters=letters.counts(connection),
        checkpoints_unsent=unsent,
        downlinks=[
            DownlinkStatus(region=row.region, epoch=row.epoch, seq=row.seq, fence=row.fence)
            for row in inbox.downlinks(connection)
        ],
        targets=_targets(connection),
    )


def _targets(connection: Connection) -> dict[str, TargetStatus]:
    return {
        row.name: TargetStatus(
            reads=row.reads,
            received=row.received,
            delivered=row.delivered,
            not_wanted=row.not_wanted,
            dead_lettered=row.dead_lettered,
            expired=row.expired,
            pending=row.pending,
            balanced=row.balanced,
            letters=row.letters,
            disabled=row.disabled,
        )
        for row in targets.everyone(connection)
        if row.active or row.pending or row.letters
    }


def _lane(connection: Connection, row: lanes.LaneRow) -> LaneStatus:
    fence = lanes.fence(connection, row.id)
    since = lanes.waiting_since_us(connection, row)
    return LaneStatus(
        sealed=row.sealed,
        acked=row.acked,
        queued=row.queued - row.sealed_event + row.sealed - row.acked,
        waiting_since_us=since,
        lag_seconds=0.0 if since is None else max(0.0, round((clock.now_us() - since) / 1_000_000, 3)),
        hub_last=None,
        fenced=None if fence is None else fence.kind,
        fence=fence,
        oldest=row.oldest,
        refill_horizon_seconds=retention.refill_horizon_seconds(connection, row),
    )


def level(state: JournalState, alerts: list[AlertStatus]) -> Level:
    """critical: somebody must act; warning: somebody should look; ok: go home."""
    fenced = any(lane.fenced for lane in state.lanes.values())
    stopped = any(downlink.fence for downlink in state.downlinks)
    unbalanced = not state.books.balanced or not all(target.balanced for target in state.targets.values())
    if fenced or stopped or unbalanced or any(a.severity == "critical" for a in alerts):
        return "critical"
    if alerts or state.letters or any(target.letters or target.disabled for target in state.targets.values()):
        return "warning"
    return "ok"


async def journal_stats(journal: Journal) -> dict[str, Any]:
    """Rows and bytes, for `entrepot journal stats`."""

    def read(connection: Connection) -> dict[str, Any]:
        used = retention.usage(connection)
        account = books.read(connection)
        tables = (
            "intake",
            "bodies",
            "events",
            "outbox",
            "letters",
            "parked",
            "checkpoints",
            "incidents",
            "inbox",
            "deliveries",
        )
        spans = {
            # Two steps into the tree; asked for in one go they would be a walk through the whole table.
            table: connection.execute(
                f"SELECT (SELECT min(rowid) FROM {table}), (SELECT max(rowid) FROM {table})"
            ).fetchone()
            for table in tables
        }
        return {
            "used_bytes": used.used,
            "reusable_bytes": used.free,
            "sqlite": SQLITE_VERSION,
            "books": account.account() | {"balanced": account.balanced, "duplicates": account.duplicates},
            "facts": account.facts,
            "translated": account.translated,
            "first_kept": {table: first for table, (first, _) in spans.items() if first is not None},
            "incidents": [
                dict(zip(("at_us", "kind", "lane", "text"), row, strict=True))
                for row in connection.execute("SELECT at_us, kind, lane, text FROM incidents ORDER BY id DESC LIMIT 20")
            ],
        }

    return await journal.read(read)
