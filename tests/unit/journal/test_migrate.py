"""schema.sql is the sum of the migrations, and a step is made whole or not at all."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from runtime.errors import Refused, StorageFailed
from runtime.journal import migrate
from runtime.journal.migrate import APPLICATION_ID


def connect(file: Path | str = ":memory:") -> sqlite3.Connection:
    return sqlite3.connect(file, isolation_level=None)


def schema(connection: sqlite3.Connection) -> list[tuple[str, ...]]:
    return connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name").fetchall()


def test_the_steps_are_numbered_from_one_without_a_gap() -> None:
    numbers = [number for number, _ in migrate.steps()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_new_journal_has_every_statement_of_the_schema() -> None:
    """A statement that the splitter loses would be lost in silence."""
    whole, stepped = connect(), connect()
    for _, script in migrate.steps():
        whole.executescript(script)
    assert migrate.migrate(stepped) == migrate.steps()[-1][0]
    assert schema(stepped) == schema(whole) != []
    assert stepped.execute("SELECT count(*) FROM books").fetchone() == (1,)
    assert stepped.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    whole.close()
    stepped.close()


def test_a_later_step_is_added_to_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = connect()
    migrate.migrate(connection)
    connection.execute("INSERT INTO meta VALUES ('mine', 1)")
    following = migrate.steps()[-1][0] + 1
    extended = [*migrate.steps(), (following, "CREATE TABLE later (x);\nALTER TABLE later ADD COLUMN y;\n")]
    monkeypatch.setattr(migrate, "steps", lambda: extended)
    assert migrate.migrate(connection) == following
    assert migrate.migrate(connection) == following, "a step must not be made twice"
    assert connection.execute("SELECT value FROM meta WHERE name = 'mine'").fetchone() == (1,)
    assert connection.execute("SELECT y FROM later").fetchall() == []
    connection.close()


def test_a_step_that_fails_leaves_the_version_before(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = connect()
    migrate.migrate(connection)
    before = schema(connection)
    newest = migrate.steps()[-1][0]
    broken = [*migrate.steps(), (newest + 1, "CREATE TABLE later (x);\nCREATE TABLE meta (x);\n")]
    monkeypatch.setattr(migrate, "steps", lambda: broken)
    with pytest.raises(StorageFailed, match=f"migration {newest + 1}"):
        migrate.migrate(connection)
    assert schema(connection) == before
    assert connection.execute("PRAGMA user_version").fetchone() == (newest,)
    assert not connection.in_transaction
    connection.close()


def test_the_second_step_counts_the_open_letters_that_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    connection, every = connect(), migrate.steps()
    monkeypatch.setattr(migrate, "steps", lambda: every[:1])
    migrate.migrate(connection)
    letters = [(1, 7, "open"), (2, 7, "open"), (3, 8, "open"), (4, 8, "draining"), (5, 9, "discarded")]
    connection.executemany("INSERT INTO letters VALUES (?1, ?1, ?2, ?3, '', '', '', '', 1, 0, 0, NULL)", letters)
    monkeypatch.setattr(migrate, "steps", lambda: every[:2])
    migrate.migrate(connection)
    assert connection.execute("SELECT source, count FROM letters_open").fetchall() == [(7, 2), (8, 1)]
    connection.close()


def test_a_long_step_gives_signs_of_progress_and_later_work_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    connection, signs = connect(), list[None]()
    migrate.migrate(connection)
    work = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) SELECT i FROM n"
    known = migrate.steps()
    monkeypatch.setattr(migrate, "steps", lambda: [*known, (known[-1][0] + 1, f"CREATE TABLE later AS {work};\n")])
    migrate.migrate(connection, lambda: signs.append(None))
    assert len(signs) > 5
    signs.clear()
    connection.execute(work).fetchall()
    assert signs == []
    connection.close()


@pytest.mark.parametrize("statement", ["PRAGMA user_version = 1", "CREATE TABLE theirs (x)"])
def test_a_foreign_file_is_refused(statement: str) -> None:
    connection = connect()
    connection.execute(statement)
    with pytest.raises(Refused, match="not a journal"):
        migrate.migrate(connection)
    connection.close()
