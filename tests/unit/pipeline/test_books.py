"""Promise 5, the whole kernel against a model: whatever happens in whatever order, nothing is lost, invented or told
twice, and the books equal a recount of the tables at every single commit.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from runtime import record
from runtime.envelope import Message, Sealed
from runtime.errors import Permanent, Refused
from runtime.journal import books, lanes, letters, outbox, retention
from runtime.journal.retention import Limits
from runtime.pipeline import translate as translate_module
from tests.support.examples import examples
from tests.support.kernel import SKUS, Bench, StockTranslator, configure, drive, messages, newborn

LIMITS = Limits(refill_seconds=3_600, key_seconds=7_200)
HOLD_SECONDS = translate_module.HOLD_SECONDS_MAX
LANES = st.sampled_from(["realtime", "bulk"])


class KernelModel(RuleBasedStateMachine):
    """The hub is a list per lane that keeps what it was sent; the senders remember every receipt."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(mkdtemp(prefix="entrepot-books-"))
        self.translator = StockTranslator()
        self.hub: dict[str, list[Sealed]] = {"realtime": [], "bulk": []}
        self.facts = 0
        self.duplicates = 0
        self.receipts: dict[tuple[str, str], tuple[int, bytes]] = {}
        self.last_seen: dict[str, tuple[int, bytes]] = {}

    @initialize(park=st.booleans())
    def start(self, park: bool) -> None:
        self.park = park
        translate_module.HOLD_SECONDS_MAX = 60.0  # a batch ends by count, never by the clock: runs can be repeated
        shutil.copytree(newborn(), self.directory / "state")
        configuration = configure(self.directory, self.translator, park=park)
        self.bench = Bench(configuration, after_commit=self.check_commit, durable=False)
        self.origins: set[str] = set()

    def teardown(self) -> None:
        translate_module.HOLD_SECONDS_MAX = HOLD_SECONDS
        try:
            if hasattr(self, "bench"):
                self.drain_everything()
        finally:
            if hasattr(self, "bench"):
                self.bench.close()
            shutil.rmtree(self.directory)

    # ------------------------------------------------------------ what senders do

    @rule(batch=st.lists(messages(), min_size=1, max_size=4), source=st.sampled_from(["wms", "carrier"]))
    def accept(self, batch: list[Message], source: str) -> None:
        expected = dict(self.receipts)
        fresh = 0
        refused = False
        for item in batch:
            if item.key is None:
                fresh += 1
                continue
            known = expected.setdefault((source, item.key), (0, item.body))
            refused |= known[1] != item.body
            fresh += known[0] == 0
            expected[source, item.key] = (known[0] or -1, known[1])
        before = self.dump()
        try:
            self.expected_facts = self.facts + (0 if refused else fresh)
            receipts = self.bench.accept(*batch, source=source)
        except Refused:
            assert refused
            assert self.dump() == before
            return
        finally:
            self.expected_facts = None
        assert not refused
        self.facts += fresh
        self.duplicates += len(batch) - fresh
        for item, receipt in zip(batch, receipts, strict=True):
            if item.key is not None:
                first, _ = self.receipts.setdefault((source, item.key), (receipt.seq, item.body))
                assert receipt.seq == first, "the same key got another receipt"

    # ------------------------------------------------------------ what the kernel does

    @rule(rows_max=st.integers(1, 5))
    def translate(self, rows_max: int) -> None:
        self.write(partial(self.bench.kernel.translate.batch, rows_max=rows_max))

    @rule(rows_max=st.integers(1, 5))
    def translation_fails_at_the_last_moment(self, rows_max: int) -> None:
        def spoiled(connection: sqlite3.Connection) -> None:
            self.bench.kernel.translate.batch(connection, rows_max)
            raise RuntimeError("spoiled")

        before = self.dump()
        with pytest.raises(RuntimeError, match="spoiled"):
            self.write(spoiled)
        assert self.dump() == before

    @rule(lane=LANES, rows_max=st.integers(1, 4))
    def publish(self, lane: str, rows_max: int) -> None:
        """Take what the hub lacks and give it to the hub; the acknowledgement is another rule."""
        hub = self.hub[lane]
        for row in self.bench.take(lane, after=len(hub), rows_max=rows_max):
            assert row.seq == len(hub) + 1, "a gap, or a step back"
            origin = record.parse_header_block(row.headers)[record.ORIGIN_HEADER]
            again = len(hub) < self.last_seen.get(lane, (0, b""))[0]
            assert again or origin not in self.origins, "sealed twice"
            self.origins.add(origin)
            hub.append(row)
        if len(hub) >= self.last_seen.get(lane, (0, b""))[0]:
            self.last_seen[lane] = (len(hub), hub[-1].chain if hub else record.GENESIS)

    @rule(lane=LANES, back=st.integers(0, 3))
    def acknowledge(self, lane: str, back: int) -> None:
        through = len(self.hub[lane]) - back
        step = self.bench.kernel.lanes[lane]
        if through > 0:
            drive(step.acknowledge(through))

    @rule(lane=LANES, data=st.data())
    def hub_loses_its_tail(self, lane: str, data: st.DataObject) -> None:
        head = drive(self.bench.kernel.lanes[lane].head())
        if len(self.hub[lane]) < head.acked or head.acked < head.oldest:
            return
        to = data.draw(st.integers(head.oldest - 1, head.acked), label="hub's last")
        kept = self.hub[lane][:to]
        lost = self.hub[lane][to:]
        del self.hub[lane][to:]
        drive(self.bench.kernel.lanes[lane].rewind(to, "test"))
        assert self.hub[lane] == kept
        for row in lost[: max(0, head.acked - to)]:
            (again,) = self.bench.take(lane, after=row.seq - 1, rows_max=1)
            assert again == row, "refilled with other bytes"

    @rule(seconds=st.sampled_from([600, 1_800, 4_000]), pressed=st.booleans())
    def grow_older_and_forget(self, seconds: int, pressed: bool) -> None:
        def prune(connection: sqlite3.Connection) -> int:
            retention.grow_older(connection, seconds)
            return retention.prune(connection, LIMITS, pressed=pressed)

        unacked = self.unacked_rows()
        forgotten = self.write(prune)
        assert self.unacked_rows() == unacked, "an unacknowledged row was pruned"
        if forgotten and not pressed:
            self.receipts = {place: known for place, known in self.receipts.items() if self.intake_has(known[0])}
            age = self.bench.value("SELECT value FROM meta WHERE name = 'age_seconds'")
            young = self.bench.value(
                "SELECT coalesce(min(intake_seq), 0) FROM marks WHERE age_seconds > ?", age - LIMITS.key_seconds
            )
            assert all(self.intake_has(seq) for seq in range(young + 1, self.facts + 1)), "a young key was forgotten"
        self.receipts = {place: known for place, known in self.receipts.items() if self.intake_has(known[0])}

    # ------------------------------------------------------------ what people do

    @rule(sku=SKUS)
    def break_or_mend_the_mapping(self, sku: str) -> None:
        self.translator.refuses ^= {sku}

    @rule(copies=st.integers(1, 2), added=st.integers(0, 1))
    def change_the_mapping(self, copies: int, added: int) -> None:
        self.translator.copies, self.translator.added = copies, Decimal(added)

    @precondition(lambda self: self.some_letter() is not None)
    @rule(data=st.data(), verb=st.sampled_from(["retry", "retry", "release", "discard"]))
    def settle_a_letter(self, data: st.DataObject, verb: str) -> None:
        numbers = [row[0] for row in self.bench.rows("SELECT id FROM letters ORDER BY id")]
        number = data.draw(st.sampled_from(numbers), label="letter")
        state = self.bench.value("SELECT state FROM letters WHERE id = ?", number)
        if state == "discarded" and verb != "release":
            with pytest.raises(Permanent, match="discarded"):
                drive(getattr(self.bench.kernel.replay, verb)(number))
        else:
            drive(getattr(self.bench.kernel.replay, verb)(number))

    @rule(source=st.sampled_from(["wms", "carrier"]), dry_run=st.booleans(), data=st.data())
    def replay(self, source: str, dry_run: bool, data: st.DataObject) -> None:
        first = data.draw(st.integers(1, self.facts + 1))
        last = data.draw(st.integers(first - 1, self.facts + 1))
        before = self.dump() if dry_run else None
        changes = drive(self.bench.kernel.replay.replay(source, first, last, dry_run=dry_run))
        if dry_run:
            assert self.dump() == before, "a dry run wrote something"
        again = drive(self.bench.kernel.replay.replay(source, first, last, dry_run=True))
        if not dry_run:
            differing = {change.origin.rsplit(".", 1)[0] for change in changes if change.result == "differs"}
            still = {c.origin.rsplit(".", 1)[0] for c in again if c.result == "new"}
            assert still <= differing, "a replay left something new behind"

    @rule(clean=st.booleans())
    def restart(self, clean: bool) -> None:
        if clean:
            drive(self.bench.journal.store.run(lambda c: c.execute("UPDATE meta SET value = 1 WHERE name = 'clean'")))
        self.bench.restart()
        drive(self.bench.kernel.replay.resume())

    # ------------------------------------------------------------ what must hold

    expected_facts: int | None = None

    def check_commit(self, connection: sqlite3.Connection) -> None:
        """After every commit: the books add up and equal a recount."""
        account = books.read(connection)
        assert account.balanced, account
        assert min(account.account().values()) >= 0, account
        count = lambda query: connection.execute(query).fetchone()[0]  # noqa: E731
        everyone = lanes.everyone(connection)
        assert account.dead_lettered == count("SELECT count(*) FROM letters WHERE state IN ('open', 'discarded')")
        recounted = (
            "SELECT n.name, count(*) FROM letters l JOIN names n ON n.id = l.source WHERE state = 'open' GROUP BY 1"
        )
        assert letters.counts(connection) == dict(connection.execute(recounted).fetchall())
        assert account.ignored == count("SELECT coalesce(sum(count), 0) FROM ignored")
        unsealed = sum(lane.queued - lane.sealed_event for lane in everyone)
        unacked = sum(lane.sealed - lane.acked for lane in everyone)
        untranslated = account.facts - account.translated
        parked = count("SELECT count(*) FROM parked")
        assert account.pending == untranslated + parked + unsealed + unacked
        assert account.facts == (self.facts if self.expected_facts is None else self.expected_facts)
        assert account.delivered + account.withheld == sum(lane.acked for lane in everyone)
        for lane in everyone:
            kinds = Counter(
                "withheld" if row.subject.endswith(record.WITHHELD) else "delivered"
                for row in self.hub[lane.name][: lane.acked]
            )
            self.delivered_of[lane.name] = kinds
        if all(lane.acked <= len(self.hub[lane.name]) for lane in everyone):
            total = sum(self.delivered_of.values(), Counter())
            assert (account.delivered, account.withheld) == (total["delivered"], total["withheld"])

    @property
    def delivered_of(self) -> dict[str, Counter[str]]:
        return self.__dict__.setdefault("_delivered_of", {})

    @invariant()
    def lanes_are_contiguous_and_chained(self) -> None:
        for lane in lanes.everyone(self.bench.connection):
            rows = outbox.after(self.bench.connection, lane, lane.oldest - 1, 10_000)
            assert [row[0] - lane.row_id(0) for row in rows] == list(range(lane.oldest, lane.sealed + 1))
            previous = self.hub[lane.name][lane.oldest - 2].chain if lane.oldest > 1 else record.GENESIS
            for row in rows:
                sealed = outbox.sealed(lane, row)
                assert row[6] == record.chain(
                    previous, sealed.epoch, sealed.seq, sealed.subject.encode(), sealed.headers, sealed.data
                )
                previous = row[6]
            assert previous == lane.sealed_chain

    @invariant()
    def events_of_a_key_leave_in_the_order_of_acceptance(self) -> None:
        for hub in self.hub.values():
            seen: dict[str, int] = {}
            for row in hub:
                headers = record.parse_header_block(row.headers)
                seq = int(headers[record.ORIGIN_HEADER].split(".")[1])
                if "entrepot-late" in headers or "ce-subject" not in headers:
                    continue
                place = headers["ce-source"] + headers["ce-subject"]
                assert seen.get(place, 0) <= seq
                seen[place] = seq

    @invariant()
    def nobody_overtakes_a_letter_that_parks(self) -> None:
        """For a parking source nothing of a key is translated while something older of that key waits."""
        if not self.park:
            return
        wms = self.bench.value("SELECT id FROM names WHERE kind = 'source' AND name = 'wms'")
        for seq, key in self.bench.rows(
            "SELECT intake_seq, park_key FROM letters WHERE state = 'open' AND park_key IS NOT NULL"
        ):
            ahead = self.bench.rows(
                "SELECT intake_seq FROM events WHERE source = ? AND intake_seq > ? AND (partition_key = ? OR ? = '*')",
                wms, seq, key, key,
            )  # fmt: skip
            assert not ahead, f"{ahead} went ahead of letter of fact {seq}"
        for seq, said in self.bench.rows(
            "SELECT p.intake_seq, b.body FROM parked p JOIN bodies b ON b.seq = p.intake_seq"
        ):
            decoded = msgspec.json.decode(said)
            for key in {decoded["sku"], decoded.get("also", decoded["sku"])}:
                ahead = self.bench.rows(
                    "SELECT intake_seq FROM events WHERE source = ? AND intake_seq > ? AND partition_key = ?",
                    wms,
                    seq,
                    key,
                )
                assert not ahead, f"{ahead} went ahead of fact {seq}, which waits"

    @invariant()
    def letters_and_parked_facts_keep_their_bodies(self) -> None:
        for table in ("letters", "parked"):
            lost = self.bench.rows(
                f"SELECT intake_seq FROM {table} t WHERE NOT EXISTS (SELECT 1 FROM bodies b WHERE b.seq = t.intake_seq)"
            )
            assert not lost

    # ------------------------------------------------------------ small change

    def drain_everything(self) -> None:
        """Faults stop: mend the mapping, retry every letter, ship everything; then nothing is pending."""
        self.translator.refuses.clear()
        while self.write(self.bench.kernel.translate.batch).facts:
            pass
        for _ in range(3):
            for (number,) in self.bench.rows("SELECT id FROM letters WHERE state = 'open' ORDER BY intake_seq"):
                if self.bench.value("SELECT 1 FROM letters WHERE id = ? AND state = 'open'", number):
                    drive(self.bench.kernel.replay.retry(number))
        for (number,) in self.bench.rows("SELECT id FROM letters WHERE state = 'open' ORDER BY intake_seq"):
            drive(self.bench.kernel.replay.discard(number))
        for lane in self.hub:
            while True:
                before = len(self.hub[lane])
                self.publish(lane, 100)
                if len(self.hub[lane]) == before:
                    break
            if before:
                drive(self.bench.kernel.lanes[lane].acknowledge(before))
        account = books.read(self.bench.connection)
        assert account.pending == 0
        assert account.accepted == sum(map(len, self.hub.values())) + account.dead_lettered + account.ignored

    def write(self, change: Callable[[sqlite3.Connection], Any]) -> Any:
        return drive(self.bench.journal.write(change))

    def dump(self) -> list[str]:
        return list(self.bench.connection.iterdump())

    def some_letter(self) -> int | None:
        found: int | None = self.bench.value("SELECT min(id) FROM letters")
        return found

    def intake_has(self, seq: int) -> bool:
        return self.bench.value("SELECT 1 FROM intake WHERE seq = ?", seq) is not None

    def unacked_rows(self) -> list[Any]:
        return [
            self.bench.rows(
                "SELECT id FROM outbox WHERE id > ? AND id <= ?", lane.row_id(lane.acked), lane.row_id(lane.sealed)
            )
            for lane in lanes.everyone(self.bench.connection)
        ]


TestKernelModel = pytest.mark.model(KernelModel.TestCase)
TestKernelModel.settings = settings(max_examples=examples(100), stateful_step_count=40)
