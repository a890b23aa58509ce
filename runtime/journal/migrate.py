"""Brings a journal file to the schema of this program, one numbered step at a time, each in one transaction.

schema.sql is version 1; `migrations/0002-….sql` and so on follow. A newer file is refused, never guessed at.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from runtime.errors import Refused, StorageFailed

APPLICATION_ID = 0x456E7470
"""`Entp`: marks the file as a journal (PRAGMA application_id)."""


INSTRUCTIONS_BETWEEN_SIGNS = 100_000
"""Of SQLite's virtual machine: some milliseconds of work."""


def steps() -> list[tuple[int, str]]:
    """(version, script) in order; the first creates the schema."""
    folder = files("runtime.journal")
    later = sorted(f.name for f in folder.joinpath("migrations").iterdir() if f.name.endswith(".sql"))
    scripts = [(1, folder.joinpath("schema.sql").read_text("utf-8"))]
    scripts += [(int(name[:4]), folder.joinpath("migrations", name).read_text("utf-8")) for name in later]
    return scripts


def migrate(connection: sqlite3.Connection, progress: Callable[[], None] | None = None) -> int:
    """Apply the steps that are missing and return the version; `progress` is called again and again while they work.

    Raises `Refused` for a newer or a foreign file.
    """
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    application: int = connection.execute("PRAGMA application_id").fetchone()[0]
    tables: int = connection.execute("SELECT EXISTS (SELECT 1 FROM sqlite_master)").fetchone()[0]
    if (version or tables) and application != APPLICATION_ID:
        raise foreign()
    known = steps()
    if version > known[-1][0]:
        raise Refused(
            f"the journal has schema {version}, this program knows up to {known[-1][0]}",
            hint="install the program version that wrote it, or a newer one; nothing was changed",
        )
    if progress is not None:
        connection.set_progress_handler(progress, INSTRUCTIONS_BETWEEN_SIGNS)
    for number, script in known:
        if number > version:
            _apply(connection, number, script)
    if progress is not None:
        connection.set_progress_handler(None, 0)
    return known[-1][0]


def foreign(path: Path | None = None) -> Refused:
    """The refusal of a database that is somebody else's."""
    return Refused(
        f"{path or 'the file in data_dir'} is not a journal of Entrepot, but a database of something else",
        hint="point data_dir to this region's own folder, or to an empty one; nothing was changed",
    )


def _apply(connection: sqlite3.Connection, number: int, script: str) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in _statements(script):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if getattr(error, "sqlite_errorname", "") == "SQLITE_FULL":
            raise
        raise StorageFailed(f"migration {number} of the journal failed: {error}") from error


def _statements(script: str) -> list[str]:
    found: list[str] = []
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            found.append(pending)
            pending = ""
    return found
