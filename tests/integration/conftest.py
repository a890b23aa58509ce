"""What nearly every test of whole processes begins with; a test that wants another kind makes its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.ledger import Ledger
from tests.support.nats import NatsServer


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """A real server."""
    async with NatsServer(tmp_path / "hub") as server:
        yield server


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    """A foreign system that keeps what it was sent."""
    async with Ledger(tmp_path / "ledger") as running:
        yield running
