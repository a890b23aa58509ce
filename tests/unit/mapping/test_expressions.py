"""`when` and `where`: what can be said, what it means on any message, and what cannot be said."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.envelope import Event
from runtime.errors import ConfigError
from tests.support.mappings import STOCK, compiled, translate


def applies(expression: str, message: dict[str, Any]) -> bool:
    quoted = expression.replace("\\", "\\\\").replace('"', '\\"')
    mapping = compiled(
        f'unmatched = "ignore"\n[[outputs]]\ntype = "stock.snapshot"\nwhen = "{quoted}"\n[outputs.fields]\n'
        'sku = "sku"\non_hand = "qty"\noccurred_at = "at"'
    )
    return isinstance(translate(mapping, STOCK | message)[0], Event)


MESSAGE = {
    "kind": "SHIP",
    "n": 7,
    "price": 0.1,
    "flag": True,
    "none": None,
    "blank": "",
    "zero": 0,
    "tags": ["a", "b"],
    "o": {"status": "90", "order-no": "X", "0": "zero"},
    "from": "here",
    "rows": [{"id": 1}],
}


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("kind == 'SHIP' and o.status in ('90', '95')", True),
        ("kind == 'SHIP' and o.status not in ['90', '95']", False),
        ("kind != 'SHIP' or n >= 7", True),
        ("not flag", False),
        ("flag", True),
        ("flag is true", True),
        ("none is null", True),
        ("missing is null", True),
        ("missing.deeper.still == null", True),
        ("kind.deeper == null", True),
        ("exists(o.status) and not exists(o.other)", True),
        ("exists(blank)", False),
        ("exists(none)", False),
        ("exists(zero) and exists(flag) and exists(o)", True),
        ("blank is null", False),
        ("n > 6.5 and n < 7.5", True),
        ("n > -1", True),
        ("n > '6'", False),
        ("kind > 5", False),
        ("missing < 5", False),
        ("missing >= 5", False),
        ("flag < 5", False),
        ("price == 0.1", True),
        ("kind < 'T'", True),
        ("len(tags) == 2", True),
        ("len(missing) == 0", True),
        ("'a' in tags", True),
        ("'HI' in kind", True),
        ("'x' in missing", False),
        ("5 in kind", False),
        ("contains(tags, 'b')", True),
        ("startswith(kind, 'SH') and endswith(kind, 'IP')", True),
        ("startswith(n, 'SH')", False),
        ("lower(kind) == 'ship' and upper(o.status) == '90'", True),
        ("lower(n) == 7", True),
        ("first(missing, none, kind) == 'SHIP'", True),
        ("path('o.order-no') == 'X'", True),
        ("path('from') == 'here'", True),
        ("o['order-no'] == 'X'", True),
        ("rows[0].id == 1", True),
        ("rows[5].id == null", True),
        ("root.kind == 'SHIP'", True),
        ("(kind == 'SHIP')", True),
        ("true", True),
        ("false", False),
        ("o == 'x'", False),
        ("o in ('x', 'y')", False),
    ],
)
def test_an_expression_means(expression: str, result: bool) -> None:
    assert applies(expression, MESSAGE) is result


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("kind = 'SHIP'", "not an expression"),
        ("kind == ", "not an expression"),
        ("kind == 'SHIP", "(column 9)"),
        (
            "order-no == 'X'",
            'arithmetic is not allowed here; a key with a hyphen is written path("order-no") (column 1)',
        ),
        ("__import__('os')", 'there is no function "__import__"'),
        ("lenn(tags)", "there is no function \"lenn\"; did you mean 'len'?"),
        ("kind.upper()", "only functions can be called (column 1)"),
        ("len(tags, 2)", "len takes 1 value, not 2"),
        ("len(*tags)", "len takes plain values"),
        ("(lambda: 1)()", "only functions can be called"),
        ("[x for x in tags]", "a comprehension is not allowed here"),
        ("f'{kind}'", "f-text is not allowed here"),
        ("kind if flag else n", "IfExp is not allowed here"),
        ("1 < n < 9", "one comparison at a time"),
        ("n ** 9999", "arithmetic"),
        ("tags[n]", "a key in brackets"),
        ("tags[0:2]", "a key in brackets"),
        ("kind in (n, 'x')", "a list holds texts"),
        ("n is 7", "write =="),
        ("-kind", "a sign stands before a number only"),
        ("b'x' == kind", "expected a text"),
        ("1j == n", "expected a text"),
        ("path(kind)", "path takes a text"),
        ("path('a..b')", "no path"),
        ("(" * 300 + "n" + ")" * 300, "expression"),
        ("not " * 100 + "n", "nested too deeply"),
        ("n == 1" + " or n == 1" * 150, "at most 500 parts"),
        ("n == '" + "x" * 2000 + "'", "at most 2000 characters"),
        ("kind\x00", "expression"),
        ("(yield)", "is not allowed"),
        ("(n := 5)", "is not allowed"),
    ],
)
def test_what_cannot_be_said_is_refused_with_its_place(expression: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        applies(expression.replace("\x00", "\\u0000") if "\x00" not in expression else expression, MESSAGE)
    assert words in str(caught.value) or "not valid TOML" in str(caught.value)
    assert "probe.toml" in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
EXPRESSIONS = (
    "a.b == 'x' or a.b < 5 or 'x' in a.c or contains(b, 1) or a[0] >= 'x'",
    "len(a) > 1 and startswith(a, b) or endswith(b.c, 'x') or lower(a) == upper(b)",
    "first(a.b, c) in ('x', 1, null, 2.5) or not exists(a[0].b) or c",
)
COMPILED = [
    compiled(
        f'unmatched = "ignore"\n[[outputs]]\ntype = "stock.snapshot"\nwhen = "{expression}"\n[outputs.fields]\n'
        'sku = { const = "A" }\non_hand = { const = 1 }\noccurred_at = { const = 2026-03-02T08:00:00Z }'
    )
    for expression in EXPRESSIONS
]


@given(st.dictionaries(st.sampled_from("abc"), JSON, max_size=3))
def test_a_condition_never_fails_on_a_message(message: dict[str, Any]) -> None:
    for mapping in COMPILED:
        assert len(mapping.run(message, 0)) == 1
