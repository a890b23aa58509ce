"""How the fleet's streams must be set up, what is wrong about those that exist, and making them."""

from __future__ import annotations

from typing import Any

from runtime.errors import Refused
from runtime.ports import Scope, StreamReport
from sync import fleet_names as names
from sync import stream, topology
from sync.channel import Channel
from sync.stream import StreamInfo

ENVIRONMENT = "entrepot-environment"
ROLE = "entrepot-role"
FLEET = "fleet"
_DAY_NS = 86_400 * 1_000_000_000
ACTIONS_DAYS = 30
"""An action that has ended is of no use to anybody; the audit keeps that it was sent."""
STREAMS: dict[str, dict[str, Any]] = {
    names.CONFIG_STREAM: {"subjects": [names.CONFIG_SUBJECTS], "max_msgs_per_subject": 1},
    names.STATE_STREAM: {"subjects": [names.STATE_SUBJECTS], "max_msgs_per_subject": 1},
    names.ACTIONS_STREAM: {
        "subjects": [names.ACTIONS_SUBJECTS],
        "max_msgs_per_subject": 1,
        "max_age": ACTIONS_DAYS * _DAY_NS,
    },
    names.AUDIT_STREAM: {
        "subjects": [names.AUDIT_SUBJECTS],
        "max_msgs_per_subject": -1,
        "discard": "new",
        "deny_delete": True,
        "deny_purge": True,
    },
}
_MENDABLE = ("allow_direct", "deny_delete", "deny_purge", "discard", "max_age", "max_msgs_per_subject", "num_replicas")


def desired(name: str, *, environment: str, replicas: int) -> dict[str, Any]:
    """The recommended configuration."""
    common: dict[str, Any] = {
        "name": name,
        "storage": "file",
        "retention": "limits",
        "discard": "old",
        "max_age": 0,
        "max_msgs": -1,
        "max_bytes": -1,
        "num_replicas": replicas,
        "allow_direct": True,
        "metadata": {ENVIRONMENT: environment, ROLE: FLEET},
    }
    return common | STREAMS[name]


def wrong(config: dict[str, Any], environment: str) -> str:
    """Why nothing may be written there, as a sentence; empty when all is well."""
    name = config["name"]
    said = (config.get("metadata") or {}).get(ENVIRONMENT, "")
    if said != environment:
        return f"stream {name} says its environment is `{said}`, fleet.toml says `{environment}`"
    if config.get("subjects") != STREAMS[name]["subjects"]:
        return f"stream {name} listens on {config.get('subjects') or 'nothing'}, not on {STREAMS[name]['subjects']}"
    if config.get("persist_mode", "default") not in {"", "default"}:
        return f"stream {name} has persist_mode {config['persist_mode']}: it acknowledges what it has not written"
    if config.get("retention", "limits") != "limits":
        return f"stream {name} has retention {config['retention']}: messages vanish when somebody reads them"
    return ""


async def check(channel: Channel, scope: Scope) -> None:
    """Raises `Refused` when the hub's fleet is of another environment. A missing stream is told by whoever needs it."""
    found = await stream.info(channel, names.CONFIG_STREAM)
    problem = "" if found is None else wrong(found.config, scope.environment)
    if problem:
        raise Refused(problem, hint="check [hub] servers and environment; nothing was changed")


async def compare(channel: Channel, scope: Scope, *, replicas: int, apply: bool) -> list[StreamReport]:
    """One line a stream. Raises `Refused` for one that belongs to something else."""
    return [await _compare(channel, scope, name, replicas, apply) for name in STREAMS]


async def _compare(channel: Channel, scope: Scope, name: str, replicas: int, apply: bool) -> StreamReport:
    wanted = desired(name, environment=scope.environment, replicas=replicas)
    found = await stream.info(channel, name)
    if found is None:
        if not apply:
            return StreamReport(stream=name, lane=FLEET, exists=False, changed=["to be made"])
        await channel.ask(f"STREAM.CREATE.{name}", wanted, seconds_max=5)
        return _report(await stream.info(channel, name), scope, name, ["made"], [])
    changes = _changes(found, wanted)
    said = [f"{key}: {found.config.get(key)} → {wanted[key]}" for key in changes]
    if not apply:
        return _report(found, scope, name, [], said)
    problem = wrong(found.config, scope.environment)
    if problem:
        raise Refused(problem, hint="check [hub] servers and environment; nothing was changed")
    if changes:
        await channel.ask(f"STREAM.UPDATE.{name}", found.config | {key: wanted[key] for key in changes}, seconds_max=5)
    return _report(await stream.info(channel, name), scope, name, said, [])


def _changes(found: StreamInfo, wanted: dict[str, Any]) -> list[str]:
    """Copies are only ever added, and what cannot be deleted stays so."""
    config = found.config
    return [
        key
        for key in _MENDABLE
        if key in wanted
        and config.get(key) != wanted[key]
        and not (key == "num_replicas" and config.get(key, 1) >= wanted[key])
    ]


def _report(found: StreamInfo | None, scope: Scope, name: str, changed: list[str], weaker: list[str]) -> StreamReport:
    if found is None:
        return StreamReport(stream=name, lane=FLEET, exists=False, changed=changed)
    notes = [f"weaker than recommended: {difference}" for difference in weaker]
    if found.config.get("storage") == "memory":
        notes.append("kept in memory: a restart of the hub loses it")
    return topology.reported(found, FLEET, changed, problem=wrong(found.config, scope.environment), notes=notes)
