"""Signed checkpoints on their way to the hub: in order, once, compared with what the hub already has.

The stream's own sequence is the guard, as on every lane; the message id only names the statement.
"""

from __future__ import annotations

from random import SystemRandom

import anyio

from runtime import record
from runtime.errors import Permanent
from runtime.policy.retry import Backoff, wait_seconds
from runtime.ports import Checkpoints, HubObserver, Scope
from sync import stream, topology, wire
from sync.channel import Channel, HubAway
from sync.posting import post
from sync.settings import HubSettings

MESSAGE_ID = "nats-msg-id"
_BACKOFF = Backoff(seconds_min=0.05, seconds_max=5.0)
_WAIT_SECONDS = 30.0
"""Look again this often even when nothing is due: the hub may have lost statements."""
_draw = SystemRandom().random


def message_id(region: str, number: int) -> str:
    """`<region>-checkpoint-<n>`."""
    return f"{region}-checkpoint-{number}"


class CheckpointUplink:
    """Publishes what `Checkpoints` holds over one channel."""

    def __init__(
        self, channel: Channel, checkpoints: Checkpoints, settings: HubSettings, scope: Scope, observer: HubObserver
    ) -> None:
        self._channel, self._checkpoints, self._settings, self._scope = channel, checkpoints, settings, scope
        self._observer = observer
        self._stream = record.stream_name(scope.region, record.CHECKPOINTS_LANE)
        self._subject = record.checkpoint_subject(scope.region)

    async def run(self) -> None:
        """Until the channel is lost; the hub's failures are waited out."""
        attempt = 0
        while not self._channel.lost.is_set():
            try:
                await self._catch_up()
                attempt = 0
            except (HubAway, Permanent) as error:
                attempt += 1
                self._observer.log("checkpoints_wait", reason=str(error))
                await self._pause(wait_seconds(_BACKOFF, attempt, _draw()))

    async def _catch_up(self) -> None:
        """Send everything due, then wait for more. Raises `HubAway`, `Permanent`."""
        last, newest = await self._position()
        if newest or not last:
            await self._checkpoints.resume(newest)
        due = await self._checkpoints.pending()
        while due:
            for number, body in due:
                if number <= newest:
                    await self._expect_same(last - (newest - number), number, body)
                else:
                    last, newest = await self._publish(number, body, last), number
                await self._checkpoints.sent(number)
            due = await self._checkpoints.pending()
        with anyio.move_on_after(_WAIT_SECONDS):
            await self._checkpoints.wait()

    async def _expect_same(self, seq: int, number: int, body: bytes) -> None:
        """The hub has this number already: stored before a crash, or by somebody else."""
        stored = await stream.message(self._channel, self._stream, seq)
        if stored is None or stored.data != body:
            raise Permanent(
                f"the hub has another checkpoint {number}: this journal is an older copy, or a second agent runs"
            )

    async def _position(self) -> tuple[int, int]:
        """(last stream sequence, number of the checkpoint there); makes the stream if that is ours to do."""
        found = await stream.info(self._channel, self._stream)
        if found is None:
            if not self._settings.manage_streams:
                raise HubAway(f"the hub has no stream {self._stream}; run `entrepot topology apply`")
            lane, replicas = record.CHECKPOINTS_LANE, self._settings.replicas
            await topology.make(self._channel, self._scope, lane, first=1, replicas=replicas)
            return 0, 0
        problem = topology.wrong(found.config, self._scope, record.CHECKPOINTS_LANE)
        if problem:
            raise Permanent(problem)
        last = found.state.last_seq
        newest = await stream.message(self._channel, self._stream, last) if found.state.messages else None
        name = newest.headers.get(MESSAGE_ID, "") if newest else ""
        number = name.removeprefix(message_id(self._scope.region, 0)[:-1])
        return last, int(number) if number.isascii() and number.isdigit() else 0

    async def _publish(self, number: int, body: bytes, last: int) -> int:
        """Store one statement behind `last`; returns its sequence."""
        headers = {"Nats-Msg-Id": message_id(self._scope.region, number), wire.EXPECTED_HEADER: str(last)}
        seconds_max = self._settings.ack_timeout_seconds
        return await post(self._channel, self._subject, headers, body, seconds_max=seconds_max)

    async def _pause(self, seconds: float) -> None:
        with anyio.move_on_after(seconds):
            await self._channel.lost.wait()
