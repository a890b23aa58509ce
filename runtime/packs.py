"""Mapping packs that are installed: folders with a pack.toml, found through entry points like everything foreign."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable

from runtime import plugins
from runtime.errors import ConfigError
from runtime.mapping.pack import FILE, CompiledPack, load_pack
from runtime.mapping.tables import Read

FILE_BYTES_MAX = 4_000_000


def names() -> list[str]:
    """Every installed pack, sorted."""
    return plugins.names(plugins.PACKS)


def load(
    name: str, options: Mapping[str, str] | None = None, *, where: str = "packs", read_region: Read | None = None
) -> CompiledPack:
    """Compile an installed pack. `where` names who asks; `read_region` reads a table of the region. Raises `ConfigError`."""
    folder = files(plugins.pack(name, where=where))
    try:
        return load_pack(lambda file: _read(folder, file), f"{name}/{FILE}", options, read_region)
    except FileNotFoundError:
        raise ConfigError(
            f"{where}: the pack {name!r} has no {FILE}", hint="reinstall the package that provides it"
        ) from None
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}", hint=error.hint) from None


def _read(folder: Traversable, name: str) -> str:
    with folder.joinpath(name).open("rb") as file:
        content = file.read(FILE_BYTES_MAX + 1)
    if len(content) > FILE_BYTES_MAX:
        raise ConfigError(f"{name} is larger than {FILE_BYTES_MAX} bytes")
    return content.decode("utf-8")
