"""What people see cannot play tricks on their terminal, and says the plain thing."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.cli import screen
from runtime.cli.status import account, sentences

STATUS: dict[str, Any] = {
    "region": "eu-de", "environment": "test", "epoch": 1, "version": "1", "running": True, "balanced": True,
    "accepted": 12, "delivered": 9, "withheld": 0, "dead_lettered": 1, "ignored": 0, "expired": 0, "pending": 2,
    "lanes": {"realtime": {"fenced": None, "fence": None}}, "hub_connected": True, "hub": "nats://h",
    "buffer_seconds_left": None, "letters": {}, "alerts": [], "warnings": [],
}  # fmt: skip


@pytest.mark.parametrize("text", ["\x1b[2Jgone", "a\rb", "\x9b31m", "x\u202etxt", "\x07", "\ud800"])
def test_control_characters_never_reach_the_terminal(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    screen.say(text)
    screen.table(("a",), [(text,)])
    shown = capsys.readouterr().out
    assert not set(shown) & {"\x1b", "\r", "\x9b", "\u202e", "\x07", "\ud800"}
    assert "\N{REPLACEMENT CHARACTER}" in shown


def test_a_plain_table_has_its_numbers_right(capsys: pytest.CaptureFixture[str]) -> None:
    screen.table(("lane", "acked"), [("bulk", 5), ("realtime", 12_345)])
    assert capsys.readouterr().out == "lane       acked\nbulk           5\nrealtime  12,345\n"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, "–"), (5, "5 s"), (600, "10 min"), (9_000, "2 h 30 min"), (200_000, "2 d 7 h")],
)
def test_a_duration_is_readable(seconds: float | None, shown: str) -> None:
    assert screen.duration(seconds) == shown


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0 B"), (1_500, "1.5 KiB"), (10 * 1024**3, "10.0 GiB"), (900 * 1024, "900 KiB")]
)
def test_a_size_is_readable(count: int, shown: str) -> None:
    assert screen.size(count) == shown


def test_the_account_adds_up_in_words() -> None:
    assert account(STATUS) == "12 accepted = 9 delivered + 1 dead-lettered + 2 pending"


def test_a_fence_is_told_in_plain_words_with_what_to_do() -> None:
    fence = {"reason": "The hub holds another record.", "action": "Find the other agent."}
    status = STATUS | {"lanes": {"realtime": {"fenced": "diverged", "fence": fence}}}
    told = {text: level for level, text in sentences(status)}
    sentence = (
        "stopped sending on realtime, waiting for you (fenced: diverged): "
        "The hub holds another record. Find the other agent."
    )
    assert told[sentence] == "critical"


def test_books_that_do_not_balance_are_critical() -> None:
    levels = [level for level, text in sentences(STATUS | {"balanced": False}) if "do not balance" in text]
    assert levels == ["critical"]


def test_a_hub_that_is_away_comes_with_the_time_left() -> None:
    texts = [text for _, text in sentences(STATUS | {"hub_connected": False, "buffer_seconds_left": 7_200})]
    assert "the hub is away; accepting goes on; at this rate there is room for 2 h 0 min" in texts
