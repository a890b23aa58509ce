"""What an agent costs that has nothing to do: memory and CPU, connected to its hub."""

from __future__ import annotations

import time

from bench.agent import STREAM, agent
from bench.machine import cpu_seconds, rss_mb, wait_until_calm
from bench.peers.nats_server import nats_server
from bench.results import Figure, Goal, Row
from bench.scale import Bench
from bench.wire import Wire

NAME = "footprint"


def run(bench: Bench) -> list[Row]:
    if not bench.with_agent:
        return []
    memory, share, seconds, directory = [], [], bench.size(20, 4), bench.directory("idle")
    with nats_server(directory) as hub, agent(directory, hub.port) as ours, Wire(hub.port) as wire:
        # One batch first: an agent that has never worked has not loaded what it works with.
        ours.feed(1_000)
        wire.wait_for_last(STREAM, 1_000, seconds_max=30.0)
        wait_until_calm(ours.pid, seconds_max=30.0)
        for _ in range(bench.size(3, 2)):
            before = cpu_seconds(ours.pid)
            time.sleep(seconds)
            share.append((cpu_seconds(ours.pid) - before) / seconds * 100)
            memory.append(rss_mb(ours.pid))
    return [
        Row(measure=NAME, what="memory, idle", ours=Figure("MB", memory), goal=Goal(figure=80, most=True)),
        Row(
            measure=NAME,
            what=f"CPU, idle, over {seconds} s",
            ours=Figure("%", share),
            goal=Goal(figure=1.0, most=True),
            note="of one CPU; the kernel counts in steps of 10 ms",
        ),
    ]
