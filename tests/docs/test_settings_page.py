"""docs/settings.md says what the code reads, all of it and nothing else."""

from __future__ import annotations

from pathlib import Path

from tests.docs.settings_page import FLEET_SECTIONS, SECTIONS, fleet_page, page, section

OWN_TABLE = {"table", "tables"}
PLAIN = {"`lane`", "`source`", "`secrets`", "`header`", "`encoding`"}
"""Said by the section they stand in."""
DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "settings.md").read_text(encoding="utf-8")


def test_the_page_is_what_the_code_says() -> None:
    assert page() == PAGE, "write it anew: python -m tests.docs.settings_page > docs/settings.md"


def test_the_page_of_the_fleet_is_what_the_code_says() -> None:
    page = (DOCS / "fleet-settings.md").read_text(encoding="utf-8")
    assert fleet_page() == page, "write it anew: python -m tests.docs.settings_page fleet > docs/fleet-settings.md"


def test_every_setting_says_what_it_does_or_is_plain_from_its_table() -> None:
    silent = [
        row.split("|")[1].strip()
        for title, kind in (*SECTIONS, *FLEET_SECTIONS)
        for row in section(title, kind).splitlines()
        if row.startswith("| `") and not row.split("|")[-2].strip() and row.split("|")[3].strip() not in OWN_TABLE
    ]
    assert set(silent) <= PLAIN, silent
