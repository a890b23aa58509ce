"""A repair keeps who may call and what was decided about it, and lets nobody in who was not let in before."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from runtime.access.denial import Denied
from runtime.access.keys import RANDOM_BYTES, new_key
from runtime.access.registry import CallerRow, Credential, Registry, Roll
from runtime.access.settings import CallerLimits
from runtime.journal import access_log, callers
from runtime.salvage.repair import Owner, repair
from runtime.salvage.report import Report
from tests.support.kernel import Bench, configure, message

KEY, GONE = new_key(bytes(RANDOM_BYTES)), new_key(bytes(range(RANDOM_BYTES)))


def damaged(home: Path, damage: Callable[[sqlite3.Connection], object]) -> tuple[Report, Roll, list[str]]:
    """A journal with two callers, one of them revoked, is damaged and repaired: the report, and what is there then."""
    bench = Bench(configure(home), durable=False)
    bench.accept(message(key="k"))
    for name, key, revoked in (("wms", KEY, None), ("old", GONE, 5)):
        row = CallerRow(name=name, grants=["source:wms:write"], limits=CallerLimits(), created_us=1, revoked_us=revoked)
        callers.put(bench.connection, row)
        credential = Credential(id=key.id, caller=name, kind="key", digest=key.digest, created_us=1, revoked_us=revoked)
        callers.add(bench.connection, credential)
        access_log.append(bench.connection, [{"event": "granted", "caller": name}])
    public_key = bench.kernel.identity.public_key
    damage(bench.connection)
    bench.close()
    owner = Owner(region="eu-de", environment="test", lanes=["realtime", "bulk"], key_seconds=9, public_key=public_key)
    report = repair(home / "state", owner, confirm=True)
    with closing(sqlite3.connect(home / "state" / "journal.db")) as mended:
        return report, callers.everything(mended), [row[1] for row in access_log.page(mended, after=0, rows_max=99)]


def test_callers_come_through_and_revoked_ones_stay_out(tmp_path: Path) -> None:
    _, roll, entries = damaged(tmp_path, lambda _: None)
    registry = Registry(roll, {})
    assert registry.by_key(KEY.text, 9).may(("source", "wms", "write"))
    with pytest.raises(Denied):
        registry.by_key(GONE.text, 9)
    assert [entry.partition('"event":')[2][:9] for entry in entries] == ['"granted"', '"granted"', '"repaired']


def test_a_log_that_was_changed_is_kept_up_to_the_change(tmp_path: Path) -> None:
    def change(connection: sqlite3.Connection) -> None:
        connection.execute("DROP TRIGGER access_log_is_not_changed")
        connection.execute("UPDATE access_log SET entry = '{}' WHERE number = 2")

    report, _, entries = damaged(tmp_path, change)
    assert len(entries) == 2
    assert "the access log is proven up to entry 1; what followed was left behind" in report.notes


def test_a_caller_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    _, roll, _ = damaged(
        tmp_path, lambda c: c.execute("""UPDATE callers SET grants = '["everything"]' WHERE name = 'wms'""")
    )
    assert [row.name for row in roll.callers] == ["old"]
    with pytest.raises(Denied):
        Registry(roll, {}).by_key(KEY.text, 9)
