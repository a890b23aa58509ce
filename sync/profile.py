"""What `entrepot doctor` thinks of a hub: its version, its streams, the answers to its probes. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runtime.ports import Finding
from sync import topology
from sync.stream import StreamInfo

VERSION_ADVISED = (2, 15, 1)
VERSION_MIN = (2, 14, 0)
"""Older servers have known security defects, and no fast ingest."""
COPIES_ADVISED = 3
DAY_SECONDS = 86_400
DAYS_WARNING = 21
HOUR_NS = 3_600 * 1_000_000_000
ASK_THE_HUB = "pass this on to whoever runs the hub"
_REASONS = (
    ("hostname mismatch", "use the name that stands in the certificate in [hub] servers, or have the certificate made for this name"),
    ("ip address mismatch", "use the name that stands in the certificate in [hub] servers, or have the certificate made for this address"),
    ("expired", "have the hub's certificate renewed; if it is new, look at this machine's clock"),
    ("not yet valid", "look at this machine's clock"),
    ("local issuer", "name the private authority's PEM file in [hub] tls_ca"),
    ("self-signed", "name the private authority's PEM file in [hub] tls_ca"),
    ("self signed", "name the private authority's PEM file in [hub] tls_ca"),
    ("does not offer tls", "switch TLS on at the hub, or correct the address"),
    ("authorization", "the hub does not know these credentials: ask for new ones"),
    ("user authentication", "the credentials have expired or were revoked: ask for new ones"),
    ("refused", "is the hub running, and is the port right? A firewall may refuse, too"),
    ("no answer", "a firewall may drop what is sent: outgoing TCP to this host and port must be open"),
)  # fmt: skip


def next_step(reason: str) -> str:
    """What a person can do about a connection that failed."""
    said = reason.lower()
    return next(
        (step for words, step in _REASONS if words in said), "check the network, the firewall and [hub] servers"
    )


def version(found: tuple[int, int, int]) -> Finding:
    """Whether the server's version is recommended, old, or too old."""
    shown = ".".join(map(str, found))
    advised = ".".join(map(str, VERSION_ADVISED))
    if found >= VERSION_ADVISED:
        return Finding("hub version", "ok", f"nats-server {shown}")
    if found >= VERSION_MIN:
        return Finding("hub version", "warning", f"nats-server {shown}; {advised} is recommended", ASK_THE_HUB)
    return Finding(
        "hub version", "critical", f"nats-server {shown} has known security defects", f"{ASK_THE_HUB}: {advised}"
    )


def life(subject: str, ends_at: float, now: float) -> Finding:
    """How many days something has that expires; both in seconds since 1970."""
    days = int((ends_at - now) // DAY_SECONDS)
    if ends_at <= now:
        return Finding(subject, "critical", "has expired", "renew it")
    if days < DAYS_WARNING:
        return Finding(subject, "warning", f"expires in {days} days", "renew it, or see that it renews by itself")
    return Finding(subject, "ok", f"valid for {days} days")


def login(issued_at: float, ends_at: float, now: float) -> Finding:
    """A JWT is renewed at half of its life; with less than a third left that has not happened. Seconds since 1970."""
    subject, left = "hub login", ends_at - now
    shown = f"{int(left // DAY_SECONDS)} days" if left >= DAY_SECONDS else f"{int(left // 3_600)} hours"
    if left <= 0:
        return Finding(subject, "critical", "has expired", "ask the central team for a new enrolment")
    if left < (ends_at - issued_at) / 3:
        step = "ask the central team whether `entrepot fleet enrol renew` runs there, and see that the agent may write its file"
        return Finding(subject, "warning", f"ends in {shown} and was not renewed at half of its life", step)
    return Finding(subject, "ok", f"valid for {shown}, and renewed at half of its life")


def secret_login() -> Finding:
    """A login that ends, in a place where only people write."""
    step = "name its file in [hub] credentials, in a folder where the agent may write"
    return Finding("hub login", "warning", "cannot renew itself: it is given as secret://", step)


def subjects(lacks: list[str], beyond: list[str]) -> Finding:
    """The subjects of a login against those that an agent needs."""
    if lacks:
        step = "the next renewal brings them; until then what needs them waits"
        return Finding("hub login", "warning", f"lacks {_some(lacks)}", step)
    if beyond:
        return Finding("hub login", "warning", f"may more than an agent needs: {_some(beyond)}", ASK_THE_HUB)
    return Finding("hub login", "ok", "has exactly the subjects of this region")


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def permission(what: str, *, allowed: bool, wanted: bool, without: str = "nothing can be sent") -> Finding:
    """`what` reads on from "may"; `without`: what becomes of it if it is wanted and not allowed."""
    found = f"{'may' if allowed else 'may not'} {what}"
    if allowed == wanted:
        return Finding("hub permission", "ok", found)
    if wanted:
        return Finding("hub permission", "critical", found, f"{ASK_THE_HUB}: without it {without}")
    step = f"{ASK_THE_HUB}: this region's user should have exact subjects of its own"
    return Finding("hub permission", "warning", found, step)


def reading(name: str, refused: Sequence[str]) -> Finding:
    """Whether headquarters' stream for this region may be read; `refused`: the subjects that the hub said no to."""
    what = f"read what headquarters sends (stream {name})"
    if refused:
        what += f": publishing to {_some(list(refused))} is refused"
    return permission(what, allowed=not refused, wanted=True, without="nothing from headquarters arrives")


def hearing(subject: str, *, allowed: bool) -> Finding:
    """Whether a new record of headquarters is heard; without that it is found by looking."""
    if allowed:
        return permission("hear at once when headquarters sends", allowed=True, wanted=True)
    step = f"{ASK_THE_HUB}: until then what headquarters sends arrives within poll_seconds of [downlink]"
    found = f"may not hear at once when headquarters sends: subscribing {subject} is refused"
    return Finding("hub permission", "warning", found, step)


def headquarters_stream(name: str, info: StreamInfo | None, *, wrong: str) -> Finding:
    """The stream that the downlink reads; it is headquarters' to make and to mend."""
    subject = f"stream {name}"
    if info is None:
        step = "have headquarters make it (`entrepot topology apply` there); look at region in [downlink], too"
        return Finding(subject, "warning", "missing: headquarters has sent nothing to this region yet", step)
    if wrong:
        return Finding(subject, "critical", f"not usable: {wrong}", "check [hub] servers and region in [downlink]")
    return Finding(subject, "ok", f"{info.state.messages:,} messages from headquarters")


def stream(
    name: str, info: StreamInfo | None, *, wrong: str, server: tuple[int, int, int], refill_hours: int
) -> Finding:
    """One stream against the recommended profile; whether disks are synced is said once, by `synced`."""
    subject = f"stream {name}"
    if info is None:
        return Finding(subject, "warning", "missing", "`entrepot topology apply` makes it")
    if wrong:
        return Finding(subject, "critical", f"not usable: {wrong}", "check [hub] servers, region and environment")
    notes = [
        *topology.weaknesses(info.config, server),
        *_short_memory(info.config, refill_hours),
        *_copies_behind(info),
    ]
    if notes:
        return Finding(subject, "warning", "; ".join(notes), ASK_THE_HUB)
    return Finding(subject, "ok", f"{info.state.messages:,} messages, as recommended")


def synced(infos: list[StreamInfo], environment: str) -> Finding:
    """Copies, and the hub's `sync_interval`, which no region can see."""
    copies = min(int(info.config.get("num_replicas", 1)) for info in infos)
    found = topology.synced_note({"num_replicas": copies}) + " (sync_interval cannot be seen from here)"
    if copies >= COPIES_ADVISED or environment != "prod":
        return Finding("hub copies", "ok", f"{copies} of each stream: {found}")
    step = f"{ASK_THE_HUB}: {COPIES_ADVISED} copies with a power supply each, and sync_interval: always"
    return Finding("hub copies", "warning", f"{copies} of each stream: {found}", step)


def _short_memory(config: dict[str, Any], refill_hours: int) -> list[str]:
    age = int(config.get("max_age") or 0)
    if 0 < age < refill_hours * HOUR_NS:
        return [f"its max_age of {age // HOUR_NS} h is shorter than this region's refill_hours of {refill_hours} h"]
    return []


def _copies_behind(info: StreamInfo) -> list[str]:
    followers = info.cluster.get("replicas") or []
    behind = [str(f.get("name", "?")) for f in followers if f.get("offline") or not f.get("current", False)]
    return [f"copies away or behind: {', '.join(sorted(behind))}"] if behind else []
