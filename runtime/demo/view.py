"""The live picture of a running demo, drawn with rich, and the plain lines where there is no terminal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from runtime.cli.screen import clean, duration, size

ALERTS_MAX = 5
RUBBISH = '{"kind": "PICK"}'


class Facts(Struct, frozen=True, kw_only=True):
    """What one picture shows."""

    seconds: float
    status: Mapping[str, Any] | None
    """None before the first answer."""
    answering: bool
    rates: Mapping[str, float]
    """accepted and acked, events a second."""
    hub_pid: int | None
    hub_starts: int
    agent_pid: int | None
    agent_starts: int
    receipts: int
    retries: int
    gateway_url: str
    command: str
    config: Path
    stopping: str = ""


def picture(facts: Facts) -> RenderableType:
    """Everything at once; drawn again twice a second."""
    parts: list[RenderableType] = [_head(facts)]
    if facts.status is not None:
        parts += [_books(facts, facts.status), _lanes(facts.status)]
        parts += _alerts(facts.status)
    parts.append(_footer(facts))
    return Group(*parts)


def line(facts: Facts) -> str:
    """One line for a log."""
    status = facts.status
    if status is None:
        return f"{facts.seconds:5.0f} s  starting"
    acked = sum(lane["acked"] for lane in status["lanes"].values())
    waiting = "" if facts.answering else "  (the agent is away)"
    letters = sum(status["letters"].values())
    return (
        f"{facts.seconds:5.0f} s  accepted {status['accepted']:,}  acked {acked:,}  pending {status['pending']:,}"
        f"  letters {letters:,}  repeats {status['duplicates']:,}{waiting}"
    )


def _head(facts: Facts) -> Text:
    text = Text()
    text.append(f" region eu-de, {duration(facts.seconds)}  ", style="bold")
    if facts.stopping:
        text.append(facts.stopping, style="yellow")
    elif facts.status is None or facts.agent_pid is None:
        text.append("the agent is being started", style="yellow")
    elif not facts.answering:
        text.append("the agent does not answer; partners keep their messages and try again", style="yellow")
    elif any(lane["fenced"] for lane in facts.status["lanes"].values()):
        text.append("stopped sending on a lane, waiting for you (fenced)", style="bold red")
    elif not facts.status["hub_connected"]:
        text.append("the hub is away; accepting goes on", style="yellow")
    elif facts.status["balanced"]:
        text.append("the books balance", style="green")
    else:
        text.append("the books do not balance", style="bold red")
    text.append(f"   started: agent {facts.agent_starts}×, hub {facts.hub_starts}×", style="dim")
    return text


def _books(facts: Facts, status: Mapping[str, Any]) -> Table:
    drawn = Table(expand=False, header_style="bold", title_justify="left")
    names = ("messages", "translated", "accepted", "delivered", "withheld", "ignored", "letters", "pending", "repeats")
    for name in (*names, "full in"):
        drawn.add_column(name, justify="right")
    left = status["buffer_seconds_left"]
    values = (
        status["facts"],
        status["facts"] - status["untranslated"],
        status["accepted"],
        status["delivered"],
        status["withheld"],
        status["ignored"],
        status["dead_lettered"],
        status["pending"],
        status["duplicates"],
    )
    drawn.add_row(*(f"{value:,}" for value in values), duration(left))
    drawn.caption = (
        f"{facts.rates['accepted']:,.0f} accepted/s, {facts.rates['acked']:,.0f} acked/s; "
        f"{size(status['disk_used_bytes'])} on disk; partners hold {facts.receipts:,} receipts, {facts.retries:,} retries"
    )
    return drawn


def _lanes(status: Mapping[str, Any]) -> Table:
    drawn = Table(expand=False, header_style="bold")
    drawn.add_column("lane")
    for name in ("lag", "sealed", "acked", "hub last"):
        drawn.add_column(name, justify="right")
    drawn.add_column("state")
    for name, lane in status["lanes"].items():
        state = f"fenced: {lane['fenced']}" if lane["fenced"] else "sending" if status["hub_connected"] else "waiting"
        last = "–" if lane["hub_last"] is None else f"{lane['hub_last']:,}"
        drawn.add_row(name, f"{lane['queued']:,}", f"{lane['sealed']:,}", f"{lane['acked']:,}", last, state)
    return drawn


def _alerts(status: Mapping[str, Any]) -> list[Text]:
    """What somebody should know, each sentence once, with all that it is about."""
    subjects: dict[str, list[str]] = {}
    for alert in status["alerts"]:
        subjects.setdefault(alert["sentence"], []).append(alert["subject"])
    told = [f"{', '.join(filter(None, about))}: {sentence}".removeprefix(": ") for sentence, about in subjects.items()]
    return [Text(f"! {clean(sentence)}", style="yellow") for sentence in told[:ALERTS_MAX]]


def _footer(facts: Facts) -> Panel:
    hub, agent = facts.hub_pid or "…", facts.agent_pid or "…"
    text = Text(overflow="fold")
    for what, command in (
        ("stop the hub", f"kill -STOP {hub}     go on: kill -CONT {hub}"),
        ("kill the hub", f"kill -9 {hub}"),
        ("kill the agent", f"kill -9 {agent}"),
        (
            "send rubbish",
            f"curl -H 'Content-Type: application/json' -d '{RUBBISH}' {facts.gateway_url}/in/wms",
        ),
        ("see the letters", f"{facts.command} letters list --config {facts.config}"),
        ("ask the agent", f"{facts.command} status --config {facts.config}"),
    ):
        text.append(f"{what:16}", style="bold")
        text.append(f"{command}\n")
    text.append("Ctrl-C", style="bold")
    text.append("          end in order: partners stop, everything is delivered and proven")
    return Panel(text, title="try it, in another terminal; nothing gets lost", title_align="left", border_style="dim")
