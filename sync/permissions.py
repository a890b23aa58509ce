"""What each role may say and hear at the hub, subject by subject. Pure; everything else is denied by the hub.

No role may delete or purge a stream or a message, and only headquarters makes streams.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from runtime import record
from sync import fleet_names as names
from sync import jwt

Role = Literal["agent", "headquarters", "reader", "auditor", "enroller", "accounts"]
PROBE_ANSWERS_MAX = 1
PROBE_ANSWER_SECONDS_MAX = 60
EVENTS = "ev.>"
_API = "$JS.API."
_RESERVED = frozenset({names.HEADQUARTERS, "all"})
"""`fleet.all.>` is heard by everybody, and `hq` writes the downlink: no region may have these names."""


class Permissions(NamedTuple):
    """Subjects, with wildcards of NATS."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    inbox: str
    """Own part of the inbox prefix `_INBOX_<inbox>`: nobody else may listen there."""
    answers: bool = False
    """May answer a request that it has heard."""


def agent(region: str, lanes: Sequence[str]) -> Permissions:
    """Its own events, checkpoints and state; its own streams, configuration, actions and downlink; nothing else.

    No consumers: a push consumer would let the hub deliver to subjects that this user may not write to.
    """
    streams = [record.stream_name(region, lane) for lane in (*lanes, record.CHECKPOINTS_LANE)]
    downlink = record.stream_name(names.HEADQUARTERS, region)
    publish = (
        f"ev.{region}.>",
        record.checkpoint_subject(region),
        f"st.{region}.>",
        *(subject for stream in (*streams, downlink) for subject in _reading(stream)),
        f"{_API}DIRECT.GET.{names.CONFIG_STREAM}.cf.{region}.>",
        f"{_API}DIRECT.GET.{names.ACTIONS_STREAM}.ac.{region}.>",
        f"{_API}DIRECT.GET.{names.STATE_STREAM}.st.{region}.>",
    )
    hear = (inboxes(region), f"fleet.{region}.>", "fleet.all.>", record.lane_subjects(names.HEADQUARTERS, region))
    return Permissions(publish, hear, region, answers=True)


def headquarters() -> Permissions:
    """Steers: configuration, actions, audit, downlinks, enrolment; makes and mends streams; reads everything.

    It cannot write in a region's name, and it cannot delete.
    """
    own = names.HEADQUARTERS
    publish = (
        "cf.>", "ac.>", "au.>", "fleet.>", f"ev.{own}.>", f"cp.{own}", f"st.{own}.>",
        names.enrolment("*", "token"), names.enrolment("*", "answer"), names.enrolment("*", "revoked"),
        *_READING_ALL,
        f"{_API}STREAM.CREATE.*", f"{_API}STREAM.UPDATE.*",
        f"{_API}CONSUMER.CREATE.>", f"{_API}CONSUMER.DURABLE.CREATE.>", f"{_API}CONSUMER.MSG.NEXT.>",
        f"{_API}CONSUMER.INFO.>", f"{_API}CONSUMER.NAMES.*", f"{_API}CONSUMER.LIST.*", f"{_API}CONSUMER.DELETE.>",
        "$JS.ACK.>", "$JS.FC.>",
    )  # fmt: skip
    hear = (EVENTS, names.STATE_SUBJECTS, names.AUDIT_SUBJECTS, names.ENROL_SUBJECTS)
    return Permissions(publish, (inboxes(own), *hear), own)


def reader(name: str) -> Permissions:
    """Reads and verifies every region's streams, and says up to where (the watermark)."""
    own = f"reader_{name}"
    return Permissions((*_READING_ALL, names.watermark("*")), (inboxes(own), EVENTS), own)


def auditor(name: str) -> Permissions:
    """Reads everything, the audit stream included, and changes nothing."""
    own = f"auditor_{name}"
    return Permissions(_READING_ALL, (inboxes(own), EVENTS), own)


def enroller(token_id: str) -> Permissions:
    """What a one-time token is good for: one request, and reading what was answered."""
    own = f"enrol_{token_id}"
    mine = f"{_API}DIRECT.GET.{names.ENROL_STREAM}.{names.enrolment(token_id, '')}"
    return Permissions((names.enrolment(token_id, "request"), f"{mine}request", f"{mine}answer"), (inboxes(own),), own)


def accounts() -> Permissions:
    """Of the system account: reads and replaces the claims of accounts, for revocation. Sees no event."""
    own = "accounts"
    return Permissions(("$SYS.REQ.CLAIMS.UPDATE", "$SYS.REQ.ACCOUNT.*.CLAIMS.LOOKUP"), (inboxes(own),), own)


def inboxes(own: str) -> str:
    """What answers come to: a wildcard stands for whole parts of a subject only."""
    return f"_INBOX_{own}.>"


def may_be_a_region(name: str) -> bool:
    """Whether an agent of this name gets subjects that are nobody else's."""
    return record.NAME.fullmatch(name) is not None and name not in _RESERVED


def claims(role: Role, allowed: Permissions, *, account: str, environment: str, region: str = "") -> dict[str, Any]:
    """The part of a user JWT that says so."""
    tags = [f"environment:{environment}", f"role:{role}", f"inbox:{allowed.inbox}"]
    if region:
        tags.append(f"region:{region}")
    return jwt.user(
        account=account,
        publish=allowed.publish,
        subscribe=allowed.subscribe,
        tags=tags,
        answers_max=PROBE_ANSWERS_MAX if allowed.answers else 0,
        answer_seconds_max=PROBE_ANSWER_SECONDS_MAX if allowed.answers else 0,
    )


def differences(said: jwt.Claims, wanted: Permissions) -> tuple[list[str], list[str]]:
    """(subjects that a login lacks, subjects that it has beyond this)."""
    has = set(_allowed(said, "pub")) | {f"subscribe {subject}" for subject in _allowed(said, "sub")}
    needs = set(wanted.publish) | {f"subscribe {subject}" for subject in wanted.subscribe}
    return sorted(needs - has), sorted(has - needs)


def _allowed(said: jwt.Claims, which: str) -> list[str]:
    return list((said.nats.get(which) or {}).get("allow") or [])


def reads(stream: str) -> tuple[str, ...]:
    """What is published to while a stream is read in order: its state, single messages, runs of them."""
    return tuple(f"{_API}{asks}.{stream}" for asks in ("STREAM.INFO", "STREAM.MSG.GET", "DIRECT.GET"))


def _reading(stream: str) -> tuple[str, ...]:
    return (*reads(stream), f"{_API}DIRECT.GET.{stream}.>")


_READING_ALL = (
    f"{_API}INFO",
    f"{_API}STREAM.LIST",
    f"{_API}STREAM.NAMES",
    f"{_API}STREAM.INFO.*",
    f"{_API}STREAM.MSG.GET.*",
    f"{_API}DIRECT.GET.>",
)
