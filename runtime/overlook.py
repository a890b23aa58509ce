"""The alerts about the downlink and the targets, from what the journal and the steps say. Part of the watchpost."""

from __future__ import annotations

from runtime.kernel import Kernel
from runtime.observe.alert_sender import AlertSender
from runtime.status import JournalState, TargetStatus


def look_at_deliveries(alerts: AlertSender, kernel: Kernel, state: JournalState) -> None:
    """Raise and clear them as things are now."""
    for downlink in state.downlinks:
        fence = downlink.fence
        if fence is None or kernel.inbox is None or kernel.inbox.region != downlink.region:
            alerts.clear_alert("downlink_fenced", downlink.region)
        else:
            alerts.raise_alert("downlink_fenced", downlink.region, fence.reason, fence.action, state=fence.kind)
    for name, target in state.targets.items():
        _look_at(alerts, kernel, name, target)
    names = ("target_disabled", "target_failing", "target_left", "deliveries_waiting")
    for alert in alerts.active():
        if alert.name in names and alert.subject not in state.targets:
            alerts.clear_alert(alert.name, alert.subject)


def _look_at(alerts: AlertSender, kernel: Kernel, name: str, target: TargetStatus) -> None:
    step = kernel.delivering.get(name)
    trouble = "" if step is None or target.disabled else step.trouble
    count = target.letters
    said = {
        "target_disabled": f"Target {name} wants no more: {target.disabled}" if target.disabled else "",
        "target_failing": f"Target {name} does not take deliveries: {trouble}" if trouble else "",
        "target_left": ""
        if name in kernel.configuration.targets or not target.pending
        else f"Target {name} was removed with {target.pending} deliveries to make.",
        "deliveries_waiting": f"{count} rejected {'delivery waits' if count == 1 else 'deliveries wait'} for a decision."
        if count
        else "",
    }
    for alert, sentence in said.items():
        if sentence:
            alerts.raise_alert(alert, name, sentence)
        else:
            alerts.clear_alert(alert, name)
