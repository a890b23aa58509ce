"""Targets and the downlink as entrepot.toml has them, checked and ready to be made. Part of `assemble`."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from msgspec import Struct

from runtime import plugins
from runtime.config.load import convert
from runtime.config.model import Model, TargetSettings
from runtime.config.overlay import Reach
from runtime.downlink import INBOX
from runtime.errors import ConfigError, Permanent
from runtime.gateway.settings import is_loopback
from runtime.identity import parse_public_key
from runtime.nearest import nearest
from runtime.ports import TargetAdapter

_SHARED_KEYS = frozenset(TargetSettings.__struct_fields__)


class ConfiguredTarget(Struct, frozen=True, kw_only=True):
    """One target, ready to be started."""

    name: str
    shared: TargetSettings
    adapter: TargetAdapter
    settings: Any
    rules: str = ""
    """SHA-256 over the files that the settings name."""


def configure_target(
    name: str, raw: dict[str, Any], model: Model, *, where: str, directory: Path, reach: Reach | None,
    read: Callable[[Path], str], warnings: list[str],
) -> ConfiguredTarget:  # fmt: skip
    """`[targets.<name>]`. Adds to `warnings`; `read` reads a file that belongs to it. Raises `ConfigError` with the place."""
    at = f"targets.{name}"
    own = {key: value for key, value in raw.items() if key in _SHARED_KEYS}
    if "adapter" not in own:
        raise ConfigError(f"{where}: the key '{at}.adapter' is missing")
    shared = convert(own, TargetSettings, where=where, at=at)
    if shared.retry.seconds_min > shared.retry.seconds_max:
        warnings.append(
            f"{where}: {at}.retry: seconds_min is above seconds_max: pauses lie between them and never grow"
        )
    if shared.reads == INBOX and model.downlink is None:
        warnings.append(f"{where}: {at} reads the inbox, and there is no [downlink]: nothing will come")
    elif shared.reads not in {INBOX, *model.lanes}:
        raise ConfigError(f"{where}: {at}.reads is {shared.reads!r}{nearest(shared.reads, [INBOX, *model.lanes])}")
    adapter = plugins.target(shared.adapter, where=f"{where}: {at}.adapter")
    rest = {key: value for key, value in raw.items() if key not in _SHARED_KEYS}
    settings = convert(rest, adapter.settings, where=where, at=at)
    exposed = "" if reach is None else reach.exposes("targets", name, rest)
    if exposed:
        raise ConfigError(f"{where}: {at}.{exposed}: secrets, keys or the journal lie there")
    named = getattr(adapter, "files", None)
    try:
        notes = adapter.check(settings, loopback=is_loopback(model.gateway.listen))
        paths = named(settings, str(directory)) if named is not None else ()
        rules = sha256("\0".join(read(Path(path)) for path in paths).encode()).hexdigest() if paths else ""
    except ConfigError as error:
        raise ConfigError(f"{where}: {at}: {error}", hint=error.hint) from None
    warnings += [f"{where}: {at}: {note}" for note in notes]
    return ConfiguredTarget(name=name, shared=shared, adapter=adapter, settings=settings, rules=rules)


def headquarters_key(model: Model, read: Callable[[str], str], *, where: str) -> bytes | None:
    """The raw key of `[downlink] public_key`; None when there is none. Raises `ConfigError`."""
    downlink = model.downlink
    if downlink is None:
        return None
    if downlink.region == model.region:
        raise ConfigError(f"{where}: downlink.region is this region itself; name headquarters' id")
    if not downlink.public_key:
        return None
    try:
        text = read(downlink.public_key)
    except ConfigError as error:
        raise ConfigError(f"{where}: downlink.public_key: {error}", hint=error.hint) from None
    try:
        return parse_public_key(text)
    except Permanent as error:
        raise ConfigError(f"{where}: downlink.public_key: {downlink.public_key}: {error}") from None
