"""What a measure hands back, and how it is shown: rounds with min, median and max, a ratio, a verdict.

Where a row has both a ratio and a figure to reach, the ratio counts; the figure is shown beside it.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct, to_builtins
from rich.console import Console
from rich.table import Table

T = TypeVar("T")
MET, MISSED, SEEN = "met", "missed", "seen"


class Figure(Struct, frozen=True):
    """One quantity over all rounds; `values` in the order they were taken."""

    unit: str
    values: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def summary(self) -> dict[str, Any]:
        return {
            "unit": self.unit,
            "min": min(self.values),
            "median": self.median,
            "max": max(self.values),
            "values": self.values,
        }


class Goal(Struct, frozen=True, kw_only=True):
    """What to reach: a ratio ours/peer (counts first), or a figure; `most` turns both into ceilings."""

    ratio: float | None = None
    figure: float | None = None
    most: bool = False
    also_figure: float | None = None
    """Shown, never judged: the figure that stands beside a ratio."""

    def text(self) -> str:
        sign = "≤" if self.most else "≥"
        parts = [] if self.ratio is None else [f"{sign} {self.ratio:g} × peer"]
        parts += [f"{sign} {self.figure:,g}"] if self.figure is not None else []
        parts += [f"(about {self.also_figure:,g})"] if self.also_figure is not None else []
        return " ".join(parts) or "–"

    def holds(self, ours: float, ratio: float | None) -> bool:
        checks = []
        if self.ratio is not None and ratio is not None:
            checks.append(ratio <= self.ratio if self.most else ratio >= self.ratio)
        if self.figure is not None:
            checks.append(ours <= self.figure if self.most else ours >= self.figure)
        return all(checks)


class Row(Struct, frozen=True, kw_only=True):
    """One line of the table. `valid` is False when a check inside the measure failed; then nothing is met."""

    measure: str
    what: str
    ours: Figure | None = None
    peer: Figure | None = None
    peer_name: str = ""
    goal: Goal = Goal()
    note: str = ""
    valid: bool = True

    @property
    def ratio(self) -> float | None:
        """Median of the round-by-round ratios where rounds pair up, else the ratio of medians."""
        if self.ours is None or self.peer is None:
            return None
        if len(self.ours.values) == len(self.peer.values):
            return statistics.median(o / p for o, p in zip(self.ours.values, self.peer.values, strict=True))
        return self.ours.median / self.peer.median

    @property
    def verdict(self) -> str:
        if self.ours is None or self.goal == Goal():
            return SEEN
        return MET if self.valid and self.goal.holds(self.ours.median, self.ratio) else MISSED

    def document(self) -> dict[str, Any]:
        return {
            "measure": self.measure,
            "what": self.what,
            "ours": self.ours.summary() if self.ours else None,
            "peer": self.peer.summary() if self.peer else None,
            "peer_name": self.peer_name,
            "ratio": self.ratio,
            "goal": to_builtins(self.goal),
            "verdict": self.verdict,
            "valid": self.valid,
            "note": self.note,
        }


def interleave(calls: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """Run every call once per round, in turn, so that a slow minute of the machine hits both sides."""
    values: dict[str, list[T]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            values[name].append(call())
    return values


def _number(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return "–"
    spread = f"\n[dim]{_number(min(figure.values))} … {_number(max(figure.values))}[/]" if figure.values[1:] else ""
    return f"{_number(figure.median)} {figure.unit}{spread}"


def table(rows: list[Row]) -> Table:
    """Median on the first line of a cell, min … max below it."""
    view = Table(title="Entrepot benchmarks: median, min … max", show_lines=True)
    for heading in ("measure", "ours", "peer", "ratio", "to reach", "", "note"):
        view.add_column(heading, overflow="fold")
    colours = {MET: "green", MISSED: "red", SEEN: "dim"}
    for row in rows:
        ratio = "–" if row.ratio is None else f"{row.ratio:.2f} ×"
        peer = _cell(row.peer) + (f"\n[dim]{row.peer_name}[/]" if row.peer else "")
        verdict = f"[{colours[row.verdict]}]{row.verdict}[/]"
        view.add_row(f"{row.what}", _cell(row.ours), peer, ratio, row.goal.text(), verdict, row.note)
    return view


def write(rows: list[Row], machine: dict[str, Any], directory: Path, started: str) -> Path:
    """`bench/out/<started>.json`, and the same as `latest.json`."""
    directory.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"machine": machine, "rows": [row.document() for row in rows]}, indent=2, ensure_ascii=False)
    path = directory / f"{started.replace(':', '')}.json"
    path.write_text(text + "\n")
    (directory / "latest.json").write_text(text + "\n")
    return path


def show(rows: list[Row], machine: dict[str, Any], console: Console) -> None:
    console.print(table(rows))
    console.print("  ".join(f"[dim]{name}[/] {value}" for name, value in machine.items()))
