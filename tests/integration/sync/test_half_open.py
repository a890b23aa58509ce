"""A network that swallows bytes without closing: the connection is given up by pings alone, and made anew."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio.abc import ByteStream, SocketAttribute

from sync import connection
from tests.support.hubs import link, running, stored
from tests.support.lanes import StubLane, differences
from tests.support.nats import NatsServer, free_port

pytestmark = pytest.mark.anyio
NOTICED_SECONDS_MAX = 15


class Wire:
    """A TCP proxy. `hang` swallows what its connections carry and keeps them open; new ones work."""

    def __init__(self, port: int, scheme: str = "nats") -> None:
        self._port, self._scheme = port, scheme
        self._silent = anyio.Event()
        self.url = ""

    def hang(self) -> None:
        self._silent.set()
        self._silent = anyio.Event()

    async def _serve(self, ours: ByteStream) -> None:
        silent = self._silent
        async with ours, await anyio.connect_tcp("127.0.0.1", self._port) as theirs, anyio.create_task_group() as tasks:
            tasks.start_soon(_carry, ours, theirs, silent)
            tasks.start_soon(_carry, theirs, ours, silent)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Wire]:
        async with await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0) as listener:
            self.url = f"{self._scheme}://127.0.0.1:{listener.extra(SocketAttribute.local_port)}"
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(listener.serve, self._serve)
                yield self
                tasks.cancel_scope.cancel()


async def _carry(source: ByteStream, target: ByteStream, silent: anyio.Event) -> None:
    try:
        while True:
            data = await source.receive()
            if not silent.is_set():
                await target.send(data)
    except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
        if not silent.is_set():
            await target.aclose()


@pytest.fixture(params=["nats", "ws"])
async def wire(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Wire]:
    """As TCP and as WebSocket."""
    web = free_port()
    extra = f'websocket {{ host: "127.0.0.1", port: {web}, no_tls: true }}\n'
    async with NatsServer(tmp_path, extra=extra) as server:
        port = web if request.param == "ws" else server.port
        async with Wire(port, request.param).open() as wire:
            yield wire


def test_the_pings_of_the_product_give_up_in_time() -> None:
    """The last ping that may go unanswered is followed by one more interval."""
    assert connection.PING_SECONDS * (connection.PINGS_MAX + 1) <= NOTICED_SECONDS_MAX


async def test_an_idle_half_open_connection_is_noticed_and_made_anew(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No event is on the wire, so nothing but the pings can notice; here they come faster than in the product."""
    monkeypatch.setattr(connection, "PING_SECONDS", 0.2)
    lane = StubLane()
    lane.add(50)
    uplink = link(wire.url)
    async with running(uplink, lane) as diary:
        await lane.reached(50)
        wire.hang()
        with anyio.fail_after(NOTICED_SECONDS_MAX):
            assert "was lost" in str((await diary.heard("disconnected"))["reason"])
        lane.add(50)
        await lane.reached(100)
    assert differences(lane.rows, await stored(uplink)) == []


async def test_events_swallowed_by_a_half_open_connection_arrive_once(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "PING_SECONDS", 0.2)
    lane = StubLane()
    lane.add(2_000)
    uplink = link(wire.url, window_rows_max=64)
    async with running(uplink, lane) as diary:
        await lane.reached(100)
        wire.hang()
        await diary.heard("disconnected")
        await lane.reached(2_000)
    assert differences(lane.rows, await stored(uplink)) == []
    assert (lane.fences, lane.rewinds) == ([], [])
