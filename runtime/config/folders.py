"""Folders that sources and targets take files from or put them into: each has one user, and none is the agent's own. Pure but for links."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from runtime.errors import ConfigError

_OURS = ("identity", "fleet")
"""Folders in `data_dir` that hold keys and revisions."""


def folders_of(parts: Mapping[str, Mapping[str, Any]], directory: Path) -> Iterator[tuple[str, Path]]:
    """(part, folder) as its adapter names them. `parts`: `sources` and `targets` by name, each with adapter and settings."""
    for kind, configured in parts.items():
        for name, part in configured.items():
            named = getattr(part.adapter, "folders", None)
            for folder in named(part.settings) if named is not None else ():
                yield f"{kind}.{name}", directory / folder


def claim(data_dir: Path, folders: Iterable[tuple[str, Path]]) -> None:
    """Raises `ConfigError` for a folder with two users, and for one where the journal lies."""
    own, users = data_dir.resolve(), dict[Path, str]()
    for part, folder in folders:
        place = folder.resolve()
        if place == own or any(place.is_relative_to(own / name) for name in _OURS):
            raise ConfigError(
                f"{part}.path: {folder} is where the agent keeps its journal, keys or revisions",
                hint="name a folder of its own; it may lie beside them",
            )
        other = users.setdefault(place, part)
        if other != part:
            raise ConfigError(
                f"{part}.path: {folder} is the folder of {other} already: each would take what belongs to the other",
                hint="give each a folder of its own",
            )
