"""No file speaks of the machine it was written on, names a package index, or leaves work for later."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tidy import tree

HOME_OR_WORK = re.compile(r"(?<![\w.}/-])/(?:root|work|home/\w+|Users/\w+)/")
PACKAGE_INDEX = re.compile(
    r"pypi[.]org|pythonhosted[.]org|registry[.]npmjs[.]|(?:deb|security|ftp)[.]debian[.]|[-]-(?:extra-)?index-url|[-]-find-links"
)
FOR_LATER = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
EXCUSED_TEST = re.compile(
    r"pytest\.mark\.(?:skip|xfail)|pytest\.(?:skip|xfail|importorskip)\(|@unittest\.skip|assert True\b"
)
LEGAL_TEXT = Path("LICENSE")
SELF = Path("tests/tidy/test_texts.py")


def found(pattern: re.Pattern[str], *, only: tuple[str, ...] = ()) -> Iterator[str]:
    for file in tree.files():
        if file == SELF or (only and file.parts[0] not in only):
            continue
        for number, line in enumerate((tree.text(file) or "").splitlines(), 1):
            if pattern.search(line):
                yield f"{file}:{number}: {line.strip()[:120]}"


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    wrong = list(found(HOME_OR_WORK))
    assert not wrong, "\n".join(wrong)


def test_no_file_names_a_package_index_or_its_host() -> None:
    wrong = list(found(PACKAGE_INDEX))
    assert not wrong, "\n".join(wrong)


def test_nothing_is_left_for_later() -> None:
    wrong = list(found(FOR_LATER))
    assert not wrong, "\n".join(wrong)


def test_no_test_is_skipped_excused_or_unable_to_fail() -> None:
    wrong = list(found(EXCUSED_TEST, only=("tests",)))
    assert not wrong, "\n".join(wrong)


def test_every_text_file_ends_with_one_line_feed_and_has_no_carriage_return() -> None:
    written = [f for f in tree.files() if f.suffix in {".py", ".toml", ".md", ".sql", ".txt", ".yml", ".json"}]
    wrong = []
    for file in written:
        if "samples" in file.parts or "fixtures" in file.parts or "golden" in file.parts:
            continue  # what partners send ends as it likes
        content = (tree.ROOT / file).read_bytes()
        if content and (b"\r" in content or not content.endswith(b"\n") or content.endswith(b"\n\n")):
            wrong.append(str(file))
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (HOME_OR_WORK, "data = '/home" + "/ada/state'"),
        (HOME_OR_WORK, "see /ro" + "ot/notes.md"),
        (PACKAGE_INDEX, "https://py" + "pi.org/simple"),
        (PACKAGE_INDEX, "pip install --index" + "-url X"),
        (FOR_LATER, "# TO" + "DO: later"),
        (EXCUSED_TEST, "@pytest.mark." + "skip"),
    ],
)
def test_each_pattern_finds_what_it_is_for(pattern: re.Pattern[str], line: str) -> None:
    assert pattern.search(line)
