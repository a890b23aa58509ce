"""Reads the fleet's folder: fleet.toml, the layers, and who is enrolled. Blocking; writes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from msgspec import Struct

from runtime.config.load import convert, read_toml
from runtime.errors import ConfigError, Permanent
from runtime.fleet.layers import Layer, Rendered, render
from runtime.fleet.rollout import Freeze
from runtime.headquarters.settings import FleetFile, FreezeSettings
from runtime.identity import parse_public_key
from runtime.nearest import nearest
from runtime.ports import Scope
from runtime.vault import Vault

FILE = "fleet.toml"
CONFIG = "entrepot.toml"
LOCAL = "local.toml"
"""What the region's own file says beyond, as far as headquarters must know it for the trial; never sent."""
GOLDEN = "golden"
ENROLLED = "enrolled"
REGION = "hq"
FILE_BYTES_MAX = 900_000
"""Of one file of a layer: it travels as one message, and the hub's default limit is 1 MiB."""
FILES_MAX = 500
"""Of one layer."""


class Folder(Struct, frozen=True, kw_only=True):
    """fleet.toml, checked, and where it lies."""

    path: Path
    settings: FleetFile
    release_keys: list[bytes]
    region_keys: dict[str, bytes]
    """With what each enrolled agent signs."""
    freezes: list[Freeze]

    @property
    def release_key(self) -> Path:
        """This machine's private key."""
        return self.path / self.settings.release_key

    def scope(self) -> Scope:
        """Who headquarters is towards the hub."""
        secrets = self.settings.secrets.dir
        vault = Vault(self.path / secrets if secrets else None)
        return Scope(
            region=REGION, environment=self.settings.environment, directory=str(self.path), secret=vault.secret
        )

    def pick(self, names: list[str]) -> list[str]:
        """These regions, or all, in the order of the file; `group:NAME` stands for its members. Raises `ConfigError`."""
        known = self.settings.regions
        wanted: set[str] = set()
        for name in names:
            group = name.removeprefix("group:")
            if group != name:
                if group not in self.settings.groups:
                    raise ConfigError(f"there is no group {group!r}{nearest(group, self.settings.groups)}")
                wanted |= {region for region, one in known.items() if group in one.groups}
            elif name not in known:
                raise ConfigError(f"fleet.toml has no region {name!r}{nearest(name, known)}")
            else:
                wanted.add(name)
        return [region for region in known if region in wanted or not names]

    def render(self, region: str) -> Rendered:
        """All layers of one region. Raises `ConfigError`."""
        return render(self.layers(region))

    def layers(self, region: str) -> list[Layer]:
        """From base to agent; a folder that is not there says nothing. Raises `ConfigError`."""
        one = self.settings.regions[region]
        folders = [("base", "base")]
        folders += [(f"group/{group}", f"groups/{group}") for group in one.groups]
        folders += [(f"region/{one.part_of or region}", f"regions/{one.part_of or region}")]
        folders += [(f"agent/{region}", f"agents/{region}")]
        return [_layer(name, self.path / folder) for name, folder in folders if (self.path / folder).is_dir()]

    def local(self, region: str) -> dict[str, object]:
        """What the region's own file says, as far as headquarters knows. Raises `ConfigError`."""
        for folder in (f"agents/{region}", f"regions/{region}"):
            path = self.path / folder / LOCAL
            if path.is_file():
                return read_toml(path)
        return {}


def find_folder(named: str | None) -> Path:
    """The folder that was named, this one, or `fleet` in this one. Raises `ConfigError`."""
    if named is not None:
        path = Path(named)
        return path.parent if path.name == FILE else path
    for path in (Path(), Path("fleet")):
        if (path / FILE).is_file():
            return path
    raise ConfigError(
        f"there is no {FILE}, neither here nor in {Path('fleet').absolute()}",
        hint="name its folder with --fleet FOLDER; docs/fleet.md shows what stands in it",
    )


def open_folder(path: Path) -> Folder:
    """Read and check fleet.toml. Raises `ConfigError` with the place."""
    file = path / FILE
    settings = convert(read_toml(file), FleetFile, where=str(file))
    if not settings.regions:
        raise ConfigError(f"{file}: there is no region", hint="add [regions.NAME] with its jurisdiction")
    for region, one in settings.regions.items():
        for group in one.groups:
            _known(group, settings, f"{file}: regions.{region}.groups")
    keys = [_key(text, f"{file}: release_keys[{index}]") for index, text in enumerate(settings.release_keys)]
    freezes = [_freeze(one, settings, f"{file}: freeze[{index}]") for index, one in enumerate(settings.freeze)]
    return Folder(
        path=path, settings=settings, release_keys=keys, region_keys=dict(_region_keys(path, settings)), freezes=freezes
    )


def _region_keys(path: Path, settings: FleetFile) -> Iterator[tuple[str, bytes]]:
    for region, one in settings.regions.items():
        file = path / ENROLLED / f"{region}.pub"
        if one.public_key:
            yield region, _key(one.public_key, f"{path / FILE}: regions.{region}.public_key")
        elif file.is_file():
            yield region, _key(file.read_text("ascii", "replace"), str(file))


def _known(group: str, settings: FleetFile, where: str) -> None:
    if group not in settings.groups:
        raise ConfigError(f"{where}: there is no group {group!r}{nearest(group, settings.groups)}")


def _key(text: str, where: str) -> bytes:
    try:
        return parse_public_key(text)
    except Permanent as error:
        raise ConfigError(
            f"{where}: {error}", hint="`entrepot fleet keygen` and `entrepot init` show public keys"
        ) from None


def _freeze(one: FreezeSettings, settings: FleetFile, where: str) -> Freeze:
    since, until = _instant(one.since, f"{where}.from"), _instant(one.until, f"{where}.until")
    if until <= since:
        raise ConfigError(f"{where}: until {one.until} lies before from {one.since}")
    for group in one.groups:
        _known(group, settings, f"{where}.groups")
    for region in one.regions:
        if region not in settings.regions:
            raise ConfigError(f"{where}.regions: there is no region {region!r}{nearest(region, settings.regions)}")
    members = {region for region, its in settings.regions.items() if set(one.groups) & set(its.groups)}
    if (one.groups or one.regions) and not (members or one.regions):
        raise ConfigError(f"{where}: no region is in {', '.join(one.groups)}, so it would hold nobody")
    return Freeze(
        since_us=since, until_us=until, reason=one.reason, regions=frozenset({*one.regions, *members}), until=one.until
    )


def _instant(text: str, where: str) -> int:
    """Microseconds since 1970."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise ConfigError(f"{where}: {text!r} is no instant with offset", hint='such as "2026-12-01T00:00:00+01:00"')
    return int(found.timestamp() * 1_000_000)


def _layer(name: str, folder: Path) -> Layer:
    files: dict[str, bytes] = {}
    golden: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in relative.parts)
        if not path.is_file() or hidden or relative.as_posix() in {CONFIG, LOCAL}:
            continue
        into = golden if GOLDEN in relative.parts[:-1] else files
        into[relative.as_posix()] = _content(path)
        if len(files) + len(golden) > FILES_MAX:
            raise ConfigError(f"{folder} has more than {FILES_MAX} files")
    config = folder / CONFIG
    return Layer(name=name, settings=read_toml(config) if config.is_file() else {}, files=files, golden=golden)


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(FILE_BYTES_MAX + 1)
    if len(content) > FILE_BYTES_MAX:
        raise ConfigError(f"{path} is larger than {FILE_BYTES_MAX} bytes", hint="split it, or keep it in the region")
    return content
