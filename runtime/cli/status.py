"""`entrepot status`: the plain thing first, then the tables. Exit code: 0 fine, 1 warning, 2 critical."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from typing import Any

from runtime.errors import with_step

SAID = {"lane_fenced", "letters_waiting", "hub_away", "downlink_fenced", "target_disabled", "deliveries_waiting"}
"""Alerts whose sentences the status has anyway."""
CODES = {"ok": 0, "warning": 1, "critical": 2}
BOOKS = ("delivered", "withheld", "dead_lettered", "ignored", "expired", "pending")


def arguments(parser: ArgumentParser) -> None:
    """Nothing of its own."""
    parser.epilog = "Asks the running agent; reads the journal itself when none runs."


def run(options: Namespace) -> int:
    """See the module."""
    from runtime.cli import screen
    from runtime.cli.ask import asking

    with asking(options) as ask:
        status = ask("status")
    if options.json:
        screen.show_json(status)
    else:
        for level, sentence in sentences(status):
            screen.say(sentence, level)
        _tables(status)
    return CODES[status["level"]]


def sentences(status: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(level, sentence), the most important first."""
    name = f"{status['region']} ({status['environment']}, epoch {status['epoch']})"
    if not status["running"]:
        yield "warning", f"{name}: the agent is not running; this is what its journal says"
    else:
        yield "", f"{name}: running, version {status['version']}"
    if status["balanced"]:
        yield "ok", f"the books balance: {account(status)}"
    else:
        yield "critical", f"the books do not balance: {account(status)}; run `entrepot journal verify`, and report it"
    yield from _fences(status)
    yield from _hub(status)
    if status["letters"]:
        total = sum(status["letters"].values())
        parts = ", ".join(f"{source} {count:,}" for source, count in status["letters"].items())
        yield "warning", f"{total:,} rejected messages (letters) wait for you: {parts}; see `entrepot letters list`"
    yield from _inbound(status)
    for alert in status["alerts"]:
        if alert["name"] not in SAID:
            yield alert["severity"], with_step(alert["sentence"], alert["action"])
    for warning in status["warnings"]:
        yield "warning", f"warning: {warning}"


def account(status: dict[str, Any]) -> str:
    """`12 accepted = 9 delivered + 3 pending`."""
    parts = [f"{status[name]:,} {name.replace('_', '-')}" for name in BOOKS if status[name]]
    return f"{status['accepted']:,} accepted = {' + '.join(parts) or 'nothing yet'}"


def _fences(status: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, lane in status["lanes"].items():
        if lane["fenced"]:
            fence = lane["fence"] or {"reason": "", "action": ""}
            sentence = f"stopped sending on {name}, waiting for you (fenced: {lane['fenced']}): {fence['reason']}"
            yield "critical", with_step(sentence, fence["action"])


def _inbound(status: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for downlink in status.get("downlinks", []):
        fence = downlink["fence"]
        if fence is not None:
            sentence = f"headquarters ({downlink['region']}) is not read any more ({fence['kind']}): {fence['reason']}"
            yield "critical", with_step(sentence, fence["action"])
    for name, target in status.get("targets", {}).items():
        if not target["balanced"]:
            yield "critical", f"the books of target {name} do not balance; run `entrepot journal verify`, and report it"
        if target["disabled"] is not None:
            yield (
                "critical",
                f"target {name} wants no more: {target['disabled']}; then `entrepot deliveries enable {name}`",
            )
        if target["letters"]:
            waiting = f"{target['letters']:,} rejected deliveries to {name} wait for you"
            yield "warning", f"{waiting}; see `entrepot deliveries list --state letter`"


def _hub(status: dict[str, Any]) -> Iterator[tuple[str, str]]:
    from runtime.cli.screen import duration

    left = status["buffer_seconds_left"]
    room = f"; at this rate there is room for {duration(left)}" if left is not None else ""
    if not status["running"]:
        return
    if status["hub_connected"]:
        yield "ok", f"connected to the hub at {status['hub']}{room}"
    else:
        yield "warning", f"the hub is away; accepting goes on{room}"


def _revision(status: dict[str, Any]) -> str:
    found = status["revision"]
    if found is None:
        return "none: headquarters does not steer this region"
    now = f"revision {found['in_force']}" if found["in_force"] else "the local file alone"
    override = f", override until {found['override_until'][:16]} UTC" if found["override_until"] else ""
    newest = f"; revision {found['version']} is {found['stage']}" if found["stage"] else ""
    return f"{now}{override}{newest}"


def _deliveries(status: dict[str, Any]) -> None:
    from runtime.cli import screen

    if not status.get("targets"):
        return
    books = ("received", "delivered", "not_wanted", "dead_lettered", "expired", "pending")
    kinds = {True: "once", False: "at least once", None: ""}
    rows = [
        (name, target["reads"], kinds[target["idempotent"]], *(target[book] for book in books), target["trouble"])
        for name, target in status["targets"].items()
    ]
    print()
    screen.table(("target", "reads", "changed", *(book.replace("_", " ") for book in books), "trouble"), rows)


def _configuration(status: dict[str, Any]) -> str:
    since = f", in force since {status['config_since'][:19]}+00:00" if status["config_since"] else ""
    return f"{status['config'][:12]}{since}"


def _tables(status: dict[str, Any]) -> None:
    from runtime.cli import screen

    print()
    lanes = [
        (
            name,
            f"fenced: {lane['fenced']}" if lane["fenced"] else "sending" if status["hub_connected"] else "waiting",
            lane["queued"],
            lane["sealed"],
            lane["acked"],
            lane["hub_last"],
            screen.duration(lane["refill_horizon_seconds"]),
        )
        for name, lane in status["lanes"].items()
    ]
    screen.table(("lane", "state", "waiting", "sealed", "acked", "hub last", "refill reaches back"), lanes)
    _deliveries(status)
    print()
    used, budget = screen.size(status["disk_used_bytes"]), screen.size(status["disk_budget_bytes"])
    facts = [
        (
            "messages taken in",
            f"{status['facts']:,} ({status['duplicates']:,} repeats answered with their first receipt)",
        ),
        ("not yet translated", status["untranslated"]),
        ("disk", f"{used} of {budget} used; full in {screen.duration(status['buffer_seconds_left'])}"),
        ("signed checkpoints not yet at the hub", status["checkpoints_unsent"]),
        ("policy, key", f"{status['policy'][:12]}, {status['key_id']}"),
        ("configuration", _configuration(status)),
        ("revision of headquarters", _revision(status)),
    ]
    screen.table(("", ""), [(name, screen.cell(value)) for name, value in facts])
    notes = [(name, note) for name, lane in status["lanes"].items() for note in lane["notes"]]
    if notes:
        print()
        screen.table(("lane", "the hub could be safer"), notes)
