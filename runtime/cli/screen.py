"""What people see: sentences and tables, with rich on a terminal and plain text in a pipe. JSON for programs.

Text that came from outside may hold control characters; they never reach the terminal.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Sequence
from typing import Any

STYLES = {"ok": "green", "warning": "yellow", "critical": "bold red"}


def show_json(answer: Any) -> None:
    """One JSON document on stdout."""
    print(json.dumps(answer, indent=2))


def say(sentence: str, level: str = "") -> None:
    """One sentence on stdout, coloured by its level (ok, warning, critical) on a terminal."""
    if level and sys.stdout.isatty():
        from rich.console import Console

        Console(highlight=False, soft_wrap=True).print(clean(sentence), style=STYLES[level], markup=False)
    else:
        print(clean(sentence))


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, title: str = "") -> None:
    """Rows under headings. Numbers stand right. The word ok, warning or critical is coloured."""
    texts = [[cell(value) for value in row] for row in rows]
    right = [all(isinstance(row[at], int | float) for row in rows) for at in range(len(columns))] if rows else []
    if sys.stdout.isatty():
        _rich_table(columns, texts, right, title)
    else:
        _plain_table(columns, texts, right, title)


def cell(value: Any) -> str:
    """`12,345`, `–` for nothing, a clean text for anything else."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return clean(str(value))


def clean(text: str) -> str:
    """Without control characters (terminals obey them) and without what cannot be printed."""
    return "".join("\N{REPLACEMENT CHARACTER}" if _hidden(c) else c for c in text)


def _hidden(character: str) -> bool:
    return character not in "\n\t" and unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co"}


def duration(seconds: float | None) -> str:
    """`3 d 4 h`, `5 min`, `12 s`."""
    if seconds is None:
        return "–"
    whole = int(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 7_200:
        return f"{whole // 60} min"
    if whole < 172_800:
        return f"{whole // 3_600} h {whole % 3_600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3_600} h"


def size(count: int) -> str:
    """`512 B`, `3.4 MiB`."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1_024 or unit == "GiB":
            break
        amount /= 1_024
    return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"


def _rich_table(columns: Sequence[str], texts: list[list[str]], right: list[bool], title: str) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(
        title=title or None,
        title_justify="left",
        box=None,
        pad_edge=False,
        header_style="bold",
        show_header=any(columns),
    )
    for at, column in enumerate(columns):
        drawn.add_column(column, justify="right" if right and right[at] else "left", overflow="fold")
    for row in texts:
        drawn.add_row(*(Text(text, style=STYLES.get(text, "")) for text in row))
    Console(highlight=False).print(drawn)


def _plain_table(columns: Sequence[str], texts: list[list[str]], right: list[bool], title: str) -> None:
    if title:
        print(title)
    lines = [list(columns), *texts] if any(columns) else texts
    widths = [max((len(line[at]) for line in lines), default=0) for at in range(len(columns))]
    for line in lines:
        parts = [
            text.rjust(width) if right and right[at] else text.ljust(width)
            for at, (text, width) in enumerate(zip(line, widths, strict=True))
        ]
        print("  ".join(parts).rstrip())
