"""Dotted paths: what they mean, how they are written back, and where a wrong one is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.mapping.paths import BadPath, Path, dotted, parse_path, pointer


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("kind", Path(("kind",))),
        ("order.no", Path(("order", "no"))),
        ("lines.0.sku", Path(("lines", 0, "sku"))),
        ("lines.-1.sku", Path(("lines", -1, "sku"))),
        ('"odd.key".x', Path(("odd.key", "x"))),
        ('"say \\"hi\\""', Path(('say "hi"',))),
        ('"0"', Path(("0",))),
        ("order no", Path(("order no",))),
        (".", Path(())),
        ("^", Path((), up=1)),
        ("^.no", Path(("no",), up=1)),
        ("^.^.no", Path(("no",), up=2)),
        ("root.no", Path(("no",), root=True)),
        ('"root".no', Path(("root", "no"))),
        ("007", Path(("007",))),
    ],
)
def test_a_path_means_what_it_says(text: str, path: Path) -> None:
    assert parse_path(text) == path


@pytest.mark.parametrize(
    ("text", "column"),
    [("", 1), (" a", 1), ("a ", 1), ("a.", 2), ("a..b", 3), (".a", 1), ('"open', 1), ('"a"b', 4), ("^x", 2), ("a^", 2)],
)
def test_a_wrong_path_is_refused_with_its_column(text: str, column: int) -> None:
    with pytest.raises(BadPath, match=rf"\(column {column}\)"):
        parse_path(text)


def test_a_path_has_a_bounded_number_of_parts() -> None:
    with pytest.raises(BadPath, match="at most 32 parts"):
        parse_path(".".join("a" * 33))


@given(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=5))
def test_any_keys_can_be_written_as_a_path(keys: list[str]) -> None:
    quoted = ".".join('"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"' for key in keys)
    assert parse_path(quoted).segments == tuple(keys)


def test_a_pointer_escapes_what_rfc_6901_asks_for() -> None:
    assert pointer(("a/b", "m~n", 0)) == "/a~1b/m~0n/0"


def test_paths_are_shown_the_way_they_are_written() -> None:
    assert dotted(("lines", "[]", "odd.key", 0)) == 'lines[]."odd.key".0'
    assert dotted(()) == "."
