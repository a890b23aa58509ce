"""Finds adapters, targets, translators and the hub through entry points; ours take the same road as a stranger's."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any, cast

from runtime.errors import ConfigError
from runtime.fleet.desk import DeskHub
from runtime.fleet.post import FleetHub
from runtime.fleet.trust import Trust
from runtime.nearest import nearest
from runtime.ports import Adapter, TargetAdapter, Translator

ADAPTERS = "entrepot.adapters"
HUBS = "entrepot.hub"
PACKS = "entrepot.packs"
TARGETS = "entrepot.targets"
TRUSTS = "entrepot.trust"
TRANSLATORS = "entrepot.translators"


def adapter(name: str, *, where: str) -> Adapter:
    """Raises `ConfigError` with the installed choices."""
    return cast(Adapter, _load(ADAPTERS, name, where=where, what="adapter"))


def target(name: str, *, where: str) -> TargetAdapter:
    """What delivers to one kind of foreign system. Raises `ConfigError` with the installed choices."""
    return cast(TargetAdapter, _load(TARGETS, name, where=where, what="target adapter"))


def translator(name: str, *, where: str) -> Translator:
    """A pure Python translator by name. Raises `ConfigError` with the installed choices."""
    return cast(Translator, _load(TRANSLATORS, name, where=where, what="translator"))


def pack(name: str, *, where: str) -> ModuleType:
    """The package whose folder is a mapping pack. Raises `ConfigError` with the installed choices."""
    return cast(ModuleType, _load(PACKS, name, where=where, what="pack"))


def names(group: str) -> list[str]:
    """What is installed in a group, sorted."""
    return sorted({point.name for point in entry_points(group=group)})


def hub() -> FleetHub:
    """The installed connection to the centre. Raises `ConfigError` when there is none."""
    return cast(FleetHub, _load(HUBS, "nats", where="installation", what="hub"))


def trust() -> Trust:
    """What lets regions in at the hub. Raises `ConfigError` when there is none."""
    return cast(Trust, _load(TRUSTS, "nats", where="installation", what="trust"))


def desk_hub() -> DeskHub:
    """The same, as headquarters uses it. Raises `ConfigError` when there is none."""
    return cast(DeskHub, _load(HUBS, "nats", where="installation", what="hub"))


def _load(group: str, name: str, *, where: str, what: str) -> Any:
    found: dict[str, EntryPoint] = {point.name: point for point in entry_points(group=group)}
    if name not in found:
        raise ConfigError(f"{where}: there is no {what} {name!r}{nearest(name, sorted(found))}")
    try:
        return found[name].load()
    except Exception as error:
        raise ConfigError(
            f"{where}: the {what} {name!r} ({found[name].value}) cannot be loaded: {type(error).__name__}: {error}",
            hint="reinstall the package that provides it",
        ) from error
