"""Where the hub's checkpoints stand, whatever somebody has put there."""

from __future__ import annotations

from typing import Any

import pytest

from runtime import record
from runtime.ports import Scope
from sync import topology
from sync.loopback import MemoryChannel, MemoryHub, MemoryStream, Stored
from sync.settings import HubSettings
from sync.statements import CheckpointUplink

pytestmark = pytest.mark.anyio
SCOPE = Scope(region="eu-de", environment="test", directory="", secret=lambda name: b"")


@pytest.mark.parametrize(
    ("name", "number"),
    [("eu-de-checkpoint-7", 7), ("eu-de-checkpoint-\N{SUPERSCRIPT TWO}", 0), ("fr-checkpoint-7", 0), ("", 0)],
)
async def test_a_message_that_is_no_checkpoint_of_ours_has_no_number(name: str, number: int) -> None:
    hub, nobody = MemoryHub(), Any
    config = topology.desired(SCOPE, record.CHECKPOINTS_LANE, first=1, replicas=1, version=hub.version)
    stored = Stored(record.checkpoint_subject("eu-de"), f"NATS/1.0\r\nNats-Msg-Id: {name}\r\n\r\n".encode(), b"{}")
    hub.streams[config["name"]] = MemoryStream(config, 1, {1: stored})
    uplink = CheckpointUplink(MemoryChannel(hub), nobody, HubSettings(servers=["memory"]), SCOPE, nobody)  # type: ignore[arg-type]
    assert await uplink._position() == (1, number)
