"""A text with expressions in it: filled, or refused with a sentence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import ConfigError, Permanent
from runtime.rendering import compile_template

EVENT = {"type": "t", "data": {"id": "A/1", "n": 3, "ok": True, "none": None, "list": [1], "odd key": "x", "a}b": "y"}}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("", ""),
        ("plain", "plain"),
        ("{data.id}", "A/1"),
        ("x{data.id}y{data.n}", "xA/1y3"),
        ("{ data.ok }", "true"),
        ("{{{data.n}}}", "{3}"),
        ("{{data.n}}", "{data.n}"),
        ("{lower(data.id)}", "a/1"),
        ("{first(data.none, data.n)}", "3"),
        ('{path("data.a}b")}', "y"),
        ("{data['odd key']}", "x"),
        ("{len(data.list) == 1}", "true"),
    ],
)
def test_a_text_is_filled(text: str, filled: str) -> None:
    assert compile_template(text, "url").fill(EVENT) == filled


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "}",
        "{}",
        "{ }",
        "a{data.id",
        "a}b",
        "{data.id}}",
        '{"a}',
        "{data.id; data.n}",
        "{__import__('os')}",
        "{data.n + 1}",
    ],
)
def test_a_text_that_cannot_work_is_refused_with_the_setting_that_holds_it(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^url: "):
        compile_template(text, "url")


@pytest.mark.parametrize("text", ["{data.none}", "{data.nothing}", "{data.list}", "{data}", "{missing.deep.path}"])
def test_an_expression_without_a_plain_value_is_a_letter_that_names_it(text: str) -> None:
    with pytest.raises(Permanent, match=r"^\{") as caught:
        compile_template(text, "url").fill(EVENT)
    assert text in str(caught.value)


@given(st.text(alphabet=st.sampled_from("{}\"'ab.()[] ,=<>\\\n\0é")))
def test_no_text_ends_in_anything_but_a_text_or_a_sentence(text: str) -> None:
    try:
        compile_template(text, "url").fill(EVENT)
    except (ConfigError, Permanent):
        return
