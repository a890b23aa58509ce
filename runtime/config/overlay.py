"""What headquarters says on top of the local entrepot.toml: keys that replace the local ones, files that go before them. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct


class Overlay(Struct, frozen=True, kw_only=True):
    """One revision as `load_configuration` needs it."""

    version: int
    settings: dict[str, Any]
    """As nested tables. A null takes a key of the local file away (as in RFC 7396)."""
    files: dict[str, Path] = {}
    """Relative path, as the settings name it → where its content lies."""
    provenance: dict[str, str] = {}
    """Dotted key → the layer of headquarters that said it."""

    def place(self, relative: str) -> Path | None:
        """Where a file of this revision lies; None: it has none of this name."""
        return self.files.get(posixpath.normpath(relative))


def merged(local: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """Tables are merged key by key; everything else is replaced as a whole, lists too (RFC 7396)."""
    found = dict(local)
    for key, value in said.items():
        if value is None:
            found.pop(key, None)
        elif isinstance(value, dict):
            before = found.get(key)
            found[key] = merged(before if isinstance(before, dict) else {}, value)
        else:
            found[key] = value
    return found


class Reach:
    """Which local files and folders a revision may have read."""

    def __init__(self, directory: Path, local: Mapping[str, Any], steered: Mapping[str, Any]) -> None:
        """`local` and `steered`: entrepot.toml as it is, and with the revision on top."""
        self._directory = directory
        self._local = local
        self._named = set(_named_files(local))
        said = [*_private(local), *_private(steered)]
        self._private = [Path(posixpath.normpath(directory / name)) for name in said]

    def covers(self, relative: str, mapping: str | None) -> bool:
        """What the local file names itself, or a table of such a `mapping`; else only plain files beside entrepot.toml."""
        if (mapping or relative) in self._named:
            return True
        path = Path(posixpath.normpath(self._directory / relative))
        return path.is_relative_to(self._directory) and not any(path.is_relative_to(p) for p in self._private)

    def exposes(self, part: str, name: str, settings: Mapping[str, Any]) -> str:
        """The key by which a source or target would reach where secrets, keys or the journal lie; empty when none does.

        What the local file says of it itself is the region's own business. `part`: `sources` or `targets`.
        """
        own = _table(_table(self._local, part), name)
        for key, value in settings.items():
            if not isinstance(value, str) or value == own.get(key):
                continue
            path = Path(posixpath.normpath(self._directory / value))
            if any(path.is_relative_to(place) or place.is_relative_to(path) for place in self._private):
                return key
        return ""


def _named_files(raw: Mapping[str, Any]) -> Iterator[str]:
    yield _text(raw, "residency", "policy")
    for source in _table(raw, "sources").values():
        if isinstance(source, dict):
            yield _text(source, "mapping")
            yield _text(source, "schema")
            yield from (value for value in _table(source, "options").values() if isinstance(value, str))


def _private(raw: Mapping[str, Any]) -> Iterator[str]:
    """Folders and files with secrets; an empty name is none of them."""
    places = [("data_dir",), ("secrets", "dir"), ("gateway", "tls", "key")]
    places += [("hub", key) for key in ("credentials", "nkey", "tls_key")]
    names = (_text(raw, *place) or ("state" if place == ("data_dir",) else "") for place in places)
    yield from (name for name in names if name and "://" not in name)


def _table(raw: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = raw.get(key)
    return found if isinstance(found, dict) else {}


def _text(raw: Mapping[str, Any], *place: str) -> str:
    for key in place[:-1]:
        raw = _table(raw, key)
    found = raw.get(place[-1], "")
    return found if isinstance(found, str) else ""
