"""One question over a channel and the first answer to it, whoever gives it: a stream, an agent, the server itself."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

import anyio

from sync.channel import Channel, HubAway
from sync.wire import message_frame

ANSWER_SECONDS_MAX = 5.0
_NO_HEADERS: Mapping[str, str] = {}


async def exchange(
    channel: Channel,
    subject: str,
    payload: bytes,
    *,
    headers: Mapping[str, str] = _NO_HEADERS,
    seconds_max: float = ANSWER_SECONDS_MAX,
) -> tuple[bytes, bytes]:
    """(Header block, data) of the answer. Raises `HubAway` when none comes: what was sent may have been taken all the same."""
    answers: list[tuple[bytes, bytes]] = []
    answered = anyio.Event()

    def on_answer(_subject: bytes, block: bytes, data: bytes) -> None:
        answers.append((block, data))
        answered.set()

    reply = f"{channel.inbox()}.{secrets.token_hex(4)}"
    stop = await channel.listen(reply, on_answer)
    try:
        with anyio.fail_after(seconds_max):
            await channel.write(_frame(subject, reply, headers, payload))
            await answered.wait()
    except TimeoutError as error:
        raise HubAway(f"no answer on {subject} within {seconds_max:g} s") from error
    finally:
        stop()
    return answers[0]


def _frame(subject: str, reply: str, headers: Mapping[str, str], payload: bytes) -> bytes:
    if headers:
        return message_frame(subject, reply, dict(headers), payload)
    return b"PUB %b %b %d\r\n%b\r\n" % (subject.encode(), reply.encode(), len(payload), payload)
