"""Tells people and headquarters where this agent stands: alerts, the signed status, the signed heartbeat."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from sys import version_info

from msgspec import to_builtins

from runtime import clock
from runtime.fleet import lifecycle
from runtime.fleet.documents import PRESENCE, STATUS, Presence, Status
from runtime.fleet.lifecycle import State
from runtime.fleet.post import FleetPost
from runtime.fleet.signing import sign
from runtime.gateway.server import Gateway
from runtime.journal.store import SQLITE_VERSION
from runtime.kernel import Kernel
from runtime.observe.alert_sender import AlertSender
from runtime.status import Status as AgentStatus

DAY_US = 86_400 * 1_000_000
_PYTHON = ".".join(str(part) for part in version_info[:3])


class Announcer:
    """Of one agent."""

    def __init__(
        self, kernel: Kernel, gateway: Gateway, alerts: AlertSender, status: Callable[[], Awaitable[AgentStatus]]
    ) -> None:
        self._kernel, self._gateway, self._alerts, self._status = kernel, gateway, alerts, status
        self._number = 0

    # ------------------------------------------------------------ people

    def alerts(self, state: State, now_us: int) -> None:
        """Raise and clear what the state says. May be called as often as one likes."""
        version = state.version
        self._say("revision_reverted", state.stage == "reverted", f"Revision {version} was taken back: {state.reason}")
        refused = state.complaint or (f"revision {version}: {state.reason}" if state.stage == "rejected" else "")
        self._say("revision_rejected", bool(refused), f"Refused what headquarters offers: {refused}")
        until = clock.rfc3339(state.expires_us)[:16]
        self._say(
            "control_plane_stale", lifecycle.is_stale(state, now_us),
            f"The word of headquarters ended on {until} UTC and there is no newer one.",
        )  # fmt: skip
        held = state.override
        what = "" if held is None else "the local file alone" if held.version == 0 else f"revision {held.version}"
        end = "" if held is None else clock.rfc3339(held.until_us)[:16]
        reason = "" if held is None else held.reason
        self._say("override_in_force", held is not None, f"This region works by {what} until {end} UTC: {reason}")

    def _say(self, name: str, is_so: bool, sentence: str) -> None:
        if is_so:
            self._alerts.raise_alert(name, "", sentence)
        else:
            self._alerts.clear_alert(name)

    # ------------------------------------------------------------ headquarters

    async def status(self, post: FleetPost, state: State) -> None:
        """Raises `Retryable`, `Permanent`."""
        model, held = self._kernel.configuration.model, state.override
        statement = Status(
            environment=model.environment,
            region=model.region,
            issued_at=clock.rfc3339(clock.now_us()),
            stage="rejected" if state.complaint else state.stage or "offered",
            version=state.version,
            reason=state.complaint or self._reason(state),
            confirmed=state.confirmed,
            effective=self._kernel.configuration.digest,
            failed=state.failed,
            override_until="" if held is None else clock.rfc3339(held.until_us),
        )
        await post.report("status", sign(self._kernel.identity, STATUS, statement))

    def _reason(self, state: State) -> str:
        if lifecycle.is_stale(state, clock.now_us()):
            return f"frozen: the word of headquarters ended; {state.reason}".removesuffix("; ")
        return state.reason

    async def presence(self, post: FleetPost) -> None:
        """Raises `Retryable`, `Permanent`."""
        now, model = await self._status(), self._kernel.configuration.model
        self._number += 1
        versions = {"entrepot": now.version, "python": _PYTHON, "sqlite": SQLITE_VERSION, "nats-server": post.server}
        books = ("accepted", "delivered", "withheld", "dead_lettered", "ignored", "expired", "pending")
        statement = Presence(
            environment=model.environment,
            region=model.region,
            issued_at=clock.rfc3339(clock.now_us()),
            number=self._number,
            versions=versions,
            labels=to_builtins(model.fleet.labels) if model.fleet else {},
            config=now.config,
            books={name: getattr(now, name) for name in books},
            lanes={
                name: {
                    "sealed": lane.sealed,
                    "acked": lane.acked,
                    "lag_seconds": lane.lag_seconds,
                    "fenced": lane.fenced or "",
                }
                for name, lane in now.lanes.items()
            },
            buffer_seconds_left=now.buffer_seconds_left,
            certificate_days_left=self._certificate_days(),
            alerts=sorted({alert.name for alert in now.alerts}),
        )
        await post.report("presence", sign(self._kernel.identity, PRESENCE, statement))

    def _certificate_days(self) -> int | None:
        tls = self._gateway.tls
        return None if tls is None else (tls.loaded.expires_us - clock.now_us()) // DAY_US
