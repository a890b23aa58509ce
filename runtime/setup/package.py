"""Writes the package of a new adapter from the texts in `adapter/`; they are what the conformance suite is run on."""

from __future__ import annotations

import keyword
import re
from importlib.resources import files
from pathlib import Path

from runtime import plugins
from runtime.errors import ConfigError

_FILES = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "__init__.py": "entrepot_@NAME@/__init__.py",
    "settings.py": "entrepot_@NAME@/settings.py",
    "adapter.py": "entrepot_@NAME@/adapter.py",
    "translate.py": "entrepot_@NAME@/translate.py",
    "test_adapter.py": "tests/test_adapter.py",
    "test_translate.py": "tests/test_translate.py",
}
"""Name of the text → where it goes."""


def write_package(name: str, folder: Path) -> list[str]:
    """The files written, relative to the folder. Raises `ConfigError` for the name, `OSError`; touches nothing that exists."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name) or keyword.iskeyword(name):
        raise ConfigError(
            f"{name[:60]!r} cannot be the name of an adapter", hint="small letters, digits and _, such as acme_wms"
        )
    if name in plugins.names(plugins.ADAPTERS):
        raise ConfigError(f"there is an adapter {name!r} already", hint="choose a name of your own")
    texts = files("runtime.setup") / "adapter"
    folder.mkdir(parents=True)
    written: list[str] = []
    for source, target in _FILES.items():
        path = folder / _named(target, name)
        path.parent.mkdir(exist_ok=True)
        path.write_text(_named((texts / f"{source}.txt").read_text("utf-8"), name), "utf-8")
        written.append(str(path.relative_to(folder)))
    return written


def _named(text: str, name: str) -> str:
    return text.replace("@NAME@", name).replace("@DASHED@", name.replace("_", "-"))
