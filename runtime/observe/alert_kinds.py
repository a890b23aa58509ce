"""Every alert that an agent can raise, and the words that go with it. docs/operations.md holds the same table.

Written for somebody who is not a developer: what it means, what the agent has done to be safe, what to do now.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Severity = Literal["warning", "critical"]


class AlertKind(Struct, frozen=True, kw_only=True):
    """One row of the table. `after_seconds`: it must have lasted so long before anybody is told."""

    severity: Severity
    title: str
    what_it_means: str
    what_the_agent_did: str
    what_to_do: str
    after_seconds: float = 0.0


ALERTS: dict[str, AlertKind] = {
    "lane_fenced": AlertKind(
        severity="critical",
        title="Stopped sending on a lane, waiting for you (fenced)",
        what_it_means="What the hub holds and what this region sent no longer fit together, or may no longer leave.",
        what_the_agent_did="It stopped sending on this lane only. It goes on accepting, and kept the evidence.",
        what_to_do="Run `entrepot status`, read the kind of fence, and follow the runbook of that kind.",
    ),
    "hub_away": AlertKind(
        severity="warning",
        title="The hub cannot be reached",
        what_it_means="Nothing leaves the region until the connection is back.",
        what_the_agent_did="It goes on accepting, keeps everything on disk, and tries to connect again by itself.",
        what_to_do="Check the network and the firewall to the hub, then ask the central team. Watch the time left.",
        after_seconds=60.0,
    ),
    "buffer_short": AlertKind(
        severity="critical",
        title="The disk budget will soon be full",
        what_it_means="At the present rate the room for waiting events ends within the time shown.",
        what_the_agent_did="It freed what the hub has already acknowledged. Nothing that waits was deleted.",
        what_to_do="Bring the hub back, or give the journal more room. When it is full, senders are asked to wait.",
    ),
    "disk_full": AlertKind(
        severity="critical",
        title="No room on the disk: senders are asked to wait",
        what_it_means="The disk or the disk budget of the journal is full. New messages are answered with 507.",
        what_the_agent_did="It refuses new messages, keeps every accepted one, and goes on sending.",
        what_to_do="Free or add disk space. Never delete files of the data directory. It resumes by itself.",
    ),
    "journal_failing": AlertKind(
        severity="critical",
        title="The disk answers with errors: the agent stops",
        what_it_means="A read or write failed, or the journal is damaged. Nothing more can be promised on this disk.",
        what_the_agent_did="It stopped accepting at once and ends. What it had confirmed before was flushed.",
        what_to_do="Look at the disk (`dmesg`, SMART). Follow the runbook for a disk error before starting again.",
    ),
    "books_unbalanced": AlertKind(
        severity="critical",
        title="The books do not balance",
        what_it_means="Accepted is not the sum of delivered, withheld, dead-lettered, ignored, expired and pending.",
        what_the_agent_did="It shows the difference in the status and in the metrics, and goes on.",
        what_to_do="Keep the data directory, run `entrepot journal verify`, and report it: this is a defect.",
    ),
    "refill_short": AlertKind(
        severity="warning",
        title="Less can be sent again than agreed",
        what_it_means="If the hub lost data now, this region could refill less of it than `refill_hours` asks for.",
        what_the_agent_did="It freed acknowledged rows, oldest first, to keep room for new messages.",
        what_to_do="Give the journal more room (`[journal] disk_bytes_max`).",
    ),
    "lane_behind": AlertKind(
        severity="warning",
        title="A lane lags behind",
        what_it_means="The oldest event of this lane has waited longer than `lag_seconds_warning` allows.",
        what_the_agent_did="It goes on sending as fast as the hub takes it. Other lanes are not delayed by this one.",
        what_to_do="Look at `entrepot status` and `entrepot topology show`: the hub may be slow, full or refusing.",
        after_seconds=60.0,
    ),
    "lane_refused": AlertKind(
        severity="critical",
        title="The hub refuses what a lane sends",
        what_it_means="The hub answers, but does not take the next record of this lane. Everything behind it waits.",
        what_the_agent_did="It skips nothing, tries again, and goes on accepting. Other lanes are not affected.",
        what_to_do="Pass the reason on to the central team: a limit of the hub or of the stream has been reached.",
        after_seconds=30.0,
    ),
    "hub_lost_data": AlertKind(
        severity="warning",
        title="The hub had lost events; they are sent again",
        what_it_means="The hub came back in an older state. Events that it had acknowledged were missing.",
        what_the_agent_did="It sends the missing events again at the same positions, and recorded the exact range.",
        what_to_do="Tell the central team: their storage lost acknowledged data. Nothing to do in the region.",
    ),
    "hub_weak": AlertKind(
        severity="warning",
        title="The hub keeps data less safely than recommended",
        what_it_means="A setting of the hub's stream is weaker than recommended, such as replicated but not synced.",
        what_the_agent_did="It goes on sending and keeps acknowledged rows for longer, to be able to refill.",
        what_to_do="Run `entrepot topology show` and pass the named settings on to the central team.",
        after_seconds=60.0,
    ),
    "checkpoint_unsent": AlertKind(
        severity="warning",
        title="Signed checkpoints wait too long",
        what_it_means="Headquarters has had no signed account from this region for longer than an hour.",
        what_the_agent_did="It goes on signing one each minute and keeps them in order until the hub takes them.",
        what_to_do="If the hub is away, bring it back. If not, run `entrepot topology show`: the stream is refused.",
    ),
    "letters_waiting": AlertKind(
        severity="warning",
        title="Rejected messages wait for you (letters)",
        what_it_means="Messages of this source were accepted but cannot be translated. Their content is safe.",
        what_the_agent_did="It kept each message with the reason and the place in it. Other messages go on.",
        what_to_do="Run `entrepot letters list`, mend the mapping, then `entrepot letters retry`.",
    ),
    "downlink_fenced": AlertKind(
        severity="critical",
        title="Headquarters is not read any more (downlink stopped)",
        what_it_means="Headquarters' stream does not continue what this region has taken in, or that cannot be proven.",
        what_the_agent_did="It skips nothing: it took in nothing behind the doubt, kept the evidence, and delivers what it has.",
        what_to_do="Read the reason in `entrepot status` and follow the runbook of the downlink; headquarters may have to act.",
    ),
    "target_disabled": AlertKind(
        severity="critical",
        title="A target wants no more deliveries",
        what_it_means="The target refused for good, for example because its address or login is gone.",
        what_the_agent_did="It sends this target nothing more and keeps everything for it in order.",
        what_to_do="Mend the reason with whoever runs the target, then `entrepot deliveries enable NAME`.",
    ),
    "target_failing": AlertKind(
        severity="warning",
        title="A target does not take what it should",
        what_it_means="Deliveries to this target fail again and again, or it does not answer at all.",
        what_the_agent_did="It tries again with growing pauses and the same id each time. Other targets are not affected.",
        what_to_do="Run `entrepot deliveries list` for the reason, and look at the target. It resumes by itself.",
        after_seconds=30.0,
    ),
    "target_left": AlertKind(
        severity="warning",
        title="A target was removed before everything was delivered",
        what_it_means="The configuration does not have this target any more, but there are deliveries for it.",
        what_the_agent_did="It keeps them, and what comes for it, and delivers nothing.",
        what_to_do="Put the target back, or decide with `entrepot deliveries list` and `entrepot deliveries discard`.",
    ),
    "deliveries_waiting": AlertKind(
        severity="warning",
        title="Rejected deliveries wait for you",
        what_it_means="The target has refused these for good: another try with the same content would fail again.",
        what_the_agent_did="It kept each with the reason. Other deliveries go on.",
        what_to_do="Run `entrepot deliveries list --state letter`, mend the cause, then `entrepot deliveries retry`.",
    ),
    "fact_quarantined": AlertKind(
        severity="critical",
        title="A message crashed the agent and was set aside",
        what_it_means="Three attempts at the same message ended the process. It is a rejected message (letter) now.",
        what_the_agent_did="It set the message aside so that the others go on.",
        what_to_do="Run `entrepot letters show` for it, mend the mapping or adapter, then `entrepot letters retry`.",
    ),
    "step_failing": AlertKind(
        severity="critical",
        title="A part of the agent fails again and again",
        what_it_means="A step or a source ends with an error each time it is started.",
        what_the_agent_did="It starts that part again with growing pauses. The other parts go on.",
        what_to_do="Read the log of that step or source: it names the reason and often the remedy.",
        after_seconds=30.0,
    ),
    "source_without_dedupe": AlertKind(
        severity="warning",
        title="A source has no way to recognise repeated messages",
        what_it_means="If this sender sends a message twice, it counts as two facts: there is no idempotency key.",
        what_the_agent_did="It accepts every message. It never guesses that two equal messages are one.",
        what_to_do='Have the sender set `Idempotency-Key`, name the key in the mapping, or set `dedupe = "body"`.',
    ),
    "source_paused": AlertKind(
        severity="warning",
        title="A source is paused",
        what_it_means="Somebody asked this source to wait. Its messages are not accepted meanwhile.",
        what_the_agent_did="It answers its senders with 503, so that they try again, and leaves drop folders alone.",
        what_to_do="When the reason is gone: `entrepot source resume NAME`.",
    ),
    "reload_refused": AlertKind(
        severity="warning",
        title="A new configuration was refused",
        what_it_means="The configuration on disk is not the one in force. A restart would fail, or work differently.",
        what_the_agent_did="It changed nothing and goes on with the configuration that it had.",
        what_to_do="Read the reason in `entrepot status`, mend the file, `entrepot check`, then `entrepot reload`.",
    ),
    "key_missing": AlertKind(
        severity="critical",
        title="A key or secret is missing or cannot be read",
        what_it_means="What needs this key cannot work: a source's signature check, the hub's login, or signing.",
        what_the_agent_did="It refuses what needs the key, and never goes on without protection.",
        what_to_do="Put the file into the secrets directory, readable for the agent only, then `entrepot check`.",
    ),
    "clock_bad": AlertKind(
        severity="warning",
        title="The clock of this machine cannot be believed",
        what_it_means="The time jumped by more than a minute. Order and repeated messages are not affected.",
        what_the_agent_did="It answers signed messages that depend on the time with 503, so that senders try again.",
        what_to_do="Check time synchronisation (`timedatectl`, `chronyc tracking`). If the time is right, restart.",
    ),
    "certificate_expiring": AlertKind(
        severity="critical",
        title="The listener's certificate ends soon, or has ended",
        what_it_means="Senders turn away from a certificate that has ended: nothing arrives any more.",
        what_the_agent_did="It goes on with the certificate that it has, and looks for a newer one every ten seconds.",
        what_to_do="Renew the files of [gateway.tls]. They are used at once; no restart is needed.",
    ),
    "certificate_unusable": AlertKind(
        severity="warning",
        title="The renewed certificate cannot be used",
        what_it_means="The files of [gateway.tls] have changed, but do not fit together or cannot be read.",
        what_the_agent_did="It goes on with the certificate from before, and tries again every ten seconds.",
        what_to_do="Look at the sentence of the alert; put certificate and key of one pair in place, readable for the agent.",
        after_seconds=30.0,
    ),
    "revision_reverted": AlertKind(
        severity="warning",
        title="A configuration of headquarters was taken back",
        what_it_means="A revision broke something here, or could not prove in time that it does not.",
        what_the_agent_did="It went back to what was confirmed before, remembers the version, and tells headquarters.",
        what_to_do="Tell the central team the reason. Nothing to do in the region; a newer revision replaces this one.",
    ),
    "revision_rejected": AlertKind(
        severity="warning",
        title="What headquarters offers was refused",
        what_it_means="A revision is old, forged, not allowed here, or cannot work on this agent. The sentence says which.",
        what_the_agent_did="It took nothing of it, goes on with what is in force, and tells headquarters.",
        what_to_do="Tell the central team. If the sentence says forged or rolled back, ask who had access to the hub.",
    ),
    "control_plane_stale": AlertKind(
        severity="warning",
        title="Headquarters has not spoken for too long",
        what_it_means="Its last signed word has expired: it may be away, or somebody keeps newer words from this region.",
        what_the_agent_did="It takes no change any more. Receiving, translating and sending go on as they are.",
        what_to_do="Ask the central team whether it still publishes (`entrepot revision show` says until when).",
    ),
    "override_in_force": AlertKind(
        severity="warning",
        title="The region overrides headquarters for a while",
        what_it_means="Regional IT has put something else into force for a limited time.",
        what_the_agent_did="It works by the override, and goes back by itself when its time is over.",
        what_to_do="Mend the reason with the central team, then `entrepot revision resume`.",
    ),
}
"""Name → what it says. The name is the metric label, the log field and the heading in the documentation."""
