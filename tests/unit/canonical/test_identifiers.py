"""GS1 check digits, padded GTINs, units, and notes on quality that reject nothing."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.canonical import TYPES
from runtime.canonical.identifiers import check_digit, gtin14, quality_note
from runtime.canonical.quality import notes
from runtime.canonical.units import REC20, UNITS, unit_fields

GOOD = [("gtin", "6291041500213"), ("gtin", "96385074"), ("gtin", "036000291452"), ("sscc", "376104250021234569")]


@pytest.mark.parametrize(("scheme", "value"), GOOD)
def test_published_identifiers_have_no_note(scheme: str, value: str) -> None:
    assert quality_note(scheme, value) is None


@pytest.mark.parametrize(("scheme", "value"), GOOD)
def test_any_other_last_digit_is_noted(scheme: str, value: str) -> None:
    others = [value[:-1] + digit for digit in "0123456789" if digit != value[-1]]
    assert {quality_note(scheme, other) for other in others} == {f"{scheme}-check"}


@given(st.text("0123456789", min_size=17, max_size=17))
def test_a_number_with_its_own_check_digit_is_good(digits: str) -> None:
    assert quality_note("sscc", digits + check_digit(digits)) is None


@given(st.text("0123456789", min_size=12, max_size=12), st.integers(0, 11), st.integers(1, 9))
def test_one_wrong_digit_is_always_found(digits: str, place: int, shift: int) -> None:
    wrong = digits[:place] + str((int(digits[place]) + shift) % 10) + digits[place + 1 :]
    assert check_digit(wrong) != check_digit(digits)


@pytest.mark.parametrize("value", ["", "40123456789O1", "٤٠١٢٣٤٥٦٧٨٩٠١", "-123456789012"])
def test_what_is_no_row_of_digits_is_noted_as_such(value: str) -> None:
    assert quality_note("gln", value) == "gln-digits"


def test_a_wrong_length_is_noted_before_the_check_digit() -> None:
    assert quality_note("sscc", "12345") == "sscc-length"


def test_a_check_digit_of_letters_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="digits only"):
        check_digit("12A")


@pytest.mark.parametrize("value", [value for scheme, value in GOOD if scheme == "gtin"])
def test_padding_to_14_keeps_the_check_digit_right(value: str) -> None:
    assert len(gtin14(value)) == 14
    assert quality_note("gtin", gtin14(f" {value} ")) is None


def test_padding_leaves_what_is_no_gtin_alone() -> None:
    assert gtin14("12345") == "12345"
    assert gtin14("ACME-1") == "ACME-1"


@pytest.mark.parametrize("code", ["C62", "H87", "KGM", "LTR", "MTR", "EA", "XBX", "XPX"])
def test_common_trade_units_are_known(code: str) -> None:
    assert unit_fields(code) == (code, None)


@pytest.mark.parametrize("raw", ["pcs", "Stück", "PCE", "kgm", "BX"])
def test_an_unknown_unit_is_kept_raw_and_never_guessed(raw: str) -> None:
    assert unit_fields(raw) == (None, raw)


def test_a_blank_unit_says_nothing() -> None:
    assert unit_fields("  ") == (None, None)


def test_every_known_unit_fits_the_schema() -> None:
    struct: Any = TYPES["stock.snapshot"].struct
    for unit in UNITS:
        raw = {"occurred_at": "2026-01-01T00:00:00Z", "sku": "A", "on_hand": "1", "unit": unit}
        assert msgspec.convert(raw, struct, strict=False).unit == unit
    assert len(REC20) > 1700


def test_doubtful_identifiers_are_noted_with_their_path_and_still_accepted() -> None:
    raw = {
        "occurred_at": "2026-01-01T00:00:00Z",
        "shipment_id": "S1",
        "ship_to": {"gln": "4012345000000"},
        "lines": [
            {"sku": "A", "quantity": 1, "gtin": "06291041500213"},
            {"sku": "B", "quantity": 1, "gtin": "06291041500214", "sscc": "12"},
        ],
    }
    event = msgspec.convert(raw, TYPES["shipment.dispatched"].struct, strict=False)
    assert sorted(notes(event)) == [
        ("lines[].gtin", "gtin-check"),
        ("lines[].sscc", "sscc-length"),
        ("ship_to.gln", "gln-check"),
    ]


def test_an_event_without_identifiers_has_no_notes() -> None:
    raw = {"occurred_at": "2026-01-01T00:00:00Z", "document_id": "D1"}
    assert notes(msgspec.convert(raw, TYPES["document.rejected"].struct, strict=False)) == []
