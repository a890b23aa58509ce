"""What an answer means: stored, refused or unknown; and what may be on the wire meanwhile."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runtime import record
from runtime.envelope import Sealed
from sync.window import PROMPT_ROWS_MAX, Mode, Window
from tests.support.lanes import seal
from tests.support.uplinks import frames_of


def rows(first: int, last: int, *, size: int = 10) -> list[Sealed]:
    """Rows with any chain: a window does not look at it."""
    return [seal(record.GENESIS, seq, data=b"x" * size) for seq in range(first, last + 1)]


def window(mode: Mode = "fast", *, position: int = 0, rows_max: int = 1024, bytes_max: int = 1 << 20) -> Window:
    return Window(position, mode=mode, inbox="_INBOX.t", label="w", rows_max=rows_max, bytes_max=bytes_max)


def replies(written: bytes) -> list[bytes]:
    """Reply subjects of the frames in one write."""
    return [frame.split(b" ")[2] for frame in frames_of(written)]


def answer(to: Window, subject: bytes, **said: Any) -> None:
    to.answer(subject, b"", json.dumps(said).encode())


def error(code: int) -> dict[str, Any]:
    return {"code": 400, "err_code": code, "description": "no"}


def test_few_rows_go_as_one_committed_batch() -> None:
    subjects = replies(window().post(rows(1, 3)))
    assert subjects == [
        b"_INBOX.t.w-1.256.fail.1.0.$FI",
        b"_INBOX.t.w-1.256.fail.2.1.$FI",
        b"_INBOX.t.w-1.256.fail.3.2.$FI",
    ]


def test_every_row_carries_its_own_expected_sequence() -> None:
    frames = frames_of(window(position=7).post(rows(8, 10)))
    assert [f"Nats-Expected-Last-Sequence:{n}\r\n".encode() in frame for n, frame in enumerate(frames, 7)] == [True] * 3


def test_many_rows_keep_the_batch_open_with_the_last_row_held_back() -> None:
    opened = window()
    sent = replies(opened.post(rows(1, PROMPT_ROWS_MAX + 1)))
    assert len(sent) == PROMPT_ROWS_MAX
    more = replies(opened.post(rows(PROMPT_ROWS_MAX + 2, PROMPT_ROWS_MAX + 3)))
    assert [subject.split(b".")[-3] for subject in more] == [b"65", b"66"]
    assert replies(opened.finish())[0].endswith(b".67.2.$FI")


def test_a_new_batch_waits_for_the_answer_to_the_one_before() -> None:
    opened = window()
    last = replies(opened.post(rows(1, 3)))[-1]
    assert opened.room() == 0
    answer(opened, last, stream="S", seq=3, batch="w-1", count=3)
    assert opened.room() > 0
    assert b".w-2." in replies(opened.post(rows(4, 4)))[0]


def test_single_publishes_do_not_wait_for_each_other() -> None:
    opened = window("single")
    opened.post(rows(1, 3))
    assert opened.room() > 0


def test_a_flow_acknowledgement_counts_rows_of_its_batch() -> None:
    opened = window(position=100)
    last = replies(opened.post(rows(101, 200)))[-1]
    answer(opened, last, type="ack", seq=40, msgs=256)
    assert (opened.stored, opened.failure) == (140, None)


def test_the_first_flow_acknowledgement_stores_nothing() -> None:
    opened = window()
    answer(opened, replies(opened.post(rows(1, 3)))[0], type="ack", seq=0, msgs=256)
    assert opened.stored == 0


def test_a_server_that_asks_for_less_gets_less() -> None:
    opened = window(rows_max=1024)
    first = replies(opened.post(rows(1, 100)))[0]
    answer(opened, first, type="ack", seq=0, msgs=2)
    assert opened.room() == 0


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"error": error(10071), "stream": "S", "seq": 0}, "sequence"),
        ({"error": error(10164), "stream": "S", "seq": 0}, "sequence"),
        ({"error": error(10205), "stream": "S", "seq": 0}, "batching"),
        ({"error": error(10208), "stream": "S", "seq": 0}, "unknown"),
        ({"error": error(10077), "stream": "S", "seq": 0}, "refused"),
        ({"type": "err", "seq": 2, "error": error(10071)}, "sequence"),
        ({"type": "gap", "seq": 3, "last_seq": 2}, "unknown"),
        ({"stream": "S", "seq": 2, "batch": "w-1", "count": 2}, "unknown"),
        ({"stream": "S", "seq": 9, "batch": "w-1", "count": 3}, "unknown"),
        ({"type": "ack", "seq": 4, "msgs": 256}, "unknown"),
        ({}, "unknown"),
    ],
)
def test_what_is_no_plain_success_ends_the_window_and_stores_nothing(said: dict[str, Any], kind: str) -> None:
    opened = window()
    answer(opened, replies(opened.post(rows(1, 3)))[-1], **said)
    assert opened.failure is not None
    assert (opened.failure.kind, opened.stored) == (kind, 0)


@pytest.mark.parametrize(("headers", "data"), [(b"NATS/1.0 503\r\n\r\n", b""), (b"", b"{"), (b"", b""), (b"", b"[]")])
def test_an_unreadable_answer_is_an_unknown_result(headers: bytes, data: bytes) -> None:
    opened = window()
    opened.answer(replies(opened.post(rows(1, 1)))[0], headers, data)
    assert opened.failure is not None
    assert opened.failure.kind == "unknown"


def test_answers_of_an_earlier_batch_or_window_are_ignored() -> None:
    opened = window()
    old = replies(opened.post(rows(1, 3)))[-1]
    answer(opened, old, stream="S", seq=3, batch="w-1", count=3)
    opened.post(rows(4, 6))
    answer(opened, old, type="ack", seq=3, msgs=256)
    answer(opened, b"_INBOX.t.other-1.256.fail.3.2.$FI", error=error(10071))
    answer(opened, b"nonsense", error=error(10071))
    assert (opened.stored, opened.failure) == (3, None)


def test_a_single_row_stored_behind_an_unanswered_one_does_not_count_yet() -> None:
    opened = window("single")
    first, second, third = replies(opened.post(rows(1, 3)))
    answer(opened, third, stream="S", seq=3)
    answer(opened, second, stream="S", seq=2)
    assert opened.stored == 0
    answer(opened, first, stream="S", seq=1)
    assert opened.stored == 3


def test_a_row_stored_at_another_place_is_no_success() -> None:
    opened = window("single", position=4)
    answer(opened, replies(opened.post(rows(5, 5)))[0], stream="S", seq=6)
    assert (opened.stored, opened.failure is None) == (4, False)


def test_a_server_that_does_not_know_batches_is_understood_row_by_row() -> None:
    opened = window("fast")
    for seq, subject in enumerate(replies(opened.post(rows(1, 3))), 1):
        answer(opened, subject, stream="S", seq=seq)
    assert (opened.stored, opened.failure) == (3, None)


def test_the_byte_bound_holds_with_large_rows_and_one_always_goes() -> None:
    opened = window("single", bytes_max=10_000)
    assert opened.room() >= 1
    opened.post(rows(1, 1, size=50_000))
    assert opened.room() == 0


def test_an_open_batch_without_room_is_committed_to_get_an_answer() -> None:
    opened = window(bytes_max=70_000)
    opened.post(rows(1, PROMPT_ROWS_MAX + 10, size=2_000))
    assert (opened.room(), opened.starved) == (0, True)
    assert opened.finish()
    assert not opened.starved


def test_rows_with_a_gap_are_our_bug() -> None:
    with pytest.raises(AssertionError, match="without a gap"):
        window().post(rows(2, 3))
