"""`entrepot adapter new`: the package of an adapter, ready to be installed and to pass the conformance suite."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from runtime.errors import ConfigError


def arguments(parser: ArgumentParser) -> None:
    """new NAME."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    new = actions.add_parser("new", help="write a package: settings, adapter, translator, tests")
    new.add_argument("name", metavar="NAME", help="of the adapter: small letters, digits and _, such as acme_wms")
    new.add_argument("--to", metavar="DIR", help="the folder to make (default: ./entrepot-NAME)")


def run(options: Namespace) -> int:
    """Raises `ConfigError` for a name that cannot be one, or a folder that exists."""
    from runtime.cli import screen
    from runtime.setup.package import write_package

    folder = Path(options.to or f"entrepot-{options.name.replace('_', '-')}")
    try:
        files = write_package(options.name, folder)
    except FileExistsError:
        raise ConfigError(f"{folder} exists and is not touched", hint="name another folder with --to") from None
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written ({error.strerror})") from None
    if options.json:
        screen.show_json({"name": options.name, "folder": str(folder), "files": files})
        return 0
    screen.say(f"{folder}: {len(files)} files", "ok")
    for file in files:
        screen.say(f"  {file}")
    screen.say(f"  next: pip install {folder}, then pytest in it, then change translate.py to what your platform sends")
    return 0
