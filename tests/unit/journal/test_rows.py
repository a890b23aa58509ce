"""Rows written by few statements are the same rows in the same order, whatever their number."""

from __future__ import annotations

import sqlite3

import pytest

from runtime.journal import rows
from runtime.journal.rows import CHUNK


@pytest.mark.parametrize("count", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 7])
def test_every_row_arrives_once_in_order(count: int) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE pairs (a, b)")
    wanted = [(n, f"text {n}") for n in range(count)]
    rows.insert(connection, "pairs (a, b)", 2, wanted)
    assert connection.execute("SELECT a, b FROM pairs ORDER BY rowid").fetchall() == wanted
    connection.close()


def test_the_widest_rows_stay_below_the_limit_of_parameters() -> None:
    connection = sqlite3.connect(":memory:")
    assert connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER) > CHUNK * 12
    connection.close()
