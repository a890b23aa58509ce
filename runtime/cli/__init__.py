"""The command `entrepot`: one file a verb. Importing this loads nothing heavy, so that `entrepot --help` is quick."""

from __future__ import annotations

from runtime.cli.entry import main

__all__ = ["main"]
