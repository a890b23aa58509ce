"""docs/security.md: every row has a number of its own, and names a test that exists, a document, or why it is not met."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from tests.tidy import tree
from tests.tidy.test_documents import TEST_ID

PAGE = (tree.ROOT / "docs" / "security.md").read_text("utf-8")
ROW = re.compile(
    r"^\| (?P<number>\d+\.\d+\.\d+) \| (?P<asks>[^|]+) \| (?P<how>[^|]+) \| (?P<shown>[^|]+) \|$", re.MULTILINE
)
ROWS = list(ROW.finditer(PAGE))
CHAPTERS = {1, 2, 4, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16}


def numbered(number: str) -> tuple[int, ...]:
    return tuple(int(part) for part in number.split("."))


def test_every_row_is_read_and_every_chapter_has_some() -> None:
    assert len(ROWS) == len(re.findall(r"^\| \d", PAGE, re.MULTILINE)), "a row has four cells"
    assert {numbered(row["number"])[0] for row in ROWS} == CHAPTERS
    assert len(ROWS) > 80


def test_numbers_stand_once_and_in_order() -> None:
    numbers = [numbered(row["number"]) for row in ROWS]
    assert numbers == sorted(numbers)
    assert not [number for number, times in Counter(numbers).items() if times > 1]


def test_every_row_says_what_shows_it() -> None:
    silent = [
        row["number"]
        for row in ROWS
        if not (
            TEST_ID.search(row["shown"]) or row["shown"] == "document" or re.match(r"not met.*: .{20}", row["shown"])
        )
    ]
    assert not silent


def test_every_test_that_a_row_names_exists() -> None:
    missing = []
    for row in ROWS:
        for file, name in TEST_ID.findall(row["shown"]):
            known = {f.name for f in tree.functions(Path(file))} if (tree.ROOT / file).is_file() else set()
            if name not in known:
                missing.append(f"{row['number']}: {file}::{name}")
    assert not missing, "\n".join(missing)


def test_the_threat_model_has_ten_lines_and_somebody_to_tell() -> None:
    model = PAGE.partition("## Threat model\n")[2].partition("\n## ")[0]
    assert re.findall(r"^(\d+)\. ", model, re.MULTILINE) == [str(number) for number in range(1, 11)]
    assert "Report a weakness to `" in PAGE
