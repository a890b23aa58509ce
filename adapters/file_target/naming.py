"""What a file is called: from a template, and never anything that a folder or a shell could take amiss. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from runtime.errors import ConfigError
from runtime.rendering import Template, compile_template

NAME_BYTES_MAX = 200
"""File systems allow 255; what is added while a file is prepared must fit."""
OWN = "delivery.id"
BATCH_OWN = "batch.id"
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
_FIXED = re.compile(r"[A-Za-z0-9._ +@,-]*")


class Naming:
    """The names of one target's files."""

    def __init__(self, text: str, *, own: str, overwrite: bool) -> None:
        """`own`: the expression that tells files apart. Raises `ConfigError`."""
        self._template: Template = compile_template(text, "name")
        if own not in self._template.holes and not overwrite:
            raise ConfigError(
                f'name "{text}" does not hold {{{own}}}: two files could have the same name',
                hint=f"write for example {{{own}}}.csv, or say overwrite = true if a later file replaces an earlier one",
            )
        if not _FIXED.fullmatch(self._template.fixed) or self._template.fixed.startswith(" "):
            raise ConfigError(f'name "{text}" holds signs that no file name should have', hint="letters, digits, . - _")
        self.tellable = all(
            hole.startswith(("delivery.id", "delivery.region", "batch.")) for hole in self._template.holes
        )
        """Whether a name says nothing about the business."""

    def name(self, tree: Mapping[str, Any]) -> str:
        """Raises `Permanent` for an event without a value that the name needs."""
        found = self._template.fill(tree, quote=lambda text: _UNSAFE.sub("_", text))
        if found.startswith("."):
            found = "_" + found[1:]
        return found if len(found) <= NAME_BYTES_MAX else _shortened(found)


def _shortened(name: str) -> str:
    stem, dot, ending = name.rpartition(".")
    tail = f"~{sha256(name.encode()).hexdigest()[:16]}" + (dot + ending if stem and len(ending) <= 16 else "")
    return name[: NAME_BYTES_MAX - len(tail)] + tail


def usual(own: str, ending: str) -> str:
    """The template of a target that names none."""
    return f"{{{own}}}.{ending}" if own == OWN else f"{{batch.time}}-{{{own}}}.{ending}"
