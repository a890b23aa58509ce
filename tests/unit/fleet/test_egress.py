"""What headquarters hears holds no partner's words."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.fleet.egress import DEPTH_MAX, ROWS_MAX, TEXT_CHARS_MAX, gate


@pytest.mark.parametrize(
    "text",
    [
        "unit 'CANARY' is not known",
        'the value "CANARY" is no date',
        "`CANARY` at /lines/0",
        "written by canary@example.org",
    ],
)
def test_what_a_text_quotes_from_a_message_is_gone(text: str) -> None:
    left = gate({"reason": text})["reason"]
    assert "canary" not in left.lower()
    assert "…" in left


def test_figures_and_our_own_sentences_stay() -> None:
    answer = {"pending": 3, "balanced": True, "level": None, "sentence": "the hub is away; accepting goes on"}
    assert gate(answer) == answer


def test_no_answer_grows_without_end() -> None:
    deep: Any = "end"
    for _ in range(DEPTH_MAX + 5):
        deep = [deep]
    assert str(gate(deep)).count("[") == DEPTH_MAX + 1
    assert len(gate("x" * 10_000)) == TEXT_CHARS_MAX
    assert len(gate(list(range(10_000)))) == ROWS_MAX
