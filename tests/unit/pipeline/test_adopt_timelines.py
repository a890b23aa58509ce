"""Promise 3 through restored backups: whatever copies of the journal come back in whatever order, after `adopt` each
fact the journal knows stands at the hub once, no origin stands there twice, and the books add up.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from runtime import record
from runtime.envelope import Sealed
from runtime.journal import books, events, inspect, lanes, outbox, retention
from runtime.journal.retention import Limits
from runtime.pipeline import adopt
from runtime.pipeline import translate as translate_module
from runtime.ports import HubRecord
from tests.support.examples import examples
from tests.support.kernel import SKUS, Bench, configure, drive, message, newborn

LANES = ("realtime", "bulk")
HOLD_SECONDS = translate_module.HOLD_SECONDS_MAX


class HubInMemory:
    """As much of `runtime.ports.HubLink` as `adopt` uses: streams that keep what they were sent."""

    def __init__(self) -> None:
        self.streams: dict[str, list[HubRecord]] = {lane: [] for lane in LANES}

    def store(self, lane: str, row: Sealed) -> None:
        stream = self.streams[lane]
        assert row.seq == len(stream) + 1, "a gap, or a step back"
        headers = record.parse_header_block(row.headers) | {record.CHAIN_HEADER: row.chain.hex()}
        stream.append(HubRecord(seq=row.seq, subject=row.subject, headers=headers, data=row.data, time=""))

    async def last(self, lane: str) -> HubRecord | None:
        stream = self.streams[lane]
        return stream[-1] if stream else None

    async def read(self, lane: str, first: int, last: int) -> AsyncIterator[HubRecord]:
        for found in self.streams[lane][first - 1 : last]:
            yield found


class Timelines(RuleBasedStateMachine):
    """One hub; one journal, of which older copies come back."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(mkdtemp(prefix="entrepot-timelines-"))
        self.hub = HubInMemory()
        self.copies: list[Path] = []
        self.stale = False
        self.sent = 0

    @initialize()
    def start(self) -> None:
        translate_module.HOLD_SECONDS_MAX = 60.0  # a batch ends by count, never by the clock: runs can be repeated
        shutil.copytree(newborn(), self.directory / "state")
        self.bench = Bench(configure(self.directory), durable=False)

    def teardown(self) -> None:
        translate_module.HOLD_SECONDS_MAX = HOLD_SECONDS
        try:
            if hasattr(self, "bench"):
                self.settle_everything()
        finally:
            if hasattr(self, "bench"):
                self.bench.close()
            shutil.rmtree(self.directory)

    # ------------------------------------------------------------ a working day

    @rule(sku=SKUS, copies=st.integers(1, 2), withhold=st.booleans(), number=st.integers(0, 3))
    def accept(self, sku: str, copies: int, withhold: bool, number: int) -> None:
        self.sent += 1
        # The key says what must come of the fact; keys are kept when bodies and events are not.
        key = f"{self.sent} {copies} {'withheld' if withhold else 'released'}"
        self.bench.accept(message(sku, number, key=key, copies=copies, withhold=withhold))

    @rule(rows_max=st.integers(1, 3))
    def translate(self, rows_max: int) -> None:
        drive(self.bench.journal.write(partial(self.bench.kernel.translate.batch, rows_max=rows_max)))

    @rule(lane=st.sampled_from(LANES), rows_max=st.integers(1, 3))
    def seal_without_sending(self, lane: str, rows_max: int) -> None:
        self.bench.take(lane, rows_max=rows_max)

    @precondition(lambda self: not self.stale)
    @rule(lane=st.sampled_from(LANES), rows_max=st.integers(1, 4), acks=st.booleans())
    def publish(self, lane: str, rows_max: int, acks: bool) -> None:
        for row in self.bench.take(lane, after=len(self.hub.streams[lane]), rows_max=rows_max):
            self.hub.store(lane, row)
        if acks:
            self.acknowledge(lane)

    @precondition(lambda self: not self.stale)
    @rule(lane=st.sampled_from(LANES), data=st.data())
    def hub_loses_its_tail(self, lane: str, data: st.DataObject) -> None:
        head = drive(self.bench.kernel.lanes[lane].head())
        stream = self.hub.streams[lane]
        if head.oldest - 1 <= head.acked <= len(stream):
            to = data.draw(st.integers(head.oldest - 1, head.acked), label="hub's last")
            del stream[to:]
            drive(self.bench.kernel.lanes[lane].rewind(to, "test"))

    @precondition(lambda self: not self.stale)
    @rule()
    def forget_under_pressure(self) -> None:
        drive(self.bench.journal.write(partial(retention.prune, limits=Limits(3_600, 7_200), pressed=True)))

    # ------------------------------------------------------------ backups

    @rule()
    def copy_the_journal(self) -> None:
        self.bench.close()
        copy = self.directory / f"copy-{len(self.copies)}"
        shutil.copytree(self.directory / "state", copy)
        self.copies.append(copy)
        self.bench.open()

    @precondition(lambda self: bool(self.copies))
    @rule(data=st.data())
    def restore_a_copy(self, data: st.DataObject) -> None:
        self.bench.close()
        chosen = data.draw(st.integers(0, len(self.copies) - 1), label="copy")
        shutil.rmtree(self.directory / "state")
        shutil.copytree(self.copies[chosen], self.directory / "state")
        self.bench.open()
        self.stale = True

    @precondition(lambda self: self.stale)
    @rule()
    def adopt(self) -> None:
        bench, journal = self.bench, self.bench.journal
        bench.translate()
        link: Any = self.hub
        positions = [drive(adopt.read_position(link, journal, row)) for row in lanes.everyone(bench.connection)]
        adoption = adopt.Adoption(journal, bench.kernel.identity, "a backup was restored")
        report = drive(journal.write(lambda connection: adoption.apply(connection, positions)))
        drive(bench.kernel.adopted(report[0].epoch))
        self.stale = False
        assert books.read(bench.connection).balanced
        assert drive(inspect.verify(journal, whole_file=False)) == []

    # ------------------------------------------------------------ the oracle

    def settle_everything(self) -> None:
        if self.stale:
            self.adopt()
        self.bench.translate()
        for lane in LANES:
            while rows := self.bench.take(lane, after=len(self.hub.streams[lane])):
                for row in rows:
                    self.hub.store(lane, row)
                self.acknowledge(lane)
            # An event that was found at the hub needs no row: the backlog must be empty all the same.
            while self.bench.value("SELECT queued > sealed_event FROM lanes WHERE name = ?", lane):
                assert self.bench.take(lane) == []
            self.acknowledge(lane)
            self.check_stream(self.hub.streams[lane])
        self.check_origins()
        self.check_facts()

    def acknowledge(self, lane: str) -> None:
        if self.hub.streams[lane]:
            drive(self.bench.kernel.lanes[lane].acknowledge(len(self.hub.streams[lane])))

    def check_stream(self, stream: list[HubRecord]) -> None:
        """What a stand-alone reader checks."""
        chain, epoch = record.GENESIS, 1
        for found in stream:
            assert int(found.headers[record.EPOCH_HEADER]) >= epoch, "an epoch went back"
            epoch = int(found.headers[record.EPOCH_HEADER])
            headers = record.chained_headers(found.headers)
            chain = record.chain(chain, epoch, found.seq, found.subject.encode(), headers, found.data)
            assert found.headers[record.CHAIN_HEADER] == chain.hex()

    def check_origins(self) -> None:
        """An epoch record opens every lane's epoch, so their origins are one a lane; all others are unique."""
        origins = Counter(
            found.headers[record.ORIGIN_HEADER]
            for stream in self.hub.streams.values()
            for found in stream
            if not found.subject.endswith(record.EPOCH_RECORD)
        )
        assert [origin for origin, count in origins.items() if count > 1] == []

    def check_facts(self) -> None:
        """Every fact that the journal knows stands at the hub once, and the books say the same."""
        bench = self.bench
        proofs = Counter(
            (found.kind, found.proof, found.output)
            for stream in self.hub.streams.values()
            for one in stream
            if (found := adopt.found_in(one)) is not None
        )
        expected: Counter[str] = Counter()
        for key, correlation in bench.rows("SELECT key, correlation FROM intake"):
            _, copies, kind = key.split()
            expected[kind] += int(copies)
            if kind == "released":
                assert [proofs[outbox.RELEASED, correlation.hex(), n] for n in range(int(copies))] == [1] * int(copies)
        account = books.read(bench.connection)
        assert (account.delivered, account.withheld) == (expected["released"], expected["withheld"])
        assert (account.accepted, account.pending) == (expected.total(), 0)
        query = "SELECT * FROM events WHERE type = (SELECT id FROM names WHERE name = 'stock.adjusted')"
        for row in bench.rows(query.replace("*", events._COLUMNS)):
            proof = bench.kernel.policy.sealer.commitment(row).decode()
            assert proofs[outbox.WITHHELD, proof, row[2]] == 1


TestTimelines = pytest.mark.model(Timelines.TestCase)
TestTimelines.settings = settings(max_examples=examples(100), stateful_step_count=40)
