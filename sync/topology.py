"""How a region's streams must be set up, what is wrong or weaker about those that exist, and making them.

Wrong means: writing there could break a promise, so nothing is sent. Weaker means: named as a note.
"""

from __future__ import annotations

from typing import Any

from runtime import record
from runtime.errors import Refused
from runtime.ports import TRIAL_ENVIRONMENT, Scope, StreamReport
from sync import stream
from sync.channel import Channel
from sync.stream import StreamInfo

METADATA = ("entrepot-environment", "entrepot-region", "entrepot-lane")
BATCHED_SINCE = (2, 14, 0)
"""`allow_batched` (fast ingest, ADR-50 revision 7)."""
FIRST_SEQ_SINCE = (2, 10, 0)
"""`first_seq` and stream metadata."""
_DUPLICATES_NS = 1_000_000_000
"""Shortest sensible dedupe window: exactly-once here rests on sequences, not on a window."""
_MENDABLE = ("allow_direct", "allow_batched", "deny_delete", "deny_purge", "discard", "max_age", "num_replicas")
_FORBIDDEN = {
    "mirror": "mirrors another stream",
    "sources": "collects from other streams",
    "subject_transform": "rewrites subjects",
    "sealed": "is sealed",
    "no_ack": "does not acknowledge",
    "allow_msg_counter": "is a counter stream",
}
_SYNCED_NOTE = "{copies}; the hub acknowledges before its disks are synced, so the region keeps rows for refill"


def subjects(region: str, lane: str) -> list[str]:
    """What the stream of a lane listens on; the checkpoints' stream has its own subject."""
    return [
        record.checkpoint_subject(region) if lane == record.CHECKPOINTS_LANE else record.lane_subjects(region, lane)
    ]


def desired(scope: Scope, lane: str, *, first: int, replicas: int, version: tuple[int, int, int]) -> dict[str, Any]:
    """The recommended configuration; `first` is the sequence the first message gets."""
    config: dict[str, Any] = {
        "name": record.stream_name(scope.region, lane),
        "subjects": subjects(scope.region, lane),
        "storage": "file",
        "retention": "limits",
        "discard": "new",
        "max_age": 0,
        "max_msgs": -1,
        "max_bytes": -1,
        "max_msgs_per_subject": -1,
        "num_replicas": replicas,
        "duplicate_window": _DUPLICATES_NS,
        "deny_delete": True,
        "deny_purge": True,
        "allow_direct": True,
        "metadata": dict(zip(METADATA, (scope.environment, scope.region, lane), strict=True)),
    }
    if version >= BATCHED_SINCE:
        config["allow_batched"] = True
    if first > 1 and version >= FIRST_SEQ_SINCE:
        config["first_seq"] = first
    return config


def wrong(config: dict[str, Any], scope: Scope, lane: str) -> str:
    """Why nothing may be written to this stream, as a sentence; empty when all is well."""
    name = record.stream_name(scope.region, lane)
    metadata = config.get("metadata") or {}
    expected = dict(zip(METADATA, (scope.environment, scope.region, lane), strict=True))
    for key, value in expected.items():
        if metadata.get(key, "") != value:
            return f"stream {name} says {key} is `{metadata.get(key, '')}`, this agent's is `{value}`"
    return _unsafe(config, scope, lane)


def _unsafe(config: dict[str, Any], scope: Scope, lane: str) -> str:
    name = record.stream_name(scope.region, lane)
    if config.get("subjects") != subjects(scope.region, lane):
        return f"stream {name} listens on {config.get('subjects') or 'nothing'}, it must listen on {subjects(scope.region, lane)}"
    if config.get("persist_mode", "default") not in {"", "default"}:
        return f"stream {name} has persist_mode {config['persist_mode']}: it acknowledges what it has not written"
    if config.get("retention", "limits") != "limits":
        return f"stream {name} has retention {config['retention']}: messages vanish when somebody reads them"
    for option, meaning in _FORBIDDEN.items():
        if config.get(option):
            return f"stream {name} {meaning}"
    return ""


def weaker(config: dict[str, Any], scope: Scope, lane: str, version: tuple[int, int, int]) -> list[str]:
    """Settings weaker than recommended, one sentence each."""
    return [synced_note(config), *weaknesses(config, version)]


def synced_note(config: dict[str, Any]) -> str:
    """How many copies there are; whether the hub's disks are synced is never visible from here."""
    copies = int(config.get("num_replicas", 1))
    return _SYNCED_NOTE.format(copies="replicated, not synced" if copies > 1 else "one copy, not synced")


def weaknesses(config: dict[str, Any], version: tuple[int, int, int]) -> list[str]:
    """What could be set better, one sentence each."""
    notes: list[str] = []
    if config.get("storage") == "memory":
        notes.append("kept in memory: a restart of the hub loses it")
    if config.get("max_age"):
        notes.append("messages age out at the hub (max_age)")
    if config.get("discard") != "new" and any(config.get(k, -1) > 0 for k in ("max_msgs", "max_bytes")):
        notes.append("at its limit the hub drops the oldest events (discard old)")
    if config.get("max_msgs_per_subject", -1) > 0:
        notes.append("old events are dropped per subject (max_msgs_per_subject)")
    if not config.get("deny_delete") or not config.get("deny_purge"):
        notes.append("events can be deleted through the API (deny_delete, deny_purge)")
    if version >= BATCHED_SINCE and not config.get("allow_batched"):
        notes.append("fast ingest is off (allow_batched): slower, not less safe")
    return notes


async def make(channel: Channel, scope: Scope, lane: str, *, first: int, replicas: int) -> None:
    """Create the stream. Raises `ApiError`, `HubAway`."""
    config = desired(scope, lane, first=first, replicas=replicas, version=channel.version)
    await channel.ask(f"STREAM.CREATE.{config['name']}", config, seconds_max=5)


async def remove(channel: Channel, scope: Scope, lane: str) -> None:
    """Delete a trial's stream, if it is there. Raises `Refused` for any other: no event of a region is ever deleted."""
    name = record.stream_name(scope.region, lane)
    found = await stream.info(channel, name)
    if found is None:
        return
    said = (found.config.get("metadata") or {}).get(METADATA[0])
    if (scope.environment, said) != (TRIAL_ENVIRONMENT, TRIAL_ENVIRONMENT):
        raise Refused(f"stream {name} is not a trial's: it is never removed", hint="ask the central team")
    await channel.ask(f"STREAM.DELETE.{name}", {}, seconds_max=5)


async def compare(channel: Channel, scope: Scope, lane: str, *, first: int, replicas: int, apply: bool) -> StreamReport:
    """One line of `topology show`, or of `topology apply` after it was made or mended.

    Raises `Refused` for a stream that belongs to another region, lane or environment, or cannot be mended.
    """
    name = record.stream_name(scope.region, lane)
    found = await stream.info(channel, name)
    if found is None:
        if not apply:
            return StreamReport(stream=name, lane=lane, exists=False, changed=[f"to be made, first event {first}"])
        await make(channel, scope, lane, first=first, replicas=replicas)
        return await _report(channel, scope, lane, [f"made, first event {first}"])
    wanted = desired(scope, lane, first=1, replicas=replicas, version=channel.version)
    changes = _changes(found, wanted)
    if apply:
        _may_mend(found, scope, lane)
        if changes:
            await channel.ask(f"STREAM.UPDATE.{name}", found.config | {k: wanted[k] for k in changes}, seconds_max=5)
    said = [f"{key}: {found.config.get(key)} → {wanted[key]}" for key in changes]
    return await _report(channel, scope, lane, said)


def _changes(found: StreamInfo, wanted: dict[str, Any]) -> list[str]:
    """Options to set; copies are only ever added, and foreign metadata is kept."""
    config = found.config
    changes = [key for key in _MENDABLE if key in wanted and config.get(key) != wanted[key]]
    if config.get("num_replicas", 1) >= wanted["num_replicas"] and "num_replicas" in changes:
        changes.remove("num_replicas")
    if not (config.get("metadata") or {}).keys() & set(METADATA):
        wanted["metadata"] = (config.get("metadata") or {}) | wanted["metadata"]
        changes.append("metadata")
    return changes


def _may_mend(found: StreamInfo, scope: Scope, lane: str) -> None:
    unmarked = not (found.config.get("metadata") or {}).keys() & set(METADATA)
    problem = _unsafe(found.config, scope, lane) if unmarked else wrong(found.config, scope, lane)
    if not problem and unmarked and found.state.messages:
        problem = f"stream {found.config['name']} holds messages and does not say whose they are"
    if problem:
        raise Refused(problem, hint="Check [hub] servers, region and environment; nothing was changed.")


async def _report(channel: Channel, scope: Scope, lane: str, changed: list[str]) -> StreamReport:
    name = record.stream_name(scope.region, lane)
    found = await stream.info(channel, name)
    if found is None:
        return StreamReport(stream=name, lane=lane, exists=False, changed=changed)
    notes = weaker(found.config, scope, lane, channel.version)
    return reported(found, lane, changed, problem=wrong(found.config, scope, lane), notes=notes)


def reported(found: StreamInfo, lane: str, changed: list[str], *, problem: str, notes: list[str]) -> StreamReport:
    """The line of a stream that is there. `problem`: why nothing may be written to it."""
    state = found.state
    return StreamReport(
        stream=found.config["name"],
        lane=lane,
        exists=True,
        messages=state.messages,
        first=state.first_seq,
        last=state.last_seq,
        changed=changed,
        notes=([f"not usable: {problem}"] if problem else []) + notes,
    )
