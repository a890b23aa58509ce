"""`entrepot schema`: event types and the files that people write as JSON Schema; the API and the hub's streams as documents."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import ConfigError

if TYPE_CHECKING:
    from runtime.config.model import Model


def arguments(parser: ArgumentParser) -> None:
    """A type, --mapping, --pack, --rendering, or --out."""
    parser.add_argument("type", nargs="?", help="one type, such as order.created (default: list them)")
    parser.add_argument(
        "--mapping", action="store_true", help="the schema of mapping files, for completion in an editor"
    )
    parser.add_argument("--pack", action="store_true", help="the schema of pack.toml")
    parser.add_argument("--rendering", action="store_true", help="the schema of rendering files, the way out")
    parser.add_argument("--openapi", action="store_true", help="the HTTP interface as OpenAPI 3.1")
    parser.add_argument(
        "--asyncapi",
        action="store_true",
        help="the streams at the hub as AsyncAPI 3.1; with --config FILE of its region",
    )
    parser.add_argument("--out", metavar="DIR", help="write one file a type into this folder")


def run(options: Namespace) -> int:
    """Raises `ConfigError` for an unknown type or a folder that cannot be written."""
    from runtime.canonical.registry import TYPES
    from runtime.canonical.schema import type_schema
    from runtime.cli import screen
    from runtime.nearest import nearest

    if options.openapi or options.asyncapi:
        return _interface(options)
    if options.mapping or options.pack or options.rendering:
        return _language(options)
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


def _interface(options: Namespace) -> int:
    """What others program against; a named configuration says which lanes there are and what is deprecated."""
    from runtime.asyncapi import asyncapi
    from runtime.cli import screen
    from runtime.gateway.api.openapi import openapi

    chosen = [name for name in ("openapi", "asyncapi") if getattr(options, name)]
    others = options.type is not None or options.mapping or options.pack or options.rendering
    if others or (len(chosen) > 1 and not options.out):
        raise ConfigError("--openapi and --asyncapi each show one document", hint="with --out DIR both are written")
    model = _model(options.config)
    made = {
        "openapi": openapi(model.api if model else None),
        "asyncapi": asyncapi(model.region, list(model.lanes)) if model else asyncapi(),
    }
    if not options.out:
        screen.show_json(made[chosen[0]])
        return 0
    written = [str(_write(Path(options.out), name, made[name], ".json")) for name in chosen]
    screen.show_json(written) if options.json else screen.say(", ".join(written), "ok")
    return 0


def _model(named: str | None) -> Model | None:
    from runtime.cli import places
    from runtime.config.load import convert, read_toml
    from runtime.config.model import Model

    if named is None:
        return None
    path = places.config_file(named)
    return convert(read_toml(path), Model, where=str(path))


def _language(options: Namespace) -> int:
    """The schemas of the files that people write."""
    from runtime.cli import screen
    from runtime.mapping.language import mapping_schema, pack_schema
    from runtime.rendering.language import rendering_schema

    all_of_them = {"mapping": mapping_schema, "pack": pack_schema, "rendering": rendering_schema}
    chosen = {name: make for name, make in all_of_them.items() if getattr(options, name)}
    if options.type is not None or (len(chosen) > 1 and not options.out):
        raise ConfigError(
            "--mapping, --pack and --rendering each show one schema",
            hint="with --out DIR all of them are written, without a type",
        )
    if not options.out:
        screen.show_json(next(iter(chosen.values()))())
        return 0
    written = [str(_write(Path(options.out), name, make())) for name, make in chosen.items()]
    if options.json:
        screen.show_json(written)
    else:
        for path in written:
            screen.say(f"{path}; the first line of the file that you write: #:schema {path}", "ok")
    return 0


def _write(folder: Path, name: str, document: object, ending: str = ".schema.json") -> Path:
    path = folder / f"{name}{ending}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=2) + "\n", "utf-8")
    except OSError as error:
        raise ConfigError(f"--out: {path} cannot be written ({error.strerror})") from None
    return path
