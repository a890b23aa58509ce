"""What a log line may say."""

from __future__ import annotations

import pytest

from runtime.errors import Permanent, Untranslatable
from runtime.observe.redact import HIDDEN, Redactor, clean_text, error_fields

CANARY = "Erika Mustermann"


def test_text_under_an_unlisted_name_is_hidden_without_its_length() -> None:
    assert Redactor().fields({"remark": CANARY, "remark2": CANARY * 9}) == {"remark": HIDDEN, "remark2": HIDDEN}


def test_text_under_a_listed_name_is_shown() -> None:
    assert Redactor().fields({"source": "wms", "lane": "bulk"}) == {"source": "wms", "lane": "bulk"}


def test_numbers_and_booleans_pass_under_any_harmless_name() -> None:
    assert Redactor().fields({"rows": 3, "late": True, "ratio": 0.5, "none": None}) == {
        "rows": 3,
        "late": True,
        "ratio": 0.5,
        "none": None,
    }


@pytest.mark.parametrize(
    "name", ["phone", "customer_id", "api_key", "Authorization", "password", "body", "x-signature"]
)
def test_a_guarded_name_hides_numbers_too(name: str) -> None:
    assert Redactor([name]).fields({name: 491701234567}) == {name: HIDDEN}


def test_a_count_of_something_guarded_is_a_number_and_passes() -> None:
    assert Redactor().fields({"body_bytes": 12, "body_bytes_max": CANARY}) == {
        "body_bytes": 12,
        "body_bytes_max": HIDDEN,
    }


def test_bytes_and_objects_are_hidden_even_under_a_listed_name() -> None:
    assert Redactor().fields({"source": b"wms", "reason": object()}) == {"source": HIDDEN, "reason": HIDDEN}


def test_a_guarded_name_inside_a_listed_mapping_stays_hidden() -> None:
    shown = Redactor().value("evidence", {"hub_chain": "1f2e", "token": "abc", "body": [CANARY]})
    assert shown == {"hub_chain": "1f2e", "token": HIDDEN, "body": HIDDEN}


def test_a_mapping_under_an_unlisted_name_shows_only_listed_names() -> None:
    assert Redactor().value("details", {"lane": "bulk", "note": CANARY}) == {"lane": "bulk", "note": HIDDEN}


def test_deep_and_long_values_are_cut() -> None:
    redactor = Redactor(items_max=3)
    assert redactor.value("notes", ["a"] * 9) == ["a", "a", "a"]
    assert CANARY not in str(redactor.value("notes", [[[[CANARY]]]]))


@pytest.mark.parametrize(
    "secret",
    [
        "erika@example.org",
        "nats://user:hunter2@hub:4222",
        "Bearer abcdef123456",
        "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIx.c2ln",
    ],
)
def test_addresses_and_credentials_are_cleaned_from_free_text(secret: str) -> None:
    cleaned = clean_text(f"refused {secret} by the hub")
    assert HIDDEN in cleaned
    assert secret not in cleaned
    assert "hunter2" not in cleaned


def test_free_text_is_one_line_of_bounded_length() -> None:
    cleaned = clean_text("a\nb\x1b[31m\u2028c" + "d" * 5_000, chars_max=50)
    assert len(cleaned) == 50
    assert cleaned.isprintable()


def test_a_foreign_error_shows_its_class_and_place_but_not_its_words() -> None:
    def convert() -> None:
        int(CANARY)

    with pytest.raises(ValueError) as caught:
        convert()
    fields = error_fields(caught.value)
    assert fields["error_class"] == "ValueError"
    assert fields["where"][-1].endswith(" convert")
    assert CANARY not in str(fields)


def test_our_own_error_shows_its_sentence_and_hint() -> None:
    fields = Redactor().fields({"error": Permanent("the stream is missing", hint="run topology apply")})
    assert fields == {"error_class": "Permanent", "reason": "the stream is missing", "hint": "run topology apply"}


def test_what_could_not_be_translated_is_not_quoted() -> None:
    error = Untranslatable(f"no such unit: {CANARY}", position="/lines/0", hint=f"map {CANARY}")
    assert CANARY not in str(Redactor().fields({"error": error}))


def test_a_system_error_shows_its_number_but_no_file_name() -> None:
    fields = error_fields(OSError(28, "No space left", CANARY))
    assert fields["errno"] == 28
    assert CANARY not in str(fields)
