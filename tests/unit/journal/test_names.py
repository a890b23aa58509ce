"""Names get one number for ever, and a number that was rolled back is never remembered."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.journal.names import Names
from tests.support.kernel import Bench, configure


def test_a_name_keeps_its_number_and_kinds_do_not_mix(tmp_path: Path) -> None:
    bench = Bench(configure(tmp_path))
    names, connection = bench.journal.names, bench.connection
    first = names.id(connection, "source", "wms")
    assert names.known(first) == names.name(connection, first) == "wms"
    assert names.id(connection, "type", "wms") != first
    bench.restart()
    assert bench.journal.names.id(bench.connection, "source", "wms") == first
    bench.close()


def test_a_number_that_was_rolled_back_is_not_remembered(tmp_path: Path) -> None:
    bench = Bench(configure(tmp_path))
    names, connection = bench.journal.names, bench.connection
    connection.execute("BEGIN")
    lost = names.id(connection, "source", "new")
    connection.execute("ROLLBACK")
    other = names.id(connection, "source", "another")
    assert names.id(connection, "source", "new") != other
    assert names.name(connection, other) == "another"
    assert lost == other, "this test must reuse the number to prove anything"
    bench.close()


def test_a_name_that_was_never_given_has_no_number(tmp_path: Path) -> None:
    bench = Bench(configure(tmp_path))
    with pytest.raises(KeyError):
        Names().known(1)
    bench.close()
