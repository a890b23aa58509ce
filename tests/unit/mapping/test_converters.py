"""The named converters: exact, bounded, and never guessing."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.canonical.units import UNITS
from runtime.mapping.converters import CONVERTERS, SPELLINGS
from runtime.mapping.faults import Bad


@pytest.mark.parametrize(
    ("name", "value", "result"),
    [
        ("decimal", "75.000", Decimal("75.000")),
        ("decimal", 3, Decimal(3)),
        ("decimal", " -1.5 ", Decimal("-1.5")),
        ("decimal", "12.50-", Decimal("-12.50")),
        ("decimal", ".5", Decimal("0.5")),
        ("decimal", "1e3", Decimal(1000)),
        ("decimal", Decimal("1E+5"), Decimal(100000)),
        ("decimal", "  ", None),
        ("decimal_comma", "1.234,50", Decimal("1234.50")),
        ("decimal_comma", "75.000", Decimal(75000)),
        ("decimal_comma", "1 234 567,8", Decimal("1234567.8")),
        ("decimal_comma", "12,5-", Decimal("-12.5")),
        ("decimal_comma", 12, Decimal(12)),
        ("money_implied2", "12345", Decimal("123.45")),
        ("money_implied2", 5, Decimal("0.05")),
        ("unless_zero", 0, None),
        ("unless_zero", "00", None),
        ("unless_zero", 26, "26"),
        ("absolute", "-12.50", Decimal("12.50")),
        ("absolute", 3, Decimal(3)),
        ("absolute", " ", None),
        ("utc", "2026-03-02T09:15:00", datetime(2026, 3, 2, 9, 15, tzinfo=UTC)),
        ("utc", "2026-03-02T09:15:00+01:00", datetime(2026, 3, 2, 8, 15, tzinfo=UTC)),
        ("integer", "42", 42),
        ("integer", Decimal("3.0"), 3),
        ("float", "53.5", 53.5),
        ("boolean", "Y", True),
        ("boolean", 0, False),
        ("boolean", False, False),
        ("string", 4711, "4711"),
        ("string", Decimal("1E+2"), "100"),
        ("strip", "  x ", "x"),
        ("strip", "   ", None),
        ("upper", "de", "DE"),
        ("lower", "WEB", "web"),
        ("strip_zeros", "000000000000004711", "4711"),
        ("strip_zeros", "000", "0"),
        ("unpad", "000000000000004711", "4711"),
        ("unpad", "000", None),
        ("unpad", "00-A7 ", "00-A7"),
        ("negated", "12.500", Decimal("-12.500")),
        ("negated", "12.500-", Decimal("12.500")),
        ("unit", "kg", "KGM"),
        ("unit", "H87", "H87"),
        ("gtin14", "4006381333931", "04006381333931"),
        ("gtin14", 4006381333931, "04006381333931"),
        ("gtin14", "not one", "notone"),
        ("sscc18", "(00) 340123450000000017", "340123450000000017"),
        ("gln13", "40 12345 00000 9", "4012345000009"),
    ],
)
def test_a_converter_gives(name: str, value: Any, result: Any) -> None:
    found = CONVERTERS[name](value)
    assert found == result
    assert type(found) is type(result)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("decimal", "1.234,50"),
        ("decimal", "1,5"),
        ("decimal", "NaN"),
        ("decimal", "Infinity"),
        ("decimal", "1_000"),
        ("decimal", "١٢"),
        ("decimal", "9" * 60),
        ("decimal", "1e99"),
        ("decimal", Decimal("NaN")),
        ("decimal", Decimal("1E+999")),
        ("decimal", True),
        ("decimal", []),
        ("decimal_comma", "1.23.4"),
        ("decimal_comma", "1,2,3"),
        ("decimal_comma", ","),
        ("money_implied2", "123.45"),
        ("integer", "1.5"),
        ("integer", 2**63),
        ("integer", True),
        ("integer", "9" * 5000),
        ("boolean", "ja"),
        ("boolean", 2),
        ("string", True),
        ("string", {}),
        ("unit", "ST"),
        ("unit", "crate of something"),
    ],
)
def test_a_converter_refuses(name: str, value: Any) -> None:
    with pytest.raises(Bad):
        CONVERTERS[name](value)


def test_every_everyday_unit_is_a_known_code() -> None:
    assert set(SPELLINGS.values()) <= UNITS


FOREIGN = st.one_of(
    st.text(max_size=30), st.integers(), st.decimals(), st.booleans(), st.lists(st.none(), max_size=1), st.just({})
)


@given(st.sampled_from(sorted(CONVERTERS)), FOREIGN)
def test_no_value_makes_a_converter_fail_in_another_way_than_refusing_it(name: str, value: Any) -> None:
    with suppress(Bad):
        assert CONVERTERS[name](value) != []


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**12), max_value=10**12))
def test_a_decimal_survives_as_text_exactly(number: Decimal) -> None:
    assert CONVERTERS["decimal"](str(number)) == number
    assert CONVERTERS["decimal_comma"](f"{number:,}".translate(str.maketrans(",.", ".,"))) == number
