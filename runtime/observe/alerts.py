"""Decides when somebody must be told: once when a state changes, a reminder while it lasts, once when it is over.

Pure: the caller passes a `Reading` of the clocks. Bounded: no more than `active_max` alerts at a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from runtime.clock import rfc3339
from runtime.observe.alert_kinds import ALERTS, Severity
from runtime.observe.clockwatch import Reading
from runtime.observe.redact import HIDDEN, clean_text

Change = Literal["raised", "changed", "reminder", "cleared"]
_SUBJECT = re.compile(r"[A-Za-z0-9._:/-]{0,80}")


class AlertSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[alerts]` of the configuration."""

    webhook: Annotated[str, Meta(pattern=r"^https?://[^\s]+$", max_length=2_048)] | None = None
    """Where each notice is posted as JSON; without it, alerts are in the log, the metrics and the status only."""
    reminder_seconds: Annotated[float, Meta(ge=60, le=604_800)] = 14_400.0
    """How often a lasting alert is told again."""
    timeout_seconds: Annotated[float, Meta(ge=0.1, le=120)] = 10.0
    """How long one delivery may take."""
    backoff_seconds_max: Annotated[float, Meta(ge=1, le=3_600)] = 60.0
    """Longest pause between two attempts."""
    queue_max: Annotated[int, Meta(ge=1, le=10_000)] = 256
    """Notices that wait for the webhook; beyond it the oldest is dropped, logged and counted."""


class Notice(Struct, frozen=True, kw_only=True):
    """One thing to tell. `subject` is the lane, source, step or key concerned, empty for the whole agent."""

    change: Change
    name: str
    subject: str
    severity: Severity
    sentence: str
    action: str
    since_us: int
    at_us: int

    @property
    def title(self) -> str:
        """The plain title of this kind of alert."""
        return ALERTS[self.name].title


class ActiveAlert(Struct, kw_only=True):
    """An alert that is raised now, as `entrepot status` shows it. `told`: somebody has been told."""

    name: str
    subject: str
    severity: Severity
    sentence: str
    action: str
    state: str
    since_us: int
    told: bool = False
    raised_at: float = 0.0
    told_at: float = 0.0


class AlertBook:
    """The alerts that are raised now. Names must be in `ALERTS`: an unknown one is our own bug (KeyError)."""

    def __init__(self, *, reminder_seconds: float = 14_400.0, active_max: int = 1_000) -> None:
        self.reminder_seconds = reminder_seconds
        self._active_max = active_max
        self.refused = 0
        """Alerts that found no room. Subjects are configured names, so this stays 0."""
        self._active: dict[tuple[str, str], ActiveAlert] = {}

    def raise_alert(
        self,
        name: str,
        subject: str,
        sentence: str,
        action: str = "",
        severity: Severity | None = None,
        *,
        state: str = "",
        at: Reading,
    ) -> Notice | None:
        """Say that this is so; a notice only if it is news. Call it as often as you like.

        News is: it was not raised, or its severity or `state` (such as the kind of fence) is another one. A new
        sentence alone ("13 letters", was 12) is kept for the next reminder. `action` and `severity` default to the
        table's. A kind with `after_seconds` becomes a notice later, from `due`.
        """
        kind = ALERTS[name]
        key = (name, subject if _SUBJECT.fullmatch(subject) else HIDDEN)
        alert = self._active.get(key)
        fresh = ActiveAlert(
            name=name,
            subject=key[1],
            severity=severity or kind.severity,
            sentence=clean_text(sentence),
            action=clean_text(action) or kind.what_to_do,
            state=state,
            since_us=alert.since_us if alert else at.now_us,
            told=alert.told if alert else False,
            raised_at=alert.raised_at if alert else at.monotonic,
            told_at=alert.told_at if alert else 0.0,
        )
        if alert is None and len(self._active) >= self._active_max:
            self.refused += 1
            return None
        self._active[key] = fresh
        if alert is None or not alert.told:
            return _tell(fresh, "raised", at) if at.monotonic - fresh.raised_at >= kind.after_seconds else None
        if (alert.severity, alert.state) != (fresh.severity, fresh.state):
            return _tell(fresh, "changed", at)
        return None

    def clear_alert(self, name: str, subject: str = "", *, at: Reading) -> Notice | None:
        """Say that it is over. No notice if it was not raised, or if nobody had been told yet."""
        alert = self._active.pop((name, subject if _SUBJECT.fullmatch(subject) else HIDDEN), None)
        return _tell(alert, "cleared", at) if alert and alert.told else None

    def due(self, at: Reading) -> list[Notice]:
        """Alerts that have now lasted their `after_seconds`, and reminders. Call it every few seconds."""
        return list(self._due(at))

    def _due(self, at: Reading) -> Iterator[Notice]:
        for alert in self._active.values():
            if not alert.told:
                if at.monotonic - alert.raised_at >= ALERTS[alert.name].after_seconds:
                    yield _tell(alert, "raised", at)
            elif at.monotonic - alert.told_at >= self.reminder_seconds:
                yield _tell(alert, "reminder", at)

    def active(self) -> list[ActiveAlert]:
        """What is raised now, critical first, then oldest first. Those nobody was told of yet are included."""
        return sorted(self._active.values(), key=lambda alert: (alert.severity != "critical", alert.since_us))

    def counts(self) -> dict[str, int]:
        """Number of alerts raised now by name; names that are not raised are absent."""
        counts: dict[str, int] = {}
        for name, _ in self._active:
            counts[name] = counts.get(name, 0) + 1
        return counts


def _tell(alert: ActiveAlert, change: Change, at: Reading) -> Notice:
    alert.told = True
    alert.told_at = at.monotonic
    return Notice(
        change=change,
        name=alert.name,
        subject=alert.subject,
        severity=alert.severity,
        sentence=alert.sentence,
        action=alert.action,
        since_us=alert.since_us,
        at_us=at.now_us,
    )


def notice_document(notice: Notice, *, region: str, environment: str) -> dict[str, Any]:
    """What the webhook gets. `id` is equal for repeated deliveries of one notice; `text` suits chat systems."""
    kind = ALERTS[notice.name]
    about = f" ({notice.subject})" if notice.subject else ""
    word = {"raised": notice.severity, "changed": notice.severity, "reminder": "still", "cleared": "over"}[
        notice.change
    ]
    tail = "" if notice.change == "cleared" else f" What to do: {notice.action}"
    return {
        "format": 1,
        "id": f"{region}/{notice.name}/{notice.subject}/{notice.since_us}/{notice.change}/{notice.at_us}",
        "region": region,
        "environment": environment,
        "alert": notice.name,
        "subject": notice.subject,
        "change": notice.change,
        "severity": notice.severity,
        "title": kind.title,
        "sentence": notice.sentence,
        "what_it_means": kind.what_it_means,
        "what_the_agent_did": kind.what_the_agent_did,
        "what_to_do": notice.action,
        "since": rfc3339(notice.since_us),
        "at": rfc3339(notice.at_us),
        "text": f"[{region}, {word}] {kind.title}{about}: {notice.sentence}{tail}",
    }
