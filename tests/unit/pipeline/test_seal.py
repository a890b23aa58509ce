"""The hand-built header text of the hottest line is exactly `record.header_block` of what it says, in every combination."""

from __future__ import annotations

import hmac
from datetime import date
from hashlib import sha256
from itertools import product
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime import record
from runtime.clearance import Rule, compile_policy
from runtime.clearance.actions import Action
from runtime.clearance.policy import make_policy
from runtime.errors import Refused
from runtime.journal import lanes
from runtime.journal.events import EventTuple
from runtime.kernel import Kernel
from runtime.pipeline import lane as lane_module
from runtime.pipeline.lane import PolicyInForce
from runtime.pipeline.seal import SealedEvent, Sealer
from tests.support.kernel import OPEN_POLICY, Bench, configure, drive, message

CORRELATION = bytes(range(16))
KEY = bytes(32)
NAMES = {1: "stock.snapshot", 2: "stock.adjusted", 3: "wms"}
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
CLOSED_POLICY = make_policy("closed", 1, (Rule(id="nothing", action=Action("withhold"), types=("*",)),))


def sealer(policy: object = OPEN_POLICY) -> Sealer:
    return Sealer("eu-de", compile_policy(policy, today=date(2026, 1, 2)), KEY, NAMES.__getitem__)  # type: ignore[arg-type]


def event(
    kind: int = 1, *, sku: str = "A", late: int = 0, trace: str | None = None, epoch: int = 1, **more: object
) -> EventTuple:
    said = {"occurred_at": "2026-01-02T03:04:05Z", "sku": sku, **more}
    said |= {"on_hand": "1"} if kind == 1 else {"change": "1"}
    return (1 << 40 | 9, 7, 2, epoch, late, kind, 3, sku, CORRELATION, trace, msgspec.json.encode(said))


def is_canonical(done: SealedEvent, seq: int, epoch: int, previous: bytes = record.GENESIS) -> dict[str, str]:
    headers = record.parse_header_block(done.headers)
    assert record.header_block(headers) == done.headers
    assert done.chain == record.chain(previous, epoch, seq, done.subject.encode(), done.headers, done.data)
    return headers


@pytest.mark.parametrize(("late", "trace", "epoch"), [*product((0, 1), (None, TRACE), (1, 12))])
def test_released_headers_are_canonical_and_complete(late: int, trace: str | None, epoch: int) -> None:
    done = sealer().seal("realtime", b"\7" * 32, 12, 345, event(late=late, trace=trace, epoch=epoch))
    headers = is_canonical(done, 345, 12, b"\7" * 32)
    trace_headers = {"traceparent": trace or f"00-{CORRELATION.hex()}-{CORRELATION.hex()[:16]}-01"}
    assert headers == {
        "ce-correlationid": CORRELATION.hex(),
        "ce-datacontenttype": "application/json",
        "ce-dataschema": "urn:entrepot:stock.snapshot:v1",
        "ce-id": f"{epoch}.7.2",
        "ce-source": "/entrepot/eu-de/wms",
        "ce-specversion": "1.0",
        "ce-subject": headers["ce-subject"],
        "ce-time": headers["ce-time"],
        "ce-type": "io.entrepot.stock.snapshot.v1",
        "entrepot-epoch": "12",
        "entrepot-origin": f"{epoch}.7.2",
        "entrepot-seq": "345",
        **({"entrepot-late": "true"} if late else {}),
        **trace_headers,
    }
    assert done.subject == "ev.eu-de.realtime.stock.snapshot"


@given(
    sku=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
    late=st.integers(0, 1),
    trace=st.sampled_from([None, TRACE]),
    epoch=st.integers(1, 2**63 - 1),
    seq=st.integers(1, 2**40 - 1),
)
def test_whatever_a_partner_writes_the_headers_stay_canonical(
    sku: str, late: int, trace: str | None, epoch: int, seq: int
) -> None:
    """Line feeds, colons, percent signs, other scripts: nothing breaks out of its line."""
    for kind in (1, 2):
        done = sealer().seal("realtime", record.GENESIS, epoch, seq, event(kind, sku=sku, late=late, trace=trace))
        headers = is_canonical(done, seq, epoch)
        assert (headers["entrepot-seq"], headers["entrepot-epoch"]) == (str(seq), str(epoch))
        if "ce-subject" in headers:
            assert headers["ce-subject"] == record.encode_value(sku)


def test_a_stub_tells_nothing_and_has_always_the_same_size() -> None:
    seal = sealer(CLOSED_POLICY).seal
    stubs = [
        seal("realtime", record.GENESIS, 1, 1, event(kind, sku=sku, late=late, trace=trace))
        for kind, sku, late, trace in product((1, 2), ("A", "secret-" * 200, "Grün\n"), (0, 1), (None, TRACE))
    ]
    assert len({stub.headers for stub in stubs}) == 1
    assert len({stub.subject for stub in stubs}) == 1
    assert len({len(stub.data) for stub in stubs}) == 1
    headers = is_canonical(stubs[0], 1, 1)
    assert headers["ce-type"] == "io.entrepot.entrepot.withheld.v1"
    for word in (b"secret", b"stock", b"wms", CORRELATION.hex().encode(), TRACE.encode()):
        assert not any(word in stub.headers + stub.data + stub.subject.encode() for stub in stubs)


def test_the_commitment_of_a_stub_proves_what_was_withheld() -> None:
    withheld = event(2)
    done = sealer(CLOSED_POLICY).seal("realtime", record.GENESIS, 1, 1, withheld)
    said = msgspec.json.decode(done.data)
    assert said["commitment"] == hmac.new(KEY, CORRELATION + withheld[10], sha256).hexdigest()
    other = sealer(CLOSED_POLICY).seal("realtime", record.GENESIS, 1, 1, event(2, sku="B"))
    assert msgspec.json.decode(other.data)["commitment"] != said["commitment"]


# ---------------------------------------------------------------- a policy that changes while rows wait


def other_policy(bench: Bench, policy: object) -> Kernel:
    kernel = bench.kernel
    clearance = compile_policy(policy, today=date(2026, 1, 2))  # type: ignore[arg-type]
    kernel.policy = PolicyInForce(Sealer("eu-de", clearance, kernel.identity.commitment_key, bench.journal.names.known))
    return kernel


def test_a_sealed_row_that_a_new_policy_would_not_release_does_not_leave(tmp_path: Path) -> None:
    bench = Bench(configure(tmp_path))
    bench.accept(message(), message())
    bench.translate()
    assert len(bench.take(after=0)) == 2
    other_policy(bench, CLOSED_POLICY)
    with pytest.raises(Refused, match="record 1 was sealed under an older residency policy"):
        bench.take(after=0)
    bench.close()


def test_a_sealed_row_that_a_new_policy_releases_alike_leaves_as_it_is(tmp_path: Path) -> None:
    bench = Bench(configure(tmp_path))
    bench.accept(message(), message("A", 2), message("A", 3, withhold=True))
    bench.translate()
    rows = bench.take(after=0)
    renamed = make_policy("renamed", 2, OPEN_POLICY.rules)
    assert other_policy(bench, renamed).policy.sealer.clearance.digest != ""
    assert bench.take(after=0) == rows
    assert bench.take(after=2) == rows[2:]
    bench.close()


def test_rows_sealed_ahead_under_the_older_policy_are_cleared_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_module, "SEAL_ROWS_MAX", 2)
    bench = Bench(configure(tmp_path))
    bench.accept(*(message("A", n) for n in range(4)))
    bench.translate()
    assert len(bench.take(after=0)) == 2
    assert bench.value("SELECT sealed FROM lanes WHERE name = 'realtime'") == 4, "nothing was sealed ahead"
    other_policy(bench, CLOSED_POLICY)
    with pytest.raises(Refused, match="record 3"):
        bench.take(after=2)
    bench.close()


def test_the_unsealed_backlog_meets_the_policy_of_the_day_it_leaves(tmp_path: Path) -> None:
    bench = Bench(configure(tmp_path))
    bench.accept(message())
    bench.translate()
    other_policy(bench, CLOSED_POLICY)
    (row,) = bench.take()
    assert row.subject.endswith(record.WITHHELD)
    assert b'"A"' not in row.data
    bench.close()


def test_no_more_is_sealed_ahead_than_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane_module, "SEAL_AHEAD_ROWS_MAX", 3)
    bench = Bench(configure(tmp_path))
    bench.accept(*(message("A", n) for n in range(8)))
    bench.translate()
    step = bench.kernel.lanes["realtime"]
    assert [row.seq for row in bench.take()] == [1, 2, 3]
    assert bench.take() == []
    drive(step.acknowledge(2))
    assert [row.seq for row in bench.take()] == [4, 5]
    (lane,) = (row for row in lanes.everyone(bench.connection) if row.name == "realtime")
    assert (lane.sealed, lane.acked, lane.sealed_event, lane.queued) == (5, 2, 5, 8)
    bench.close()


def test_a_fenced_lane_gives_nothing(tmp_path: Path) -> None:
    bench = Bench(configure(tmp_path))
    bench.accept(message())
    bench.translate()
    step = bench.kernel.lanes["realtime"]
    drive(step.fence(lane_module.Fence(kind="diverged", reason="why", action="what")))
    assert bench.take() == []
    drive(step.unfence("horizon"))
    assert bench.take() == []
    drive(step.unfence("diverged"))
    assert len(bench.take()) == 1
    assert bench.value("SELECT text FROM incidents") == "why"
    bench.close()
