"""Promise 1: within a source the same key is the same fact, another body is refused, and no key means another fact."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from runtime.envelope import Message, Receipt
from runtime.errors import Permanent, Refused
from runtime.journal import books, intake, keys
from tests.support import kernel as support
from tests.support.kernel import Bench, configure, message


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(configure(tmp_path))
    yield bench
    bench.close()


def accept(bench: Bench, *calls: tuple[str, list[Message]]) -> list[object]:
    """Several calls in one change."""
    gathered = [
        intake.Call(source, 1, 1_000, [intake.prepare(source, each) for each in batch]) for source, batch in calls
    ]
    journal = bench.journal
    return support.drive(journal.write(lambda c: intake.accept(c, journal.names, journal.keys, gathered)))  # type: ignore[return-value]


def seqs(outcome: object) -> list[int]:
    assert isinstance(outcome, list)
    return [item.seq for item in outcome]


def test_the_exact_bytes_and_what_was_said_about_them_are_kept(bench: Bench) -> None:
    raw = b"\x00\xff not json"
    trace = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    said = Message(body=raw, content_type="text/csv", key="k", traceparent=trace)
    (accepted,) = bench.accept(said)
    kept = intake.fact(bench.connection, bench.journal.names, accepted.seq)
    assert kept is not None
    assert (kept.body, kept.content_type, kept.key, kept.traceparent) == (raw, "text/csv", "k", trace)
    assert (kept.source, kept.intake_seq, kept.epoch, len(kept.correlation_id)) == ("wms", 1, 1, 32)


def test_the_headers_of_a_message_are_part_of_the_fact_after_any_restart(bench: Bench) -> None:
    bench.accept(Message(body=b"{}", headers={"x-topic": "orders/créate", "x-at": "3"}), Message(body=b"{}"))
    bench.restart()
    facts = intake.facts_after(bench.connection, bench.journal.names, 0, 9)
    assert [fact.headers for fact in facts] == [{"x-topic": "orders/créate", "x-at": "3"}, {}]
    stored = bench.connection.execute("SELECT headers FROM intake ORDER BY seq").fetchall()
    assert stored == [('{"x-at":"3","x-topic":"orders/créate"}',), (None,)]


def test_headers_that_are_no_text_or_too_many_never_fail_the_commit_of_others(bench: Bench) -> None:
    bench.accept(
        Message(body=b"1", headers={"x": "\ud800"}), Message(body=b"2", headers={"x": "y" * intake.HEADERS_BYTES_MAX})
    )
    facts = intake.facts_after(bench.connection, bench.journal.names, 0, 9)
    assert [(fact.body, fact.headers) for fact in facts] == [(b"1", {}), (b"2", {})]


def test_the_same_key_with_the_same_body_gets_the_same_receipt_after_any_restart(bench: Bench) -> None:
    (first,) = bench.accept(message(key="k"))
    bench.restart()
    (again,) = bench.accept(message(key="k"))
    assert again.duplicate
    assert (again.seq, again.digest, again.committed_us) == (first.seq, first.digest, first.committed_us)
    account = books.read(bench.connection)
    assert (account.accepted, account.duplicates, account.facts) == (1, 1, 1)


def test_a_key_with_another_body_refuses_its_own_call_and_leaves_nothing_of_it(bench: Bench) -> None:
    bench.accept(message(key="k"))
    before, refused, after = accept(
        bench,
        ("wms", [message("A", 2, key="before")]),
        ("wms", [message("A", 3, key="lost"), message("A", 4, key="k")]),
        ("wms", [message("A", 5, key="after")]),
    )
    assert isinstance(refused, Refused)
    assert "intake 1" in str(refused)
    assert (seqs(before), seqs(after)) == ([2], [3])
    assert intake.lookup(bench.connection, bench.journal.names, bench.journal.keys, "wms", "lost") is None
    assert books.read(bench.connection).facts == 3
    assert bench.value("SELECT count(*) FROM bodies") == 3


def test_two_bodies_under_one_key_in_one_call_are_refused(bench: Bench) -> None:
    with pytest.raises(Refused, match="in the same request"):
        bench.accept(message("A", 1, key="k"), message("A", 2, key="k"))
    assert books.read(bench.connection).facts == 0


def test_calls_of_one_change_see_each_other(bench: Bench) -> None:
    first, again, conflict = accept(
        bench,
        ("wms", [message("A", 1, key="k")]),
        ("wms", [message("A", 1, key="k"), message("A", 1, key="k")]),
        ("wms", [message("A", 2, key="k")]),
    )
    assert (seqs(first), seqs(again)) == ([1], [1, 1])
    assert isinstance(conflict, Refused)
    account = books.read(bench.connection)
    assert (account.facts, account.duplicates) == (1, 2)


def test_a_key_belongs_to_its_source(bench: Bench) -> None:
    (ours,) = bench.accept(message("A", 1, key="k"), source="wms")
    (theirs,) = bench.accept(message("A", 2, key="k"), source="carrier")
    assert (ours.seq, theirs.seq, theirs.duplicate) == (1, 2, False)
    found = intake.lookup(bench.connection, bench.journal.names, bench.journal.keys, "carrier", "k")
    assert found is not None
    assert found.seq == 2


def test_keys_whose_hashes_collide_are_still_different_keys(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "key_hash", lambda source, key: 7)
    (first,) = bench.accept(message("A", 1, key="one"))
    (second,) = bench.accept(message("A", 2, key="two"))
    (same_body,) = bench.accept(message("A", 1, key="three"))
    (elsewhere,) = bench.accept(message("A", 9, key="one"), source="carrier")
    assert not any(item.duplicate for item in (first, second, same_body, elsewhere))
    again = [item.seq for item in bench.accept(message("A", 1, key="one"), message("A", 2, key="two"))]
    assert again == [first.seq, second.seq]
    with pytest.raises(Refused):
        bench.accept(message("A", 3, key="two"))


def test_without_a_key_two_identical_messages_are_two_facts(bench: Bench) -> None:
    one, two = bench.accept(message(), message())
    assert (one.seq, two.seq, one.duplicate, two.duplicate) == (1, 2, False, False)
    assert books.read(bench.connection).duplicates == 0


def test_more_keys_than_one_statement_looks_for_are_all_found(bench: Bench) -> None:
    batch = [message("A", n, key=f"k{n}") for n in range(3 * keys.FIND_MAX + 5)]
    first = bench.accept(*batch)
    again = bench.accept(*batch)
    assert [item.seq for item in again] == [item.seq for item in first]
    assert all(item.duplicate for item in again)


def test_a_receipt_that_does_not_exist_is_none(bench: Bench) -> None:
    assert intake.lookup(bench.connection, bench.journal.names, bench.journal.keys, "wms", "never sent") is None


def test_a_position_is_a_number_an_instant_or_the_end(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for second in (10, 20, 20, 30):
        monkeypatch.setattr(support.clock, "now_us", lambda at=second: at * 1_000_000)
        bench.accept(message())
    at = lambda text, **end: intake.position(bench.connection, text, **end)  # noqa: E731
    assert (at(None), at(3), at("3"), at(99)) == (4, 3, 3, 5)
    assert (at("1970-01-01T00:00:20Z"), at("1970-01-01T00:00:20Z", end=True)) == (2, 3)
    assert (at("1970-01-01T00:00:05+00:00"), at("1970-01-01T00:00:31Z", end=True)) == (1, 4)
    for wrong in ("yesterday", "1970-01-01T00:00:20"):
        with pytest.raises(Permanent):
            at(wrong)


@pytest.mark.anyio
async def test_many_callers_at_once_with_one_key_make_one_fact(tmp_path: Path) -> None:
    receipts: list[Receipt] = []
    async with support.region(tmp_path) as kernel:

        async def send() -> None:
            receipts.extend(await support.accept(kernel, message(key="k")))

        async with anyio.create_task_group() as callers:
            for _ in range(40):
                callers.start_soon(send)
        account = await kernel.journal.read(books.read)
    assert (account.facts, account.duplicates) == (1, 39)
    assert sum(not receipt.duplicate for receipt in receipts) == 1
    assert len({(r.intake_seq, r.sha256, r.committed_at) for r in receipts}) == 1


@pytest.mark.parametrize("trace", ["00-" + "a" * 32, f"00-{'a' * 32}-{'b' * 16}-01\nentrepot-late:true", "\ud800"])
def test_what_is_said_beside_the_body_is_mended_and_never_fails_the_call(trace: str, bench: Bench) -> None:
    (receipt,) = bench.accept(Message(body=b"{}", content_type="text/\ud800", traceparent=trace))
    kept = bench.rows("SELECT content_type, traceparent FROM intake WHERE seq = ?", receipt.seq)
    assert kept == [("application/octet-stream", None)]


@pytest.mark.parametrize("correlation", ["", "00", "z" * 32, "a" * 33, "A" * 32])
def test_a_correlation_id_that_is_none_is_drawn_anew(correlation: str, bench: Bench) -> None:
    (receipt,) = bench.accept(Message(body=b"{}", correlation_id=correlation))
    ((kept,),) = bench.rows("SELECT correlation FROM intake WHERE seq = ?", receipt.seq)
    assert len(kept) == intake.CORRELATION_BYTES
    assert kept.hex() != correlation
