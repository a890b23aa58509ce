"""`entrepot schema`: the canonical event types as JSON Schema 2020-12, with the residency class of every field."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path

from runtime.errors import ConfigError


def arguments(parser: ArgumentParser) -> None:
    """A type, or --out."""
    parser.add_argument("type", nargs="?", help="one type, such as order.created (default: list them)")
    parser.add_argument("--out", metavar="DIR", help="write one file a type into this folder")


def run(options: Namespace) -> int:
    """Raises `ConfigError` for an unknown type or a folder that cannot be written."""
    from runtime.canonical.registry import TYPES
    from runtime.canonical.schema import type_schema
    from runtime.cli import screen
    from runtime.nearest import nearest

    if options.type is not None and options.type not in TYPES:
        raise ConfigError(
            f"there is no event type {options.type!r}{nearest(options.type, TYPES)}",
            hint="`entrepot schema` lists them",
        )
    chosen = [options.type] if options.type else list(TYPES)
    if options.out:
        written = [str(_write(Path(options.out), name, type_schema(TYPES[name]))) for name in chosen]
        screen.show_json(written) if options.json else print(f"{len(written)} schemas written to {options.out}")
    elif options.type:
        screen.show_json(type_schema(TYPES[options.type]))
    elif options.json:
        screen.show_json({name: type_schema(TYPES[name]) for name in chosen})
    else:
        rows = [(name, f"v{TYPES[name].version}", TYPES[name].ce_type, TYPES[name].key_field) for name in chosen]
        screen.table(("type", "version", "ce-type", "key"), rows)
    return 0


def _write(folder: Path, name: str, document: object) -> Path:
    path = folder / f"{name}.schema.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=2) + "\n", "utf-8")
    except OSError as error:
        raise ConfigError(f"--out: {path} cannot be written ({error.strerror})") from None
    return path
