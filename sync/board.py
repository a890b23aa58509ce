"""Single messages of the fleet's streams: put one up, read the last of a subject. What they mean is decided in the kernel."""

from __future__ import annotations

import msgspec

from runtime.errors import Permanent, Refused
from runtime.ports import HubRecord
from sync import fleet_names as names
from sync import posting, stream
from sync.channel import ApiError, Channel
from sync.exchange import ANSWER_SECONDS_MAX

_MAKE = "headquarters makes the streams of the fleet: `entrepot fleet topology --apply`"
FULL_SUBJECT = 10077
"""JetStream: the stream's limit (here: one message a subject) is reached."""
ENROLMENT = {
    "name": names.ENROL_STREAM,
    "subjects": [names.ENROL_SUBJECTS],
    "storage": "file",
    "retention": "limits",
    "discard": "new",
    "discard_new_per_subject": True,
    "max_msgs_per_subject": 1,
    "max_bytes": -1,
    "max_msg_size": 65_536,
    "max_age": 0,
    "deny_delete": True,
    "deny_purge": True,
    "allow_direct": True,
}
"""One message a subject, for ever: the hub itself sees to it that a token works once."""


class Posted(msgspec.Struct, frozen=True):
    """One message as it stands there."""

    subject: str
    body: bytes
    time: str


async def prepare(channel: Channel, *, environment: str, replicas: int) -> None:
    """Make the stream of enrolments if it is missing. Raises `Refused` when it belongs to another environment."""
    metadata = {"entrepot-environment": environment}
    found = await stream.info(channel, names.ENROL_STREAM)
    if found is None:
        wanted = {**ENROLMENT, "num_replicas": replicas, "metadata": metadata}
        await channel.ask(f"STREAM.CREATE.{names.ENROL_STREAM}", wanted, seconds_max=ANSWER_SECONDS_MAX)
        return
    said = (found.config.get("metadata") or {}).get("entrepot-environment")
    if said != environment:
        raise Refused(f"stream {names.ENROL_STREAM} says that it is for environment `{said}`, this is `{environment}`")


async def post(channel: Channel, subject: str, body: bytes) -> None:
    """Returns when it is stored. Raises `Refused` when there is one already where only one may be, `HubAway`, `Permanent`."""
    try:
        await posting.post(channel, subject, {}, body)
    except ApiError as error:
        if error.err_code == FULL_SUBJECT or "per subject" in str(error):
            raise Refused(f"there is a message on {subject} already, and only one is taken") from None
        if (error.code, error.err_code) == (503, 0):
            raise Permanent(f"no stream at the hub takes {subject}", hint=_MAKE) from None
        raise


async def last(channel: Channel, stream_name: str, subject: str) -> Posted | None:
    """The newest message on a subject, or on all that a wildcard stands for; None when there is none."""
    try:
        found = await stream.newest(channel, stream_name, subject)
    except stream.Unanswered:
        raise Permanent(f"the hub has no stream {stream_name}", hint=_MAKE) from None
    return None if found is None else _posted(found)


async def everything(channel: Channel, stream_name: str) -> list[Posted]:
    """All messages of a small stream, oldest first; none when there is no such stream."""
    found = await stream.info(channel, stream_name)
    if found is None or found.state.messages == 0:
        return []
    first, end = found.state.first_seq, found.state.last_seq
    return [_posted(found) async for found in stream.read(channel, stream_name, first, end)]


def _posted(found: HubRecord) -> Posted:
    return Posted(found.subject, found.data, found.time)
