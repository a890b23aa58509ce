"""What a new configuration changes in a running process, and what it may not change there. Pure.

A `Plan` names every part that differs; `fixed` says why some cannot. Values are never named, only keys: they may be secret.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, Literal

from msgspec import Struct

from runtime.clearance.compare import loosened
from runtime.config.assemble import Configuration, ConfiguredSource
from runtime.config.model import Model
from runtime.errors import Refused
from runtime.gateway.settings import GatewaySettings, SourceLimits

Secrets = Mapping[str, str]
"""Where a secret is named → SHA-256 of its bytes; see `Configuration.read_secrets`."""
_FIXED = {
    "region": "region can never change for a journal: it stands in every stream, receipt and signed record",
    "environment": "environment can never change for a journal: test and prod must not mix",
    "jurisdiction": "restart to change jurisdiction: a person must look at the policy before anything leaves under it",
    "data_dir": "restart to change data_dir: the journal, its lock and the keys are open where they are",
}
_HINTS = {
    "region": "give another region a data_dir and an agent of its own",
    "environment": "give another environment a data_dir and an agent of its own",
}


class Change(Struct, frozen=True, kw_only=True):
    """One part of the configuration that differs."""

    part: str
    """`sources.wms`, `hub`, `residency` …"""
    change: Literal["added", "removed", "changed"]
    detail: str = ""
    """Which keys, as text."""


class Plan(Struct, frozen=True, kw_only=True):
    """What has to be done to go from one configuration to the next."""

    changes: list[Change] = []
    started: frozenset[str] = frozenset()
    """Sources that begin (anew) with the new settings."""
    ended: frozenset[str] = frozenset()
    """Sources that end: removed ones, and changed ones before they begin anew."""
    drains: dict[str, str] = {}
    """Lane → why it must have reached the hub before anything is translated by the new configuration."""
    targets_started: frozenset[str] = frozenset()
    """Targets that begin (anew) with the new settings."""
    targets_ended: frozenset[str] = frozenset()
    """Targets that end: removed ones, and changed ones before they begin anew."""
    uplink: bool = False
    """The connection to the hub is replaced."""
    listen: bool = False
    """Connections come to another address, or begin in another way."""
    loosened: list[str] = []
    """What the new policy releases and the old one did not. A person in the region may do that; headquarters may not."""


def fixed(old: Configuration, new: Configuration) -> None:
    """Raises `Refused` for what a running process cannot change."""
    for key, sentence in _FIXED.items():
        before, after = (old.data_dir, new.data_dir) if key == "data_dir" else (_get(old, key), _get(new, key))
        if before != after:
            raise Refused(sentence, hint=_HINTS.get(key, f"put {key} back, or stop the agent and start it again"))
    if (old.model.fleet is None) != (new.model.fleet is None):
        raise Refused(
            "restart to let headquarters steer this region, or no longer: [fleet] came or went", hint="or put it back"
        )


def _listener(gateway: GatewaySettings) -> tuple[str, str | None]:
    """Where it listens, and how it speaks there."""
    return gateway.listen, None if gateway.tls is None else gateway.tls.clients


def compare(old: Configuration, new: Configuration, held: Secrets, read: Secrets) -> Plan:
    """The way from `old` (with the secrets that the process holds) to `new` (with those just read)."""
    moved = old.directory != new.directory
    elsewhere = moved or old.model.secrets != new.model.secrets
    turned = frozenset(place for place in {*held, *read} if elsewhere or held.get(place) != read.get(place))
    if old.digest == new.digest and not (moved or turned):
        return Plan()
    sources = list(_sources(old, new, turned))
    targets = list(_targets(old, new, turned))
    others = list(_others(old, new, turned))
    parts = {change.part for change in others}
    anew = {change.part.removeprefix("sources."): change.change for change in sources}
    delivering = {change.part.removeprefix("targets."): change.change for change in targets}
    changes = sources + targets + others
    return Plan(
        changes=changes or [Change(part="files", change="changed", detail="comments or layout only")],
        started=frozenset(name for name, change in anew.items() if change != "removed"),
        ended=frozenset(name for name, change in anew.items() if change != "added"),
        targets_started=frozenset(name for name, change in delivering.items() if change != "removed"),
        targets_ended=frozenset(name for name, change in delivering.items() if change != "added"),
        drains=_drains(old, new),
        uplink=moved or bool(parts & {"hub", "downlink"}) or old.model.lanes.keys() != new.model.lanes.keys(),
        listen=_listener(old.model.gateway) != _listener(new.model.gateway),
        loosened=loosened(old.clearance, new.clearance),
    )


def _get(configuration: Configuration, key: str) -> Any:
    return getattr(configuration.model, key)


# ---------------------------------------------------------------- sources


def _sources(old: Configuration, new: Configuration, turned: frozenset[str]) -> Iterator[Change]:
    for name in sorted({*old.sources, *new.sources}):
        part, before, after = f"sources.{name}", old.sources.get(name), new.sources.get(name)
        if before is None:
            yield Change(part=part, change="added", detail=f"adapter {new.sources[name].shared.adapter}")
        elif after is None:
            yield Change(part=part, change="removed")
        else:
            detail = [*_source(before, after), *_secrets(part, turned)]
            if old.directory != new.directory:
                detail.append("folder of entrepot.toml")
            if detail:
                yield Change(part=part, change="changed", detail=", ".join(detail))


def _targets(old: Configuration, new: Configuration, turned: frozenset[str]) -> Iterator[Change]:
    for name in sorted({*old.targets, *new.targets}):
        part, before, after = f"targets.{name}", old.targets.get(name), new.targets.get(name)
        if before is None:
            yield Change(part=part, change="added", detail=f"adapter {new.targets[name].shared.adapter}")
        elif after is None:
            yield Change(part=part, change="removed")
        else:
            detail = [*_keys(before.shared, after.shared), *_secrets(part, turned)]
            if type(before.settings) is type(after.settings):
                detail += _keys(before.settings, after.settings)
            if before.rules != after.rules:
                detail.append("files")
            if old.directory != new.directory:
                detail.append("folder of entrepot.toml")
            if detail:
                yield Change(part=part, change="changed", detail=", ".join(detail))


def _source(old: ConfiguredSource, new: ConfiguredSource) -> Iterator[str]:
    yield from (key for key in _keys(old.shared, new.shared) if key not in {"lane", "limits"})
    if old.lane != new.lane:
        yield f"lane {old.lane} → {new.lane}"
    yield from (f"limits.{key}" for key in SourceLimits.__struct_fields__ if _differ(old.limits, new.limits, key))
    if old.schema is not None and new.schema is not None and old.schema.sha256 != new.schema.sha256:
        yield "rules of the schema"
    if old.rules.translator.version != new.rules.translator.version:
        yield f"rules {old.rules.translator.version} → {new.rules.translator.version}"
    if type(old.settings) is type(new.settings):
        yield from _keys(old.settings, new.settings)


def _secrets(part: str, turned: frozenset[str]) -> Iterator[str]:
    if any(place == part or place.startswith(f"{part}.") for place in turned):
        yield "secrets"


# ---------------------------------------------------------------- lanes


def _drains(old: Configuration, new: Configuration) -> dict[str, str]:
    """Lanes that must be empty first: a source leaves them, or they go."""
    found: dict[str, str] = {}
    for name in sorted(old.sources.keys() & new.sources.keys()):
        before, after = _ways(old, name), _ways(new, name)
        if before != after:
            found |= {lane: f"source {name} changes its lane" for lane, _, _ in before}
    found |= dict.fromkeys(old.model.lanes.keys() - new.model.lanes.keys(), "the lane is removed")
    return found


def _ways(configuration: Configuration, source: str) -> list[tuple[str, str | None, str | None]]:
    """Which events of a source take which lane, as (lane, type, key) in the order of the routes."""
    routes = (r for r in configuration.model.routes if r.when.source is None or fnmatchcase(source, r.when.source))
    ways = [(route.lane, route.when.type, route.when.key) for route in routes]
    return [*ways, (configuration.sources[source].lane, None, None)]


# ---------------------------------------------------------------- everything else


def _others(old: Configuration, new: Configuration, turned: frozenset[str]) -> Iterator[Change]:
    before, after = old.model, new.model
    yield from _lanes(before, after)
    if before.routes != after.routes:
        yield Change(part="routes", change="changed")
    yield from _table("hub", [*_keys(old.hub_settings, new.hub_settings), *_secrets("hub", turned)])
    yield from _downlink(old, new)
    yield from _table("residency", ["policy"] if old.policy.digest != new.policy.digest else [])
    renewed = ["certificate"] if "gateway.tls" in turned and before.gateway.tls and after.gateway.tls else []
    yield from _table("gateway", [*_keys(before.gateway, after.gateway), *renewed])
    yield from _api(before, after)
    for name in ("access", "journal", "evidence", "alerts", "secrets", "fleet"):
        yield from _table(name, _keys(getattr(before, name), getattr(after, name)))


def _api(old: Model, new: Model) -> Iterator[Change]:
    if (old.api is None) != (new.api is None):
        yield Change(part="api", change="removed" if new.api is None else "added")
    else:
        yield from _table("api", _keys(old.api, new.api))


def _downlink(old: Configuration, new: Configuration) -> Iterator[Change]:
    before, after = old.model.downlink, new.model.downlink
    if before is None and after is not None:
        yield Change(part="downlink", change="added", detail=f"region {after.region}")
    elif before is not None and after is None:
        yield Change(part="downlink", change="removed")
    else:
        key = ["public_key"] if old.headquarters_key != new.headquarters_key else []
        yield from _table("downlink", sorted({*_keys(before, after), *key}))


def _lanes(old: Model, new: Model) -> Iterator[Change]:
    for name in sorted({*old.lanes, *new.lanes}):
        part = f"lanes.{name}"
        if name not in old.lanes:
            yield Change(part=part, change="added")
        elif name not in new.lanes:
            yield Change(part=part, change="removed")
        else:
            yield from _table(part, _keys(old.lanes[name], new.lanes[name]))


def _table(part: str, keys: list[str]) -> Iterator[Change]:
    if keys:
        yield Change(part=part, change="changed", detail=", ".join(keys))


def _keys(old: Any, new: Any) -> list[str]:
    """Fields of a struct whose values differ."""
    return [key for key in getattr(old, "__struct_fields__", ()) if _differ(old, new, key)]


def _differ(old: Any, new: Any, key: str) -> bool:
    return bool(getattr(old, key) != getattr(new, key))
