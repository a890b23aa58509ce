"""Puts together what the journal, the room and the watchpost know: for `status` and for GET /metrics."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version

import msgspec

from runtime import clock
from runtime.kernel import Kernel
from runtime.observe.metric_kinds import TARGET_BOOKS
from runtime.observe.metrics import LaneSnapshot, Snapshot
from runtime.status import (
    AlertStatus,
    DownlinkStatus,
    JournalState,
    LaneStatus,
    RevisionStatus,
    Status,
    TargetStatus,
    level,
)
from runtime.watchpost import Watchpost


@cache
def program_version() -> str:
    """The installed version."""
    return version("entrepot")


def report(
    kernel: Kernel,
    state: JournalState,
    watchpost: Watchpost | None,
    *,
    uptime_seconds: int = 0,
    revision: RevisionStatus | None = None,
) -> Status:
    """The status of a running agent, or (without watchpost) of a stopped one's journal."""
    configuration = kernel.configuration
    alerts = _alerts(watchpost)
    lanes = {name: _lane(name, lane, watchpost) for name, lane in state.lanes.items()}
    return Status(
        region=configuration.model.region,
        environment=configuration.model.environment,
        version=program_version(),
        running=watchpost is not None,
        level=level(state, alerts),
        **state.books.account(),
        balanced=state.books.balanced,
        duplicates=state.books.duplicates,
        facts=state.books.facts,
        untranslated=state.books.facts - state.books.translated,
        epoch=kernel.journal.epoch,
        lanes=lanes,
        letters=state.letters,
        downlinks=[_downlink(kernel, downlink) for downlink in state.downlinks],
        targets={name: _target(kernel, name, target) for name, target in state.targets.items()},
        hub_connected=watchpost is not None and watchpost.hub_connected,
        hub=watchpost.hub if watchpost else "",
        buffer_seconds_left=kernel.room.buffer_seconds_left,
        disk_used_bytes=kernel.room.used_bytes,
        disk_budget_bytes=kernel.room.budget_bytes,
        checkpoints_unsent=state.checkpoints_unsent,
        policy=kernel.policy.sealer.clearance.digest,
        config=configuration.digest,
        config_since=clock.rfc3339(kernel.configured_us) if watchpost is not None else "",
        key_id=kernel.identity.key_id,
        alerts=alerts,
        warnings=configuration.warnings,
        uptime_seconds=uptime_seconds,
        revision=revision,
    )


def in_short(state: JournalState, *, hub_connected: bool) -> str:
    """One line for the service manager's status."""
    account = state.books.account()
    lag_seconds = max((lane.lag_seconds for lane in state.lanes.values()), default=0.0)
    hub = "hub connected" if hub_connected else "hub away"
    return f"accepted {account['accepted']}, pending {account['pending']}, lag {lag_seconds:.0f} s, {hub}"


def _alerts(watchpost: Watchpost | None) -> list[AlertStatus]:
    if watchpost is None:
        return []
    return [
        AlertStatus(
            name=alert.name,
            subject=alert.subject,
            severity=alert.severity,
            sentence=alert.sentence,
            action=alert.action,
            since=clock.rfc3339(alert.since_us),
        )
        for alert in watchpost.alerts.active()
    ]


def _lane(name: str, lane: LaneStatus, watchpost: Watchpost | None) -> LaneStatus:
    if watchpost is None:
        return lane
    return msgspec.structs.replace(lane, hub_last=watchpost.hub_last.get(name), notes=watchpost.hub_notes.get(name, []))


def _downlink(kernel: Kernel, downlink: DownlinkStatus) -> DownlinkStatus:
    read = kernel.inbox
    if read is None or read.region != downlink.region:
        return downlink
    return msgspec.structs.replace(downlink, hub_last=read.hub_last)


def _target(kernel: Kernel, name: str, target: TargetStatus) -> TargetStatus:
    step = kernel.delivering.get(name)
    target = msgspec.structs.replace(target, configured=name in kernel.configuration.targets)
    if step is None:
        return target
    return msgspec.structs.replace(target, idempotent=step.target.idempotent, trouble=step.trouble)


def snapshot(kernel: Kernel, watchpost: Watchpost, state: JournalState | None) -> Snapshot | None:
    """The state for one scrape; None before the first look."""
    if state is None:
        return None
    return Snapshot(
        books=state.books.account(),
        lanes={
            name: LaneSnapshot(
                sealed=lane.sealed,
                acked=lane.acked,
                pending=lane.queued,
                hub_last=watchpost.hub_last.get(name),
                fenced=lane.fenced,
                refill_horizon_seconds=lane.refill_horizon_seconds,
                lag_seconds=lane.lag_seconds,
            )
            for name, lane in state.lanes.items()
        },
        duplicates=state.books.duplicates,
        disk_used_bytes=kernel.room.used_bytes,
        disk_budget_bytes=kernel.room.budget_bytes,
        hub_connected=watchpost.hub_connected,
        clock_bad=watchpost.clock_bad,
        buffer_seconds_left=kernel.room.buffer_seconds_left,
        letters={(source, "untranslatable"): count for source, count in state.letters.items()},
        alerts=watchpost.alerts.counts(),
        targets={
            name: {book: getattr(target, book) for book in TARGET_BOOKS} for name, target in state.targets.items()
        },
        downlinks={downlink.region: (downlink.seq, downlink.fence is not None) for downlink in state.downlinks},
        checkpoints_unsent=state.checkpoints_unsent,
    )
