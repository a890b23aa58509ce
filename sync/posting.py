"""One document into a stream, and the hub's answer to it."""

from __future__ import annotations

from runtime.errors import Overtaken
from sync import wire
from sync.channel import WRONG_SEQUENCE, ApiError, Channel, HubAway
from sync.exchange import ANSWER_SECONDS_MAX, exchange

EXPECTED_ON_SUBJECT = "Nats-Expected-Last-Subject-Sequence"
"""With 0: nothing stands on this subject yet."""


async def post(
    channel: Channel, subject: str, headers: dict[str, str], data: bytes, *, seconds_max: float = ANSWER_SECONDS_MAX
) -> int:
    """Store one message; its sequence. Raises `HubAway` (it may be stored all the same), `ApiError`."""
    answer = wire.parse_reply(*await exchange(channel, subject, data, headers=headers, seconds_max=seconds_max))
    fault = answer.error
    if fault is not None:
        raise ApiError(fault.code, fault.err_code, fault.description)
    return answer.seq


async def post_after(channel: Channel, subject: str, header: str, after: int, data: bytes) -> int:
    """Store one message if nothing was stored since position `after`. Raises `Overtaken` too."""
    try:
        return await post(channel, subject, {header: str(after)}, data)
    except ApiError as error:
        if error.err_code in WRONG_SEQUENCE:
            raise Overtaken(f"somebody else has written on {subject} meanwhile", hint="try again") from error
        raise


async def request(channel: Channel, subject: str, data: bytes, *, seconds_max: float) -> bytes:
    """A question to whoever listens; the first answer. Raises `HubAway` when nobody does or the time is over."""
    headers, answer = await exchange(channel, subject, data, seconds_max=seconds_max)
    if headers.startswith(b"NATS/1.0 503"):
        raise HubAway(f"nobody listens on {subject}", hint="the agent is not connected, or does not know this question")
    return answer
