"""Reads a rendering from its file, with the tables beside it. Blocking."""

from __future__ import annotations

from pathlib import Path

from runtime.errors import ConfigError
from runtime.rendering import Rendering, load

REGION = "region:"
"""Before the name of a table file that lies beside entrepot.toml."""


def read_rendering(name: str, directory: str) -> Rendering:
    """`name` is relative to `directory`, where entrepot.toml lies. Raises `ConfigError`."""
    path = Path(directory) / name
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeError) as error:
        raise ConfigError(
            f"rendering: {name} cannot be read ({type(error).__name__})",
            hint="write it beside entrepot.toml, as docs/targets.md shows",
        ) from None

    def table(file: str) -> str:
        folder = Path(directory) if file.startswith(REGION) else path.parent
        return (folder / file.removeprefix(REGION)).read_text("utf-8")

    return load(text, name, table)
