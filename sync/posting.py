"""One document into a stream, and the hub's answer to it."""

from __future__ import annotations

import secrets

import anyio

from runtime.errors import Overtaken
from sync import wire
from sync.channel import WRONG_SEQUENCE, ApiError, Channel, HubAway

EXPECTED_ON_SUBJECT = "Nats-Expected-Last-Subject-Sequence"
"""With 0: nothing stands on this subject yet."""
ANSWER_SECONDS_MAX = 5.0


async def post(
    channel: Channel, subject: str, headers: dict[str, str], data: bytes, *, seconds_max: float = ANSWER_SECONDS_MAX
) -> int:
    """Store one message; its sequence. Raises `HubAway` (it may be stored all the same), `ApiError`."""
    answers: list[wire.Reply] = []
    answered = anyio.Event()

    def on_answer(_subject: bytes, headers: bytes, data: bytes) -> None:
        answers.append(wire.parse_reply(headers, data))
        answered.set()

    reply = f"{channel.inbox()}.{secrets.token_hex(4)}"
    stop = await channel.listen(reply, on_answer)
    try:
        await channel.write(wire.message_frame(subject, reply, headers, data))
        with anyio.fail_after(seconds_max):
            await answered.wait()
    except TimeoutError as error:
        raise HubAway(f"no answer to a message on {subject}") from error
    finally:
        stop()
    fault = answers[0].error
    if fault is not None:
        raise ApiError(fault.code, fault.err_code, fault.description)
    return answers[0].seq


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
    answers: list[tuple[bytes, bytes]] = []
    answered = anyio.Event()

    def on_answer(_subject: bytes, headers: bytes, data: bytes) -> None:
        answers.append((headers, data))
        answered.set()

    reply = f"{channel.inbox()}.{secrets.token_hex(4)}"
    stop = await channel.listen(reply, on_answer)
    try:
        await channel.write(b"PUB %b %b %d\r\n%b\r\n" % (subject.encode(), reply.encode(), len(data), data))
        with anyio.fail_after(seconds_max):
            await answered.wait()
    except TimeoutError as error:
        raise HubAway(f"no answer on {subject} within {seconds_max:g} s", hint="try again later") from error
    finally:
        stop()
    headers, answer = answers[0]
    if headers.startswith(b"NATS/1.0 503"):
        raise HubAway(f"nobody listens on {subject}", hint="the agent is not connected, or does not know this question")
    return answer
