"""What people are told about a file or a value that cannot be used: in words, never in those of a library."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import pytest
from msgspec import Meta, Struct

from runtime.access.settings import RoleName
from runtime.config.load import convert, read_toml
from runtime.errors import ConfigError
from runtime.fleet.settings import Label, PublicKey


class Example(Struct, forbid_unknown_fields=True):
    seconds: Annotated[float, Meta(ge=0.1, le=3_600)] = 1.0
    status: Annotated[int, Meta(ge=200)] = 200
    keys: Annotated[tuple[PublicKey, ...], Meta(min_length=1)] = ("",)
    note: Annotated[str, Meta(max_length=3)] = ""
    on: bool = False
    roles: dict[RoleName, int] = {}
    labels: dict[str, Label] = {}
    since: datetime | None = None


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"seconds": 0}, "seconds: expected a number of at least 0.1"),
        ({"seconds": 9_999}, "seconds: expected a number of at most 3600"),
        ({"status": 99}, "status: expected a whole number of at least 200"),
        ({"status": "409"}, "status: expected a whole number, got a text"),
        ({"keys": []}, "keys: expected a list of at least 1 entries"),
        ({"keys": ["abc"]}, "keys[0]: write a public key: 32 bytes as Base64, 44 signs with = at the end"),
        ({"note": "long"}, "note: expected a text of at most 3 characters"),
        ({"on": 1}, "on: expected true or false, got a whole number"),
        ({"roles": {"Big": 1}}, "roles: a name in it: use only a-z, 0-9 and - (at most 40)"),
        ({"since": date(2026, 1, 1)}, "since: expected a time, for example 2026-01-01T00:00:00Z, got a date"),
        ({"labels": {"a": "ü"}}, "labels.a: use only letters, digits, . - and _ (at most 60)"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_in_plain_words(raw: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        convert(raw, Example, where="entrepot.toml")
    assert str(refused.value) == f"entrepot.toml: {said}"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_file_with_a_byte_order_mark_is_refused_with_the_way_out(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "entrepot.toml"
    path.write_text('region = "eu-de"', encoding)
    with pytest.raises(ConfigError, match="byte order mark") as refused:
        read_toml(path)
    assert refused.value.hint == "save it as UTF-8 without BOM"
