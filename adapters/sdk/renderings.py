"""Reads a rendering from its file, with the tables beside it. Blocking."""

from __future__ import annotations

from pathlib import Path

from runtime.errors import ConfigError
from runtime.rendering import Rendering, load

REGION = "region:"
"""Before the name of a table file that lies beside entrepot.toml."""


def read_rendering(name: str, directory: str) -> Rendering:
    """`name` is relative to `directory`, where entrepot.toml lies. Raises `ConfigError`."""
    return _read(name, directory)[0]


def rendering_files(name: str, directory: str) -> list[str]:
    """The rendering and the tables that it names: when one of them changes, the target does. Raises `ConfigError`."""
    return _read(name, directory)[1] if name else []


def _read(name: str, directory: str) -> tuple[Rendering, list[str]]:
    path = Path(directory) / name
    files = [str(path)]
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeError) as error:
        raise ConfigError(
            f"rendering: {name} cannot be read ({getattr(error, 'strerror', None) or type(error).__name__})",
            hint="write it beside entrepot.toml, as docs/targets.md shows",
        ) from None

    def table(file: str) -> str:
        folder = Path(directory) if file.startswith(REGION) else path.parent
        files.append(str(folder / file.removeprefix(REGION)))
        return Path(files[-1]).read_text("utf-8")

    return load(text, name, table), files
