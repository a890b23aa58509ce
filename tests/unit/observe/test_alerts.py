"""Once when a state changes, a reminder while it lasts, once when it is over."""

from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.observe.alert_kinds import ALERTS
from runtime.observe.alerts import AlertBook, AlertSettings, Notice, notice_document
from runtime.observe.clockwatch import Reading

CANARY = "erika@example.org"


def at(seconds: float) -> Reading:
    return Reading(now_us=1_750_000_000_000_000 + round(seconds * 1_000_000), monotonic=50.0 + seconds)


def fence(book: AlertBook, seconds: float, *, state: str = "diverged", sentence: str = "fenced") -> str | None:
    notice = book.raise_alert("lane_fenced", "realtime", sentence, state=state, at=at(seconds))
    return notice.change if notice else None


def changes(notices: list[Notice]) -> list[str]:
    return [notice.change for notice in notices]


def test_an_alert_is_told_once_however_often_it_is_raised() -> None:
    book = AlertBook()
    assert [fence(book, s) for s in range(5)] == ["raised", None, None, None, None]


def test_another_kind_of_fence_on_the_same_lane_is_news() -> None:
    book = AlertBook()
    assert [fence(book, 0), fence(book, 1, state="stale_self"), fence(book, 2, state="stale_self")] == [
        "raised",
        "changed",
        None,
    ]


def test_a_worse_severity_is_news() -> None:
    book = AlertBook()
    first = book.raise_alert("letters_waiting", "wms", "1 letter", at=at(0))
    second = book.raise_alert("letters_waiting", "wms", "900 letters", severity="critical", at=at(1))
    assert first is not None
    assert second is not None
    assert (first.severity, second.severity, second.change) == ("warning", "critical", "changed")


def test_a_new_sentence_alone_is_kept_for_the_reminder() -> None:
    book = AlertBook(reminder_seconds=100)
    fence(book, 0, sentence="12 events wait")
    assert fence(book, 1, sentence="13 events wait") is None
    (reminder,) = book.due(at(100))
    assert (reminder.change, reminder.sentence) == ("reminder", "13 events wait")


def test_a_reminder_comes_each_period_and_not_before() -> None:
    book = AlertBook(reminder_seconds=100)
    fence(book, 0)
    assert [changes(book.due(at(s))) for s in (99, 100, 101, 199, 200)] == [[], ["reminder"], [], [], ["reminder"]]


def test_a_jump_of_the_wall_clock_neither_brings_nor_hides_a_reminder() -> None:
    book = AlertBook(reminder_seconds=100)
    fence(book, 0)
    assert book.due(Reading(now_us=at(10**8).now_us, monotonic=at(99).monotonic)) == []
    assert changes(book.due(Reading(now_us=0, monotonic=at(100).monotonic))) == ["reminder"]


def test_the_end_is_told_once_and_then_it_may_be_raised_anew() -> None:
    book = AlertBook()
    fence(book, 0)
    end = book.clear_alert("lane_fenced", "realtime", at=at(9))
    assert end is not None
    assert (end.change, end.since_us, end.at_us) == ("cleared", at(0).now_us, at(9).now_us)
    assert book.clear_alert("lane_fenced", "realtime", at=at(9)) is None
    assert fence(book, 10) == "raised"


def test_subjects_are_independent() -> None:
    book = AlertBook()
    for lane in ("realtime", "bulk"):
        assert book.raise_alert("lane_fenced", lane, "fenced", at=at(0))
    book.clear_alert("lane_fenced", "bulk", at=at(1))
    assert [alert.subject for alert in book.active()] == ["realtime"]
    assert book.counts() == {"lane_fenced": 1}


def test_a_hub_that_is_away_for_a_moment_is_not_told() -> None:
    book = AlertBook()
    assert book.raise_alert("hub_away", "", "away", at=at(0)) is None
    assert book.due(at(59)) == []
    assert book.clear_alert("hub_away", at=at(59)) is None


def test_a_hub_that_stays_away_is_told_after_a_minute_with_its_first_moment() -> None:
    book = AlertBook()
    book.raise_alert("hub_away", "", "away", at=at(0))
    book.raise_alert("hub_away", "", "away", at=at(30))
    (notice,) = book.due(at(60))
    assert (notice.change, notice.since_us) == ("raised", at(0).now_us)
    assert book.raise_alert("hub_away", "", "away", at=at(61)) is None


def test_an_action_that_is_not_given_comes_from_the_table() -> None:
    notice = AlertBook().raise_alert("disk_full", "", "0 bytes left", at=at(0))
    assert notice is not None
    assert notice.action == ALERTS["disk_full"].what_to_do


def test_a_name_that_is_not_in_the_table_is_our_own_bug() -> None:
    with pytest.raises(KeyError):
        AlertBook().raise_alert("surprise", "", "?", at=at(0))


def test_what_a_partner_wrote_does_not_become_a_subject_or_an_address_in_a_sentence() -> None:
    notice = AlertBook().raise_alert(
        "letters_waiting", "Erika Mustermann", f"from {CANARY}", f"write {CANARY}", at=at(0)
    )
    assert notice is not None
    document = msgspec.json.encode(notice_document(notice, region="eu-de", environment="test")).decode()
    assert "Erika" not in document
    assert CANARY not in document


def test_the_number_of_alerts_is_bounded_and_the_overflow_is_counted() -> None:
    book = AlertBook(active_max=3)
    for number in range(10):
        book.raise_alert("letters_waiting", f"source-{number}", "letters", at=at(0))
    assert len(book.active()) == 3
    assert book.refused == 7


def test_critical_alerts_come_first_and_then_the_oldest() -> None:
    book = AlertBook()
    book.raise_alert("letters_waiting", "old", "letters", at=at(0))
    book.raise_alert("lane_fenced", "b", "fenced", at=at(2))
    book.raise_alert("lane_fenced", "a", "fenced", at=at(1))
    assert [alert.subject for alert in book.active()] == ["a", "b", "old"]


@given(st.lists(st.sampled_from(["raise", "raise2", "clear", "due"]), max_size=60))
def test_people_always_know_the_last_state(steps: list[str]) -> None:
    book, raised, told = AlertBook(reminder_seconds=1e9), False, False
    for number, step in enumerate(steps):
        notices = book.due(at(number)) if step == "due" else []
        if step.startswith("raise"):
            raised = True
            notices = [n for n in [book.raise_alert("disk_full", "", "x", state=step, at=at(number))] if n]
        elif step == "clear":
            raised = False
            notices = [n for n in [book.clear_alert("disk_full", at=at(number))] if n]
        for notice in notices:
            assert told != (notice.change == "raised")
            told = notice.change != "cleared"
        assert told == raised


def test_the_document_says_everything_a_person_needs_in_one_text() -> None:
    notice = AlertBook().raise_alert("lane_fenced", "realtime", "The hub holds another record at 17.", at=at(0))
    assert notice is not None
    document = notice_document(notice, region="eu-de", environment="test")
    assert document["text"] == (
        "[eu-de, critical] Stopped sending on a lane, waiting for you (fenced) (realtime): The hub holds another record "
        "at 17. What to do: Run `entrepot status`, read the kind of fence, and follow the runbook of that kind."
    )
    assert document["at"] == "2025-06-15T15:06:40.000000+00:00"


def test_two_notices_of_one_alert_have_different_ids() -> None:
    book = AlertBook(reminder_seconds=60)
    raised = book.raise_alert("disk_full", "", "full", at=at(0))
    assert raised is not None
    notices = [raised, *book.due(at(60)), *book.due(at(120))]
    assert len({notice_document(n, region="eu-de", environment="test")["id"] for n in notices}) == 3


@pytest.mark.parametrize("name", ALERTS)
def test_the_words_of_every_alert_are_sentences_without_jargon(name: str) -> None:
    kind = ALERTS[name]
    for text in (kind.what_it_means, kind.what_the_agent_did, kind.what_to_do):
        assert re.fullmatch(r"[A-Z].{20,200}[.]", text), text
    assert len(kind.title) <= 60
    assert not kind.title.endswith(".")


@pytest.mark.parametrize(
    "wrong",
    [{"webhook": "ftp://x"}, {"reminder_seconds": 1}, {"queue_max": 0}, {"timeout_seconds": 0}, {"colour": "red"}],
)
def test_settings_out_of_bounds_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, AlertSettings)


def test_settings_need_nothing() -> None:
    assert msgspec.convert({}, AlertSettings).reminder_seconds == 4 * 3_600
