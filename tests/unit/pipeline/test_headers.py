"""Headers that the rules read are part of the fact: a replay sees them as translation saw them."""

from __future__ import annotations

from pathlib import Path

from runtime.envelope import Message
from tests.support.kernel import Bench, configure, drive
from tests.support.packs import probe


def test_a_replay_after_a_restart_sees_the_headers_again(tmp_path: Path) -> None:
    bench = Bench(configure(tmp_path, probe()))
    try:
        said = {"x-topic": "stock/counted", "x-at": "2026-03-02T08:00:00Z"}
        bench.accept(Message(body=b'{"sku":"A","counted":5,"kind":"cart/changed"}', headers=said))
        bench.translate()
        bench.restart()
        changes = drive(bench.kernel.replay.replay("wms", 1, 9, dry_run=False))
        assert [(change.type, change.result) for change in changes] == [("stock.snapshot", "same")]
    finally:
        bench.close()
