"""Single messages of the fleet's streams: put one up, read the last of a subject. What they mean is decided in the kernel."""

from __future__ import annotations

import msgspec

from runtime.errors import Permanent, Refused
from sync import fleet_names as names
from sync import stream, wire
from sync.channel import ApiError, Channel
from sync.exchange import ANSWER_SECONDS_MAX, exchange

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
    headers, data = await exchange(channel, subject, body)
    reply = wire.parse_reply(headers, data)
    if reply.error is None:
        return
    fault = reply.error
    if fault.err_code == FULL_SUBJECT or "per subject" in fault.description:
        raise Refused(f"there is a message on {subject} already, and only one is taken")
    if headers.startswith(b"NATS/1.0 503"):
        raise Permanent(f"no stream at the hub takes {subject}", hint=_MAKE)
    raise ApiError(fault.code, fault.err_code, fault.description)


async def last(channel: Channel, stream_name: str, subject: str) -> Posted | None:
    """The newest message on a subject, or on all that a wildcard stands for; None when there is none."""
    headers, data = await exchange(channel, f"$JS.API.DIRECT.GET.{stream_name}.{subject}", b"")
    if headers.startswith(b"NATS/1.0 404"):
        return None
    if headers.startswith(b"NATS/1.0 503"):
        raise Permanent(f"the hub has no stream {stream_name}", hint=_MAKE)
    said = wire.parse_headers(headers)
    return Posted(_servers(said, "nats-subject"), data, _servers(said, "nats-time-stamp"))


async def everything(channel: Channel, stream_name: str) -> list[Posted]:
    """All messages of a small stream, oldest first; none when there is no such stream."""
    found = await stream.info(channel, stream_name)
    if found is None or found.state.messages == 0:
        return []
    first, end = found.state.first_seq, found.state.last_seq
    return [Posted(r.subject, r.data, r.time) async for r in stream.read(channel, stream_name, first, end)]


def _servers(headers: dict[str, str], name: str) -> str:
    """What the server said: it adds its own headers behind those of a sender who chose the same names."""
    return headers.get(name, "").rpartition(",")[2]
