"""What the agent has seen of itself and the hub, turned into alerts, log lines and the status.

Implements `ports.HubObserver` and `pipeline.lane.LaneAlert`. Never blocks, decides nothing about data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runtime import clock
from runtime.errors import EntrepotError, StorageFull
from runtime.kernel import Kernel
from runtime.observe.alert_sender import AlertSender
from runtime.observe.clockwatch import ClockWatch, Reading
from runtime.observe.log import Log
from runtime.observe.metrics import Counters
from runtime.overlook import look_at_deliveries
from runtime.pipeline.lane import LaneAlert
from runtime.ports import Fence
from runtime.status import JournalState
from runtime.supervise import HEALTHY_SECONDS

BUFFER_SECONDS_SHORT = 24 * 3_600
"""Less room than a day at the present rate raises an alert."""
REFILL_SHARE_SHORT = 0.5
CHECKPOINTS_UNSENT_MANY = 5


def read_clocks() -> Reading:
    """Both clocks at once."""
    return Reading(clock.now_us(), clock.since_boot())


class Watchpost(LaneAlert):
    """Alerts on changes of state; one instance an agent."""

    def __init__(self, alerts: AlertSender, log: Log, counters: Counters) -> None:
        self.alerts = alerts
        self._log = log
        self._counters = counters
        self._clock = ClockWatch(read_clocks())
        self.hub_connected = False
        self.hub = ""
        self.hub_last: dict[str, int] = {}
        self.hub_notes: dict[str, list[str]] = {}
        self.clock_bad = False
        self._with_letters: set[str] = set()
        self._lost_until: dict[str, int] = {}
        self._failed_at: dict[str, float] = {}
        """Steps that failed lately: when, in monotonic seconds."""

    # ------------------------------------------------------------ the hub

    def connected(self, server: str, version: str) -> None:
        """See `ports.HubObserver`."""
        self.hub_connected, self.hub = True, f"{server} (nats-server {version})"
        self._counters.hub_connects += 1
        self._log.info("the hub is connected", server=server, version=version)
        self.alerts.clear_alert("hub_away")

    def disconnected(self, reason: str, hint: str = "") -> None:
        """See `ports.HubObserver`."""
        self.hub_connected = False
        self._log.warning("the hub is away; accepting goes on", reason=reason)
        self.alerts.raise_alert("hub_away", "", f"No connection to the hub: {reason}", hint)

    def lane(self, name: str, *, hub_last: int, notes: Sequence[str]) -> None:
        """See `ports.HubObserver`."""
        if self.hub_last.get(name) != hub_last:
            self.alerts.clear_alert("lane_refused", name)
        self.hub_last[name] = hub_last
        if self.hub_notes.get(name) != list(notes):
            self.hub_notes[name] = list(notes)
            if notes:
                state = "; ".join(notes)
                self.alerts.raise_alert("hub_weak", name, f"Lane {name}: {state}.", state=state)
            else:
                self.alerts.clear_alert("hub_weak", name)

    def refused(self, lane: str, reason: str) -> None:
        """See `ports.HubObserver`."""
        self.alerts.raise_alert("lane_refused", lane, f"The hub refuses the next record of {lane}: {reason}.")

    def log(self, event: str, **fields: Any) -> None:
        """See `ports.HubObserver`."""
        self._log.limited(event, **fields)

    def hub_changes(self) -> None:
        """The connection is being replaced: what was known of the hub is about another one."""
        self.hub_connected, self.hub = False, ""
        for name in self.hub_notes:
            self.alerts.clear_alert("hub_weak", name)
            self.alerts.clear_alert("lane_refused", name)
        self.hub_last, self.hub_notes = {}, {}

    # ------------------------------------------------------------ lanes

    def fenced(self, lane: str, fence: Fence) -> None:
        """See `LaneAlert`."""
        self._log.once("critical", "stopped sending, waiting for you", lane=lane, kind=fence.kind, reason=fence.reason)
        self.alerts.raise_alert("lane_fenced", lane, fence.reason, fence.action, state=fence.kind)

    def unfenced(self, lane: str) -> None:
        """See `LaneAlert`."""
        self._log.info("sending again", lane=lane)
        self.alerts.clear_alert("lane_fenced", lane)

    def rewound(self, lane: str, first: int, last: int, reason: str) -> None:
        """See `LaneAlert`."""
        self._counters.rewind(lane, last - first + 1)
        sentence = f"Records {first} to {last} were acknowledged and are gone at the hub; they are sent again."
        self._log.once("warning", "the hub lost acknowledged records", lane=lane, sentence=sentence, reason=reason)
        self.alerts.raise_alert("hub_lost_data", lane, sentence)
        self._lost_until[lane] = last

    # ------------------------------------------------------------ the agent itself

    def step_failed(self, step: str, error: Exception) -> None:
        """A supervised task ended with an error and will be started again."""
        self._counters.step_failed(step)
        self._failed_at[step] = clock.monotonic()
        self._log.error("a step failed and is started again", step=step, error=error)
        sentence = str(error) if isinstance(error, EntrepotError) else f"{step} failed ({type(error).__name__})"
        hint = error.hint if isinstance(error, EntrepotError) else ""
        name = "disk_full" if isinstance(error, StorageFull) else "step_failing"
        self.alerts.raise_alert(name, "" if name == "disk_full" else step, sentence, hint)

    def failing(self) -> list[str]:
        """Steps that have failed lately."""
        return list(self._failed_at)

    def _look_at_steps(self) -> None:
        """A step that has not failed for as long as no back-off lasts works again."""
        for step, failed in list(self._failed_at.items()):
            if clock.monotonic() - failed >= HEALTHY_SECONDS:
                del self._failed_at[step]
                self._log.recovered("a step failed and is started again", step=step)
                self.alerts.clear_alert("step_failing", step)

    def look(self, kernel: Kernel, state: JournalState) -> None:
        """Compare the state with what should be; called every few seconds."""
        self._look_at_clock()
        self._look_at_steps()
        self._look_at_room(kernel)
        self._look_at_letters(state)
        self._look_at_pauses(kernel)
        self._look_at_evidence(kernel, state)
        look_at_deliveries(self.alerts, kernel, state)
        if state.books.balanced:
            self.alerts.clear_alert("books_unbalanced")
        else:
            self.alerts.raise_alert("books_unbalanced", "", "The books do not balance: an event is missing or doubled.")
        refill = kernel.configuration.model.journal.refill_hours * 3_600
        for name, lane in state.lanes.items():
            if lane.fence is not None:
                self.alerts.raise_alert(
                    "lane_fenced", name, lane.fence.reason, lane.fence.action, state=lane.fence.kind
                )
            else:
                # Also when it was lifted between the reading of `state` and this look: `unfenced` came too early then.
                self.alerts.clear_alert("lane_fenced", name)
            if lane.acked >= self._lost_until.get(name, lane.acked + 1):
                self.alerts.clear_alert("hub_lost_data", name)
                del self._lost_until[name]
            self._look_at_lag(kernel, name, lane.lag_seconds)
            short = lane.oldest > 1 and lane.refill_horizon_seconds < refill * REFILL_SHARE_SHORT
            if short and kernel.room.pressed:
                hours = lane.refill_horizon_seconds / 3_600
                self.alerts.raise_alert("refill_short", name, f"The hub can be refilled {hours:.1f} hours back only.")
            else:
                self.alerts.clear_alert("refill_short", name)

    def sources(self, keyed: Mapping[str, bool]) -> None:
        """The sources that there are; not keyed: a retry cannot be told from a new message unless the sender gives a key."""
        for source, known in keyed.items():
            if not known:
                sentence = f"A retry by {source} without an Idempotency-Key is a second fact."
                self.alerts.raise_alert("source_without_dedupe", source, sentence)
        for alert in self.alerts.active():
            if alert.name == "source_without_dedupe" and keyed.get(alert.subject, True):
                self.alerts.clear_alert(alert.name, alert.subject)

    def step_ended(self, step: str) -> None:
        """The task is no longer wanted, or begins anew with other settings."""
        self._failed_at.pop(step, None)
        self.alerts.clear_alert("step_failing", step)

    def reload_refused(self, error: EntrepotError) -> None:
        """A new configuration cannot be used; the old one goes on."""
        self._log.once("error", "the new configuration was refused; the old one goes on", error=error)
        self.alerts.raise_alert("reload_refused", "", f"The last reload was refused: {error}", error.hint)

    def reload_done(self) -> None:
        """The file says what is in force."""
        self.alerts.clear_alert("reload_refused")

    def set_aside(self) -> None:
        """A fact ended the process again and again and became a letter."""
        self.alerts.raise_alert("fact_quarantined", "", "A message that ended the agent three times was set aside.")

    def _look_at_pauses(self, kernel: Kernel) -> None:
        paused = kernel.pauses.all
        for source, pause in paused.items():
            self.alerts.raise_alert("source_paused", source, f"{source} waits since {pause.since}: {pause.reason}")
        for alert in self.alerts.active():
            if alert.name == "source_paused" and alert.subject not in paused:
                self.alerts.clear_alert(alert.name, alert.subject)

    def _look_at_evidence(self, kernel: Kernel, state: JournalState) -> None:
        if kernel.identity_is_there():
            self.alerts.clear_alert("key_missing")
        else:
            self.alerts.raise_alert("key_missing", "", "The region's keys are no longer in the data directory.")
        if state.checkpoints_unsent >= CHECKPOINTS_UNSENT_MANY and self.hub_connected:
            sentence = f"{state.checkpoints_unsent} signed checkpoints wait although the hub is connected."
            self.alerts.raise_alert("checkpoint_unsent", "", sentence)
        else:
            self.alerts.clear_alert("checkpoint_unsent")

    def _look_at_lag(self, kernel: Kernel, name: str, lag_seconds: float) -> None:
        settings = kernel.configuration.model.lanes.get(name)
        if settings is not None and self.hub_connected and lag_seconds > settings.lag_seconds_warning:
            self.alerts.raise_alert("lane_behind", name, f"The oldest waiting event is {lag_seconds / 60:.0f} min old.")
        else:
            self.alerts.clear_alert("lane_behind", name)

    def _look_at_clock(self) -> None:
        verdict = self._clock.observe(read_clocks())
        self.clock_bad = verdict.bad
        if verdict.bad:
            self.alerts.raise_alert("clock_bad", "", verdict.sentence)
        else:
            self.alerts.clear_alert("clock_bad")

    def _look_at_room(self, kernel: Kernel) -> None:
        left = kernel.room.buffer_seconds_left
        if kernel.room.full:
            self.alerts.raise_alert("disk_full", "", "The journal has no room; senders are asked to wait.")
        else:
            self.alerts.clear_alert("disk_full")
        if left is not None and left < BUFFER_SECONDS_SHORT and not self.hub_connected:
            sentence = f"At the present rate the journal is full in {left // 3_600} h {left % 3_600 // 60} min."
            self.alerts.raise_alert("buffer_short", "", sentence)
        else:
            self.alerts.clear_alert("buffer_short")

    def _look_at_letters(self, state: JournalState) -> None:
        for source in self._with_letters - set(state.letters):
            self.alerts.clear_alert("letters_waiting", source)
        for source, count in state.letters.items():
            plural = "message waits" if count == 1 else "messages wait"
            self.alerts.raise_alert("letters_waiting", source, f"{count} rejected {plural} for a decision.")
        self._with_letters = set(state.letters)
