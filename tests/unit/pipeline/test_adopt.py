"""`adopt` goes on where the hub stands: what the hub has is never sealed again, what it lacks is sealed, in a new epoch."""

from __future__ import annotations

import base64
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from runtime import record
from runtime.envelope import Checkpoint, EpochRecord, Sealed, Signed
from runtime.errors import Permanent, Refused
from runtime.journal import books, lanes
from runtime.pipeline import adopt
from runtime.pipeline.adopt import Adopted, Adoption
from runtime.ports import Fence, HubRecord
from tests.support.kernel import Bench, configure, drive, message

LANE = "realtime"


class Hub:
    """The part of `runtime.ports.HubLink` that `adopt` uses: streams that keep what they were sent."""

    def __init__(self) -> None:
        self.streams: dict[str, list[HubRecord]] = {LANE: [], "bulk": [], record.CHECKPOINTS_LANE: []}

    def put(self, lane: str, *rows: Sealed) -> None:
        for row in rows:
            assert row.seq == len(self.streams[lane]) + 1, "a gap, or a step back"
            headers = record.parse_header_block(row.headers) | {record.CHAIN_HEADER: row.chain.hex()}
            self.streams[lane].append(
                HubRecord(seq=row.seq, subject=row.subject, headers=headers, data=row.data, time="")
            )

    async def last(self, lane: str) -> HubRecord | None:
        if lane not in self.streams:
            raise Permanent("no such stream")
        return self.streams[lane][-1] if self.streams[lane] else None

    async def read(self, lane: str, first: int, last: int) -> AsyncIterator[HubRecord]:
        for found in self.streams[lane][first - 1 : last]:
            yield found

    def origins(self, lane: str = LANE) -> list[str]:
        return [found.headers[record.ORIGIN_HEADER] for found in self.streams[lane]]


@pytest.fixture
def hub() -> Hub:
    return Hub()


@pytest.fixture
def benches(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """Opens a region by name; `copy_of` is a backup of another one, taken now."""
    opened: list[Bench] = []

    def open_one(name: str, copy_of: Bench | None = None) -> Bench:
        if copy_of is not None:
            copy_of.close()
            shutil.copytree(copy_of.configuration.directory, tmp_path / name)
            copy_of.open()
        opened.append(Bench(configure(tmp_path / name)))
        return opened[-1]

    yield open_one
    for bench in opened:
        bench.close()


def send(bench: Bench, *numbers: int, sku: str = "A", **more: Any) -> None:
    bench.accept(*(message(sku, number, **more) for number in numbers))
    bench.translate()


def ship(bench: Bench, hub: Hub, lane: str = LANE) -> None:
    hub.put(lane, *bench.ship(lane))


def look(bench: Bench, hub: Hub, *names: str) -> list[adopt.Position]:
    rows = [row for row in lanes.everyone(bench.connection) if row.name in (names or (LANE,))]
    return [drive(adopt.read_position(hub, bench.journal, row)) for row in rows]  # type: ignore[arg-type]


def adopted(bench: Bench, hub: Hub, *names: str) -> Adopted:
    """What `Operations.adopt` does; the report on the first lane."""
    positions = look(bench, hub, *names)
    anchor = drive(adopt.read_checkpoint(hub))  # type: ignore[arg-type]
    adoption = Adoption(bench.journal, bench.kernel.identity, "a test")
    report = drive(bench.journal.write(lambda c: adoption.apply(c, positions, anchor)))
    drive(bench.kernel.adopted(report[0].epoch))
    assert books.read(bench.connection).balanced
    return next(row for row in report if row.lane == (names or (LANE,))[0])


def chained(hub: Hub, lane: str = LANE) -> bool:
    """Whether the stream is one chain over epochs that only rise, as an auditor would check."""
    previous, epoch = record.GENESIS, 0
    for found in hub.streams[lane]:
        said = int(found.headers[record.EPOCH_HEADER])
        block = record.chained_headers(found.headers)
        previous = record.chain(previous, said, found.seq, found.subject.encode(), block, found.data)
        if found.headers[record.CHAIN_HEADER] != previous.hex() or said < epoch:
            return False
        epoch = said
    return True


def test_a_restored_backup_seals_nothing_that_the_hub_has(benches: Callable[..., Bench], hub: Hub) -> None:
    lost = benches("lost")
    send(lost, 1, 2)
    ship(lost, hub)
    send(lost, 3, 4)
    send(lost, 5, withhold=True)
    restored = benches("restored", copy_of=lost)  # it has accepted all, and sealed two
    ship(lost, hub)
    report = adopted(restored, hub)
    assert (report.hub_last, report.common, report.found_at_hub, report.epoch) == (5, 2, 3, 2)
    send(restored, 6)
    ship(restored, hub)
    assert hub.origins() == ["1.1.0", "1.2.0", "1.3.0", "1.4.0", "1.5.0", "2.0.0", "2.6.0"]
    assert chained(hub)
    account = books.read(restored.connection)
    assert (account.delivered, account.withheld, account.pending) == (5, 1, 0)


@pytest.mark.parametrize("withhold", [False, True], ids=["released", "withheld"])
def test_the_same_number_on_another_fact_gets_the_new_epoch(
    withhold: bool, benches: Callable[..., Bench], hub: Hub
) -> None:
    lost = benches("lost")
    send(lost, 1)
    ship(lost, hub)
    restored = benches("restored", copy_of=lost)  # it knows nothing of what comes now
    send(lost, 2, withhold=withhold)
    ship(lost, hub)
    send(restored, 2, withhold=withhold)  # the same words, but another message of another day
    report = adopted(restored, hub)
    assert (report.found_at_hub, report.hub_last) == (1, 2)
    ship(restored, hub)
    assert hub.origins() == ["1.1.0", "1.2.0", "2.0.0", "2.2.0"]
    assert chained(hub)
    account = books.read(restored.connection)
    assert (account.accepted, account.pending) == (2, 0)


def test_rows_that_the_hub_holds_otherwise_are_sealed_again_behind_it(benches: Callable[..., Bench], hub: Hub) -> None:
    """Two copies of one journal wrote: the hub kept the first one's rows from record 2 on."""
    other = benches("other")
    send(other, 1)
    ship(other, hub)
    ours = benches("ours", copy_of=other)
    send(other, 2, 3)
    ship(other, hub)
    send(ours, 7, 8, 9)
    assert [row.seq for row in ours.take()] == [2, 3, 4]
    drive(ours.kernel.lanes[LANE].acknowledge(3))
    (position,) = look(ours, hub)
    assert (position.common, position.last, [found.intake_seq for found in position.found]) == (1, 3, [2, 3])
    report = adopted(ours, hub)
    assert report.sealed_anew == 3
    assert books.read(ours.connection).pending == 3, "an acknowledgement of rows that the hub does not hold"
    ship(ours, hub)
    assert hub.origins() == ["1.1.0", "1.2.0", "1.3.0", "2.0.0", "2.2.0", "2.3.0", "1.4.0"]
    assert chained(hub)
    assert books.read(ours.connection).pending == 0


def test_a_hub_behind_the_horizon_goes_on_where_it_stands(benches: Callable[..., Bench], hub: Hub) -> None:
    bench = benches("one")
    send(bench, 1, 2, 3, 4)
    ship(bench, hub)
    bench.connection.execute("DELETE FROM outbox WHERE id <= ?", (bench.journal.lanes[LANE].row_id(3),))
    (row,) = (row for row in lanes.everyone(bench.connection) if row.name == LANE)
    lanes.retain_from(bench.connection, row, 4, bytes.fromhex(hub.streams[LANE][2].headers[record.CHAIN_HEADER]))
    del hub.streams[LANE][1:]
    (position,) = look(bench, hub)
    assert (position.common, position.last) == (1, 1)
    adopted(bench, hub)
    send(bench, 5)
    ship(bench, hub)
    assert hub.origins() == ["1.1.0", "2.0.0", "1.4.0", "2.5.0"]
    assert chained(hub)


def test_an_emptied_hub_gets_everything_that_is_retained_again(benches: Callable[..., Bench], hub: Hub) -> None:
    bench = benches("one")
    send(bench, 1, 2)
    ship(bench, hub)
    hub.streams[LANE].clear()
    report = adopted(bench, hub)
    assert (report.common, report.hub_last, report.sealed_anew) == (0, 0, 2)
    assert books.read(bench.connection).pending == 2
    ship(bench, hub)
    assert hub.origins() == ["2.0.0", "1.1.0", "1.2.0"]
    assert chained(hub)


def test_the_new_epoch_follows_every_epoch_that_the_hub_has_seen(benches: Callable[..., Bench], hub: Hub) -> None:
    first = benches("first")
    send(first, 1)
    ship(first, hub)
    backup = benches("backup", copy_of=first)
    for expected in (2, 3, 4):
        assert adopted(first, hub).epoch == expected
        ship(first, hub)
    assert look(backup, hub)[0].epoch == 4
    assert adopted(backup, hub).epoch == 5
    assert backup.value("SELECT value FROM meta WHERE name = 'epoch'") == backup.journal.epoch == 5
    ship(backup, hub)
    assert chained(hub)


def test_every_lane_moves_to_the_new_epoch_and_fences_are_lifted(benches: Callable[..., Bench], hub: Hub) -> None:
    bench = benches("one")
    send(bench, 1)
    send(bench, 2, sku="b1")
    ship(bench, hub)
    ship(bench, hub, "bulk")
    drive(bench.kernel.lanes[LANE].fence(Fence(kind="diverged", reason="why", action="what")))
    adopted(bench, hub)
    assert drive(bench.kernel.lanes[LANE].head()).fence is None
    for lane in (LANE, "bulk"):
        ship(bench, hub, lane)
        assert hub.origins(lane)[-1] == "2.0.0"
        assert chained(hub, lane)
    assert bench.value("SELECT count(*) FROM incidents WHERE kind = 'adopted'") == 2


def test_the_epoch_record_is_signed_and_says_what_happened(benches: Callable[..., Bench], hub: Hub) -> None:
    bench = benches("one")
    send(bench, 1)
    ship(bench, hub)
    adopted(bench, hub)
    ship(bench, hub)
    found = hub.streams[LANE][-1]
    signed = msgspec.json.decode(found.data, type=Signed)
    key = Ed25519PublicKey.from_public_bytes(bench.kernel.identity.public_key)
    key.verify(base64.b64decode(signed.signature), record.signing_input("epoch", signed.statement))
    said = msgspec.json.decode(signed.statement, type=EpochRecord)
    assert (said.region, said.lane, said.epoch, said.previous_epoch, said.seq) == ("eu-de", LANE, 2, 1, 2)
    assert said.reason == "a test"
    assert found.subject == record.event_subject("eu-de", LANE, record.EPOCH_RECORD)


def test_a_take_right_after_the_commit_is_sealed_in_the_new_epoch(benches: Callable[..., Bench], hub: Hub) -> None:
    """The process learns of its own commit a moment later; rows sealed in between must not fall back."""
    bench = benches("one")
    send(bench, 1)
    positions = look(bench, hub)
    adoption = Adoption(bench.journal, bench.kernel.identity, "a test")
    drive(bench.journal.write(lambda c: adoption.apply(c, positions)))
    assert bench.journal.epoch == 1
    ship(bench, hub)
    assert hub.origins() == ["2.0.0", "1.1.0"]
    assert chained(hub)


def test_rows_sealed_ahead_before_an_adopt_are_not_given_out_after_it(
    benches: Callable[..., Bench], hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.pipeline.lane.SEAL_ROWS_MAX", 2)
    bench = benches("one")
    send(bench, 1, 2, 3, 4)
    hub.put(LANE, *bench.take(after=0))
    drive(bench.kernel.lanes[LANE].acknowledge(2))
    assert drive(bench.kernel.lanes[LANE].head()).sealed == 4, "nothing was sealed ahead"
    adopted(bench, hub)
    ship(bench, hub)
    assert hub.origins() == ["1.1.0", "1.2.0", "2.0.0", "1.3.0", "1.4.0"]
    assert chained(hub)


def test_checkpoints_go_on_after_the_newest_at_the_hub(benches: Callable[..., Bench], hub: Hub) -> None:
    lost = benches("lost")
    restored = benches("restored", copy_of=lost)
    for _ in range(4):
        drive(lost.kernel.checkpoints.write())
    body = dict(drive(lost.kernel.checkpoints.pending()))[4]
    hub.streams[record.CHECKPOINTS_LANE] = [HubRecord(seq=4, subject="cp.eu-de", headers={}, data=body, time="")]
    drive(restored.kernel.checkpoints.write())
    adopted(restored, hub)
    assert list(drive(restored.kernel.checkpoints.pending())) == []
    drive(restored.kernel.checkpoints.write())
    ((number, newest),) = drive(restored.kernel.checkpoints.pending())
    said = msgspec.json.decode(msgspec.json.decode(newest, type=Signed).statement, type=Checkpoint)
    digest = lost.value("SELECT digest FROM checkpoints WHERE number = 4")
    assert (number, said.number, said.previous, said.epoch) == (5, 5, digest, 2)


@pytest.mark.parametrize("data", [None, b"not a checkpoint", b'{"statement":"{}","key_id":"","signature":""}'])
def test_without_a_readable_checkpoint_at_the_hub_our_own_go_on(
    data: bytes | None, benches: Callable[..., Bench], hub: Hub
) -> None:
    if data is not None:
        hub.streams[record.CHECKPOINTS_LANE] = [HubRecord(seq=1, subject="cp", headers={}, data=data, time="")]
    else:
        del hub.streams[record.CHECKPOINTS_LANE]
    bench = benches("one")
    drive(bench.kernel.checkpoints.write())
    adopted(bench, hub)
    assert drive(bench.kernel.checkpoints.write()) == 2


def test_a_stream_that_somebody_else_writes_to_is_refused(benches: Callable[..., Bench], hub: Hub) -> None:
    hub.streams[LANE] = [HubRecord(seq=1, subject="ev.eu-de.realtime.x", headers={}, data=b"", time="")]
    with pytest.raises(Refused, match="not written by a region"):
        look(benches("one"), hub)


def test_what_is_no_event_of_ours_is_not_taken_for_one() -> None:
    def stored(origin: str, name: str = "stock.snapshot", data: bytes = b"{}") -> HubRecord:
        headers = {record.ORIGIN_HEADER: origin, "ce-correlationid": "c"}
        return HubRecord(seq=1, subject=f"ev.eu-de.realtime.{name}", headers=headers, data=data, time="")

    good = adopt.found_in(stored("3.7.1"))
    assert good is not None
    assert (good.epoch, good.intake_seq, good.output, good.proof) == (3, 7, 1, "c")
    for wrong in ("", "2.0.0", "1.2", "1.2.3.4", "a.b.c", "1.-2.0", "1.²2.0"):
        assert adopt.found_in(stored(wrong)) is None
    for stub in (b"{}", b"nonsense", b'{"commitment":1}'):
        assert adopt.found_in(stored("1.2.0", record.WITHHELD, stub)) is None
