"""pack.toml as checked rules: what a platform sends, how each message is known, and which mapping it goes to.

Promises: what passes here can be compiled; what does not is one `ConfigError` sentence with the key path.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import NoReturn

import msgspec
from msgspec import Struct

from runtime.mapping.decode import FORMATS
from runtime.mapping.document import Frame, XmlRules, read_headers, read_paths
from runtime.mapping.faults import Spot
from runtime.mapping.paths import Path
from runtime.mapping.tables import REGION

MESSAGES_MAX = 300


class Platform(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person must know and do at the platform's side."""

    adapter: str = "webhook"
    scheme: str = ""
    """Name of the signature scheme for `auth`; empty: the platform signs nothing."""
    tell: list[str] = []
    """What to enter at the platform, step by step."""
    quirks: list[str] = []
    """What the platform does that one would not expect, and what becomes of it."""
    follow: str = ""
    """For a platform whose messages are hints: lines of entrepot.toml that ask for the rest."""
    source: str = ""
    """Where the platform documents its messages."""


class PackOption(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[options.NAME]`: something that only the region knows."""

    says: str
    default: str | None = None
    required: bool = False
    choices: list[str] = []
    column: bool = False
    """The value is the name of a column or key, taken as it stands: dots in it are no path."""
    table: bool = False
    """The value is the name of a table file of the region, beside entrepot.toml; without one the table is empty."""


class PackMessage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[messages]]`: one kind of message. A mapping translates it, or it is ignored, or a person must see it."""

    name: str
    """As the platform calls it, and as the type field or header says it."""
    mapping: str = ""
    ignore: str = ""
    """Why it says nothing that anybody waits for."""
    letter: str = ""
    """Why it cannot be translated and still must not pass unseen."""
    also: list[str] = []
    """Other spellings of the type."""
    shape: str = ""
    """An expression that holds for a message of this kind that does not say its type."""
    says: str = ""


class Manifest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """pack.toml."""

    pack: str
    title: str
    version: int
    summary: str
    headers: list[str] = []
    key: str | list[str] = []
    """Idempotency key: a path, or several."""
    type: str | list[str] = []
    """Where the kind of the message stands: the first of these paths that has a value."""
    format: str = "json"
    """json, xml or jws; a content type that says XML or JWS outranks json."""
    xml: XmlRules = XmlRules()
    unwrap: list[str] = []
    """Where some senders put a message, or a list of them: keys, or paths of keys."""
    platform: Platform = Platform()
    options: dict[str, PackOption] = {}
    messages: list[PackMessage]


class PackRules(Struct, frozen=True, kw_only=True):
    """A checked manifest with its paths read."""

    spot: Spot
    manifest: Manifest
    headers: tuple[str, ...]
    key: tuple[Path, ...]
    type: tuple[Path, ...]
    unwrap: tuple[Path, ...]
    names: dict[str, str]
    """Spelling in small letters → name of the message."""
    options: dict[str, str | None]

    def frame(self, mapping: str) -> Frame:
        """What the mappings of this pack get."""
        given = tuple(message.name for message in self.manifest.messages if message.mapping == mapping)
        return Frame(headers=self.headers, messages=given, options=self.options)


def read_manifest(text: str, file: str, options: Mapping[str, str]) -> PackRules:
    """Parse and check. `options`: what the region says. Raises `ConfigError`."""
    spot = Spot(file)
    try:
        tree = tomllib.loads(text)
        manifest = msgspec.convert(tree, Manifest)
    except tomllib.TOMLDecodeError as error:
        spot.fail(f"not valid TOML: {error}")
    except msgspec.ValidationError as error:
        _refuse(error, Spot(file, text=text))
    spot = Spot(file, text=text)
    if not 1 <= len(manifest.messages) <= MESSAGES_MAX:
        spot.child("messages").fail(f"a pack has 1 to {MESSAGES_MAX} [[messages]]")
    if manifest.format not in FORMATS[:3]:
        spot.child("format").fail(f'"{manifest.format}" is not possible', given=manifest.format, choices=FORMATS[:3])
    return PackRules(
        spot=spot,
        manifest=manifest,
        headers=read_headers(tree, spot),
        key=read_paths(tree, "key", spot),
        type=read_paths(tree, "type", spot),
        unwrap=read_paths(tree, "unwrap", spot),
        names=_names(manifest, spot.child("messages")),
        options=_options(manifest, options, spot.child("options")),
    )


def _refuse(error: msgspec.ValidationError, spot: Spot) -> NoReturn:
    """msgspec's sentence, at the key that it means."""
    problem, _, path = str(error).partition(" - at `")
    for name, index in re.findall(r"\.([^.\[\]`]+)|\[([0-9]+)\]", path):
        spot = spot.item(int(index)) if index else spot.child(name)
    unknown = re.fullmatch(r"Object contains unknown field `(.*)`", problem)
    if unknown:
        spot.child(unknown[1]).fail("there is no such key")
    spot.fail(problem)


def _names(manifest: Manifest, spot: Spot) -> dict[str, str]:
    names: dict[str, str] = {}
    for at, message in enumerate(manifest.messages):
        if [bool(message.mapping), bool(message.ignore), bool(message.letter)].count(True) != 1:
            spot.item(at).fail('a message has one of mapping = "…", ignore = "the reason" and letter = "the reason"')
        for spelling in (message.name, *message.also):
            if names.setdefault(spelling.casefold(), message.name) != message.name:
                spot.item(at).fail(f'"{spelling}" stands for two messages')
    return names


def _options(manifest: Manifest, given: Mapping[str, str], spot: Spot) -> dict[str, str | None]:
    for name in given:
        if name not in manifest.options:
            spot.child(name).fail("the pack has no such option", given=name, choices=manifest.options)
    chosen: dict[str, str | None] = {}
    for name, option in manifest.options.items():
        value = given.get(name, option.default)
        if value is None and option.required:
            spot.child(name).fail(f"must be set: {option.says}")
        if value is not None and option.choices and value not in option.choices:
            spot.child(name).fail(f'"{value}" is not possible', given=value, choices=option.choices)
        if option.table:
            value = REGION + (value or "")
        chosen[name] = _quoted(value) if option.column and value is not None else value
    return chosen


def _quoted(key: str) -> str:
    return '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'
