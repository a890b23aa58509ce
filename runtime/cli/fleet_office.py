"""What every command of `entrepot fleet` does first: read the folder, open the key if it signs, and reach the hub."""

from __future__ import annotations

import getpass
import socket
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from runtime.errors import ConfigError

if TYPE_CHECKING:
    from runtime.headquarters.folder import Folder
    from runtime.headquarters.office import Office
    from runtime.identity import Identity

T = TypeVar("T")


def folder_argument(parser: ArgumentParser) -> None:
    """--fleet."""
    parser.add_argument("--fleet", metavar="FOLDER", help="where fleet.toml lies (default: here, else in fleet/)")


def change_arguments(parser: ArgumentParser) -> None:
    """--fleet, --by, --ticket, --note: of everything that is signed."""
    folder_argument(parser)
    parser.add_argument("--by", help="who does it, for the audit (default: user@host)")
    parser.add_argument("--ticket", default="", help="under which ticket; signed and kept")
    parser.add_argument("--note", default="", help="why; signed and kept")


def region_arguments(parser: ArgumentParser) -> None:
    """Which regions."""
    parser.add_argument("regions", nargs="*", metavar="REGION", help="or group:NAME (default: all)")


def open_fleet(options: Namespace) -> Folder:
    """Raises `ConfigError` with the place."""
    from runtime.headquarters.folder import find_folder, open_folder

    return open_folder(find_folder(options.fleet))


def with_office(options: Namespace, task: Callable[[Office], Awaitable[T]], *, signs: bool = False) -> T:
    """Run `task` at the hub. Raises `ConfigError`, `Refused`, `Retryable`."""
    from runtime import plugins
    from runtime.cli.loop import run_async
    from runtime.config.load import convert
    from runtime.headquarters.folder import FILE
    from runtime.headquarters.office import Office

    folder = open_fleet(options)
    folder.pick([*getattr(options, "regions", []), *filter(None, [getattr(options, "region", None)])])
    key = release_key(folder) if signs else None
    hub = plugins.desk_hub()
    settings = convert(folder.settings.hub, hub.settings, where=str(folder.path / FILE), at="hub")

    async def work() -> T:
        async with hub.desk(settings, folder.scope()) as desk:
            return await task(Office(folder, desk, key, by=_who(options)))

    return run_async(work)


def release_key(folder: Folder) -> Identity:
    """This machine's key, which the fleet must trust. Raises `ConfigError`."""
    from runtime.headquarters.key import load

    key = load(folder.release_key)
    if key.public_key not in folder.release_keys:
        raise ConfigError(
            f"release_key: {folder.release_key} is not among the release_keys of fleet.toml",
            hint="add its public half there, and to [fleet] release_keys of every region, before it signs anything",
        )
    return key


def _who(options: Namespace) -> str:
    return getattr(options, "by", None) or f"{getpass.getuser()}@{socket.gethostname()}"


def agreed(options: Namespace, question: str) -> bool:
    """Whether a person wants it; a program must say --yes."""
    if options.yes:
        return True
    return not options.json and sys.stdin.isatty() and input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}


def pairs(given: list[str], option: str) -> dict[str, Any]:
    """`name=value`, where a value that is JSON counts as such. Raises `ConfigError`."""
    import json

    found: dict[str, Any] = {}
    for text in given:
        name, mark, value = text.partition("=")
        if not mark or not name:
            raise ConfigError(f"{option} takes NAME=VALUE, not {text!r}")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found
