"""Reading one stream of the hub: its state, single messages from the leader, and long runs in order.

Raw JSON: nats-py's dataclasses drop the options that matter here (`allow_batched`, `first_seq`, `persist_mode`).
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any

import anyio
import msgspec
from msgspec import Struct

from runtime.ports import HubRecord
from sync.channel import MESSAGE_MISSING, STREAM_MISSING, ApiError, Channel, HubAway
from sync.exchange import exchange
from sync.wire import parse_headers

RUN_MESSAGES_MAX = 500
"""Messages per batch of a long read; bounds memory."""
_RUN_VERSION = (2, 11, 0)
"""Batched direct get came with NATS 2.11 (ADR-31); older servers are read one by one."""
_RUN_SECONDS_MAX = 5.0
_INFO_SECONDS_MAX = 1.0
"""A stream without a leader answers nothing at all: ask again soon, so that the new leader is found soon."""


class StreamState(Struct, frozen=True):
    """Positions as the stream's leader reports them; `last` may be `first - 1`."""

    messages: int = 0
    first_seq: int = 0
    last_seq: int = 0


class StreamInfo(Struct, frozen=True):
    """Configuration as stored by the hub, and state. `config` stays raw so that unknown options survive."""

    config: dict[str, Any]
    state: StreamState
    cluster: dict[str, Any] = {}
    """Who leads and who follows, in a cluster."""

    @property
    def born_at(self) -> int:
        """The first sequence that the stream was made with."""
        return max(1, int(self.config.get("first_seq", 0)))


async def info(channel: Channel, stream: str) -> StreamInfo | None:
    """State from the leader; None when there is no such stream. Raises `HubAway`, `ApiError`."""
    try:
        answer = await channel.ask(f"STREAM.INFO.{stream}", seconds_max=_INFO_SECONDS_MAX)
    except ApiError as error:
        if error.err_code == STREAM_MISSING:
            return None
        raise
    return msgspec.convert(answer, StreamInfo)


async def named(channel: Channel, region: str) -> dict[str, StreamInfo]:
    """All streams that say they belong to this region, by lane."""
    return {lane: found for (of, lane), found in (await everywhere(channel)).items() if of == region}


async def everywhere(channel: Channel, environment: str | None = None) -> dict[tuple[str, str], StreamInfo]:
    """All streams that say they belong to a region (of this environment), by region and lane."""
    found: dict[tuple[str, str], StreamInfo] = {}
    offset, total = 0, 1
    while offset < total:
        answer = await channel.ask("STREAM.LIST", {"offset": offset})
        page = answer.get("streams") or []
        for entry in page:
            metadata = entry["config"].get("metadata") or {}
            region, lane = metadata.get("entrepot-region"), metadata.get("entrepot-lane")
            if region and lane and environment in (None, metadata.get("entrepot-environment")):
                found[region, lane] = msgspec.convert(entry, StreamInfo)
        total = answer.get("total", 0)
        offset += len(page) or total
    return found


async def message(channel: Channel, stream: str, seq: int) -> HubRecord | None:
    """One stored message from the leader; None when it is gone."""
    return await get(channel, stream, {"seq": seq})


async def message_from(channel: Channel, stream: str, seq: int) -> HubRecord | None:
    """The first stored message at or after `seq`, from the leader."""
    return await get(channel, stream, {"seq": seq, "next_by_subj": ">"})


async def get(channel: Channel, stream: str, body: dict[str, Any]) -> HubRecord | None:
    """The one message that `body` asks for (`seq`, `last_by_subj`), from the leader; None when there is none."""
    try:
        answer = await channel.ask(f"STREAM.MSG.GET.{stream}", body)
    except ApiError as error:
        if error.err_code == MESSAGE_MISSING:
            return None
        raise
    stored = answer["message"]
    return HubRecord(
        seq=stored["seq"],
        subject=stored["subject"],
        headers=parse_headers(base64.b64decode(stored.get("hdrs") or "")),
        data=base64.b64decode(stored.get("data") or ""),
        time=stored.get("time", ""),
    )


class Unanswered(HubAway):
    """Nobody at the hub answers for a stream: it is missing, not ready, or not allowed."""


async def newest(channel: Channel, stream: str, subject: str) -> HubRecord | None:
    """The last message on a subject, or on all that a wildcard stands for; None when there is none. Raises `Unanswered`.

    The stream and the subject stand in what is asked, so that permissions can name them. A replica may answer.
    """
    headers, data = await exchange(channel, f"$JS.API.DIRECT.GET.{stream}.{subject}", b"")
    if headers.startswith(b"NATS/1.0 404"):
        return None
    if headers.startswith(b"NATS/1.0 503"):
        raise Unanswered(f"nobody at the hub answers for {stream}: it is missing, not ready, or not allowed")
    return _stored(headers, data)


async def read(channel: Channel, stream: str, first: int, last: int) -> AsyncIterator[HubRecord]:
    """Stored messages first … last in order; removed ones are simply absent. Raises `HubAway`, `ApiError`.

    A replica may answer long reads; where its answer ends early the leader is asked.
    """
    following = first
    while following <= last:
        records = await _run(channel, stream, following, min(RUN_MESSAGES_MAX, last - following + 1))
        if not records:
            record = await message_from(channel, stream, following)
            if record is None:
                return
            records = [record]
        for record in records:
            if record.seq > last:
                return
            yield record
            following = record.seq + 1


async def batch(channel: Channel, stream: str, first: int) -> list[HubRecord]:
    """Some stored messages from `first` on, in order; empty when there are none yet. Raises `HubAway`, `ApiError`."""
    records = await _run(channel, stream, first, RUN_MESSAGES_MAX)
    if not records and (found := await message_from(channel, stream, first)) is not None:
        return [found]
    return records


async def _run(channel: Channel, stream: str, seq: int, count: int) -> list[HubRecord]:
    """One batched direct get; empty when the server has none to give."""
    if channel.version < _RUN_VERSION:
        return []
    records: list[HubRecord] = []
    ended = anyio.Event()

    def on_message(_subject: bytes, headers: bytes, data: bytes) -> None:
        if headers.startswith(b"NATS/1.0 "):
            ended.set()
        else:
            records.append(_stored(headers, data))

    inbox = channel.inbox()
    stop = await channel.listen(inbox, on_message)
    try:
        body = msgspec.json.encode({"seq": seq, "batch": count})
        request = (f"$JS.API.DIRECT.GET.{stream}".encode(), inbox.encode(), len(body), body)
        await channel.write(b"PUB %b %b %d\r\n%b\r\n" % request)
        with anyio.fail_after(_RUN_SECONDS_MAX):
            await ended.wait()
    except TimeoutError as error:
        raise HubAway(f"the hub stopped answering while reading {stream}") from error
    finally:
        stop()
    return records


def _stored(headers: bytes, data: bytes) -> HubRecord:
    found = parse_headers(headers)
    return HubRecord(
        seq=int(_servers(found, "nats-sequence") or 0),
        subject=_servers(found, "nats-subject"),
        headers=found,
        data=data,
        time=_servers(found, "nats-time-stamp"),
    )


def _servers(headers: dict[str, str], name: str) -> str:
    """What the server said: it adds its own headers behind those of a sender who chose the same names."""
    return headers.pop(name, "").rpartition(",")[2]
