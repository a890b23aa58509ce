"""The documents are there, their links lead somewhere, and the promises name tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.tidy import tree

REQUIRED = (
    "README.md", "CHANGELOG.md", "LICENSE", "docs/decisions/0001-plain-top-level-packages.md", "docs/architecture.md",
    "docs/operations.md", "docs/record-format.md", "docs/settings.md", "docs/mappings.md",
    "docs/benchmarks.md", "tests/README.md",
)  # fmt: skip
PROMISES = (
    "Acceptance", "Order", "To the hub exactly once", "Effects", "Nothing silent",
    "Stop safely", "Offline", "Residency", "Configuration", "Evidence",
)  # fmt: skip
NOT_YET = "not yet"
MAY_BE_UNTESTED = frozenset[int]()
"""Promises whose row may say `not yet`. Shrunk with every row that was filled; it never grows."""
ROW = re.compile(r"\| *(?P<number>\d+) *\| *(?P<name>[^|]+?) *\|(?P<says>[^|]*)\| *(?P<tests>[^|]+?) *\|")
TEST_ID = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
LINK = re.compile(r"(?<!!)\[[^\]]+\]\((?P<target>[^)\s#]+)(?:#[^)]*)?\)")
FENCED = re.compile(r"```.*?```", re.DOTALL)
DECISIONS = sorted(Path(tree.ROOT, "docs", "decisions").glob("*.md"))


def promise_rows() -> list[re.Match[str]]:
    matches = (ROW.fullmatch(line.strip()) for line in (tree.ROOT / "README.md").read_text().splitlines())
    return [m for m in matches if m and m["name"] in PROMISES]


@pytest.mark.parametrize("name", REQUIRED)
def test_the_document_is_there(name: str) -> None:
    assert (tree.ROOT / name).read_text().strip()


def test_readme_lists_the_ten_promises_in_order() -> None:
    assert [(int(m["number"]), m["name"]) for m in promise_rows()] == list(enumerate(PROMISES, 1))


def test_every_promise_names_a_test_or_says_not_yet() -> None:
    silent = [m["name"] for m in promise_rows() if not TEST_ID.search(m["tests"]) and m["tests"] != NOT_YET]
    assert not silent


def test_only_promises_known_to_be_untested_say_not_yet() -> None:
    assert {int(m["number"]) for m in promise_rows() if m["tests"] == NOT_YET} <= MAY_BE_UNTESTED


def test_every_test_that_a_promise_names_exists() -> None:
    missing = []
    for row in promise_rows():
        for file, name in TEST_ID.findall(row["tests"]):
            known = {f.name for f in tree.functions(Path(file))} if (tree.ROOT / file).is_file() else set()
            if name not in known:
                missing.append(f"{row['name']}: {file}::{name}")
    assert not missing, "\n".join(missing)


def test_every_relative_link_leads_to_a_file() -> None:
    broken = []
    for document in (f for f in tree.files() if f.suffix == ".md"):
        for match in LINK.finditer(FENCED.sub("", tree.text(document) or "")):
            target = match["target"]
            elsewhere = "://" in target or target.startswith("mailto:")
            if not elsewhere and not (tree.ROOT / document.parent / target).exists():
                broken.append(f"{document}: {target}")
    assert not broken, "\n".join(broken)


def test_decisions_are_numbered_without_a_gap() -> None:
    assert [int(d.name[:4]) for d in DECISIONS] == list(range(1, len(DECISIONS) + 1))


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda d: d.stem)
def test_a_decision_has_its_context_itself_and_its_consequences(decision: Path) -> None:
    text = decision.read_text()
    assert text.startswith(f"# {int(decision.name[:4])}. ")
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## Context",
        "## Decision",
        "## Consequences",
    ]


def test_the_changelog_has_an_entry_for_the_version_or_for_what_comes_next() -> None:
    assert re.search(r"^## \[(?:Unreleased|\d+\.\d+\.\d+)\]", (tree.ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
