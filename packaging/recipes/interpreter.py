"""The private CPython of the self-contained packages."""

from __future__ import annotations

from pathlib import Path

from recipes.targets import Target


def build(target: Target, folder: Path) -> None:
    raise SystemExit("not yet")
