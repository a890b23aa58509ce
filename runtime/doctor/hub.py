"""Asks about the hub: the running agent if there is one, for only it may have the credentials; else by ourselves."""

from __future__ import annotations

import msgspec

from runtime import clock
from runtime.admin import client
from runtime.cli.loop import run_async
from runtime.config.assemble import Configuration
from runtime.ports import Finding


def look(configuration: Configuration) -> list[Finding]:
    """What the hub's link finds."""
    if client.is_running(configuration.data_dir):
        return msgspec.convert(client.call(configuration.data_dir, "hub.examine", {}), list[Finding])
    return run_async(examine, configuration)


async def examine(configuration: Configuration) -> list[Finding]:
    """Over connections of its own."""
    model, link = configuration.model, configuration.link()
    try:
        return await link.examine(
            list(model.lanes),
            refill_hours=model.journal.refill_hours,
            now_us=clock.now_us(),
            headquarters=model.headquarters,
        )
    finally:
        await link.close()
