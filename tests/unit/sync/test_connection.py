"""What a connection makes of answers that are none."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from sync import wire
from sync.channel import Handler, HubAway
from sync.connection import Connection, _answer


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'"text"'])
def test_an_answer_that_is_no_json_object_counts_as_no_answer(data: bytes) -> None:
    with pytest.raises(HubAway, match=r"answer to STREAM\.INFO\.X cannot be read"):
        _answer("STREAM.INFO.X", data)


def test_an_answer_that_is_an_object_is_given_as_it_is() -> None:
    assert _answer("STREAM.INFO.X", b'{"error":{"code":404}}') == {"error": {"code": 404}}


def test_a_statement_s_frame_counts_bytes_not_characters() -> None:
    frame = wire.message_frame("cp.eu-de", "in.b", {"note": "é"}, b"{}")
    line, rest = frame.split(b"\r\n", 1)
    head_size, size = (int(n) for n in line.split(b" ")[-2:])
    assert rest[:head_size] == "NATS/1.0\r\nnote:é\r\n\r\n".encode()
    assert rest[head_size:size] == b"{}"
    assert rest[size:] == b"\r\n"


class Wire:
    """What a connection needs of its client; `frames` is what was written, and nobody ever answers by itself."""

    def __init__(self) -> None:
        self.connected_server_version = SimpleNamespace(major=2, minor=12, patch=0)
        self.max_payload = 1_048_576
        self.lost = anyio.Event()
        self.frames: list[bytes] = []
        self.cut: Any = None

    def new_inbox(self) -> str:
        return "_INBOX.x"

    def subscribe_now(self, subject: str, handler: Handler) -> int:
        self.hear = handler
        return 1

    def put(self, frames: bytes) -> None:
        self.frames.append(frames)

    async def drain(self) -> None:
        pass


@pytest.mark.anyio
async def test_an_answer_that_comes_too_late_is_never_taken_for_that_to_a_later_question() -> None:
    client: Any = Wire()
    connection = Connection(client, "memory")
    for _ in range(20):
        with pytest.raises(HubAway, match="did not answer"):
            await connection.ask("STREAM.INFO.ONE", seconds_max=0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(answer_late, client)
        assert await connection.ask("STREAM.INFO.OTHER", seconds_max=30) == {"of": "OTHER"}


async def answer_late(client: Wire) -> None:
    """First every question that was given up, then the newest."""
    while b"OTHER" not in client.frames[-1]:
        await anyio.lowlevel.checkpoint()
    *late, newest = (frame.split(b" ")[2] for frame in client.frames)
    for reply in late:
        client.hear(reply, b"", b'{"of":"ONE"}')
    await anyio.wait_all_tasks_blocked()
    client.hear(newest, b"", b'{"of":"OTHER"}')
