"""Layers of configuration laid over each other: base < groups < region < agent. Pure.

Tables are merged key by key, everything else replaces what a lower layer says, and each key remembers its layer.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from posixpath import dirname, join, normpath
from typing import Any

from msgspec import Struct

from runtime.errors import ConfigError
from runtime.fleet.steering import FIXED
from runtime.mapping.toml_places import child_key

REMOVE = "remove"
"""`remove = ["sources.legacy"]`: takes keys away that a lower layer or the region's own file has."""


class Layer(Struct, frozen=True, kw_only=True):
    """What one folder says."""

    name: str
    """`base`, `group/<name>`, `region/<name>`, `agent/<name>`."""
    settings: dict[str, Any]
    files: dict[str, bytes] = {}
    """Relative path, with slashes → content."""
    golden: dict[str, bytes] = {}
    """Messages to try mappings with, by path as well: they stay at headquarters."""


class Rendered(Struct, frozen=True, kw_only=True):
    """What the layers say together."""

    settings: dict[str, Any]
    files: dict[str, bytes]
    """Only those that the settings name, and those that these name in turn."""
    provenance: dict[str, str]
    """Dotted key, or `files."<path>"` → name of the layer."""
    golden: dict[str, bytes] = {}
    unused: list[str] = []
    """Files that nothing names: they are not sent."""


def render(layers: Sequence[Layer]) -> Rendered:
    """Lay them over each other, the first one lowest. Raises `ConfigError` for a key that no layer may say."""
    settings: dict[str, Any] = {}
    provenance: dict[str, str] = {}
    files: dict[str, bytes] = {}
    origins: dict[str, str] = {}
    golden: dict[str, bytes] = {}
    for layer in layers:
        said = _with_removals(layer)
        _check(layer.name, said)
        _merge(settings, said, "", layer.name, provenance)
        files |= layer.files
        golden |= layer.golden
        origins |= dict.fromkeys(layer.files, layer.name)
    named = set(_named(settings, files))
    provenance |= {child_key("files", path): origins[path] for path in sorted(named)}
    return Rendered(
        settings=settings,
        files={path: files[path] for path in sorted(named)},
        provenance=dict(sorted(provenance.items())),
        golden=golden,
        unused=sorted(files.keys() - named),
    )


def _with_removals(layer: Layer) -> dict[str, Any]:
    """The settings, with None for each key that is taken away (RFC 7396)."""
    said = dict(layer.settings)
    removed = said.pop(REMOVE, [])
    if not isinstance(removed, list) or not all(isinstance(key, str) and key for key in removed):
        raise ConfigError(f"{layer.name}: {REMOVE} must be a list of keys", hint='such as remove = ["sources.legacy"]')
    for key in removed:
        *tables, last = key.split(".")
        into = said
        for part in tables:
            below = into.get(part, {})
            if not isinstance(below, dict):
                raise ConfigError(f"{layer.name}: {REMOVE}: {key!r} lies in no table")
            into[part] = dict(below)
            into = into[part]
        if last in into:
            raise ConfigError(f"{layer.name}: {key} is set and removed", hint="do one of both")
        into[last] = None
    return said


def _check(layer: str, settings: dict[str, Any]) -> None:
    for key, meaning in FIXED.items():
        if key in settings:
            raise ConfigError(f"{layer}: {key} may not stand here: {meaning} cannot be steered", hint=f"take {key} out")
    for key, value in leaves(settings):
        if not _plain(value):
            raise ConfigError(f"{layer}: {key} is a {type(value).__name__}", hint='write it as text, in "…"')


def _plain(value: Any) -> bool:
    """Whether a value survives JSON."""
    if isinstance(value, list):
        return all(_plain(part) for part in value)
    if isinstance(value, dict):
        return all(_plain(part) for part in value.values())
    return value is None or isinstance(value, str | int | float | bool)


def _merge(into: dict[str, Any], said: Mapping[str, Any], at: str, layer: str, provenance: dict[str, str]) -> None:
    for key, value in said.items():
        dotted = child_key(at, key)
        known = into.get(key)
        if isinstance(value, dict) and isinstance(known, dict):
            if known or value:
                provenance.pop(dotted, None)
            _merge(known, value, dotted, layer, provenance)
            if not known:
                provenance[dotted] = layer
            continue
        for old in [name for name in provenance if name == dotted or name.startswith(f"{dotted}.")]:
            del provenance[old]
        if isinstance(value, dict) and value:
            into[key] = {}
            _merge(into[key], value, dotted, layer, provenance)
        else:
            into[key] = {} if isinstance(value, dict) else value
            provenance[dotted] = layer


def leaves(settings: Mapping[str, Any], at: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key and value of everything that is not a table, and of empty tables."""
    for key, value in settings.items():
        dotted = child_key(at, key)
        if isinstance(value, dict) and value:
            yield from leaves(value, dotted)
        else:
            yield dotted, value


# ---------------------------------------------------------------- which files are named


def _named(settings: Mapping[str, Any], files: Mapping[str, bytes]) -> Iterator[str]:
    """Any text that is the path of a file counts as naming it: one too many does no harm, one too few would."""
    found: set[str] = set()
    waiting = [(text, "") for text in _texts(settings)]
    while waiting:
        text, folder = waiting.pop()
        path = normpath(join(folder, text)) if text else ""
        if path in found or path not in files:
            continue
        found.add(path)
        yield path
        waiting += [(inner, dirname(path)) for inner in _texts(_document(path, files[path]))]


def _document(path: str, content: bytes) -> dict[str, Any]:
    if not path.endswith(".toml"):
        return {}
    try:
        return tomllib.loads(content.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError):
        return {}  # the trial says what is wrong with it


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)
