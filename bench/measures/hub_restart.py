"""Hub killed and started again: seconds from its first answer until an event accepted meanwhile stands there."""

from __future__ import annotations

import time

from bench.agent import STREAM, Agent, agent
from bench.measures.backlog_drain import leaf_note, leaf_recoveries
from bench.peers.nats_server import NatsServer, nats_server
from bench.results import Figure, Goal, Row
from bench.scale import Bench
from bench.wire import Wire

NAME = "hub_restart"
OUTAGE_SECONDS = (1.0, 4.0, 8.0)
"""Different lengths, so that a lucky phase of the back-off does not decide."""
OUTAGE_SECONDS_QUICK = (3.0,)


def run(bench: Bench) -> list[Row]:
    leaf = leaf_recoveries(bench)
    ours: list[float] = []
    if bench.with_agent:
        directory = bench.directory("restart")
        with nats_server(directory) as hub, agent(directory, hub.port) as under_test:
            under_test.feed(100)
            with Wire(hub.port) as wire:
                wire.wait_for_last(STREAM, 100, seconds_max=30.0)
            outages = OUTAGE_SECONDS_QUICK if bench.quick else OUTAGE_SECONDS * 2
            ours = [_outage(hub, under_test, seconds) for seconds in outages]
    return [
        Row(
            measure=NAME,
            what="hub restarted → first event there",
            ours=Figure("s", ours) if ours else None,
            peer=Figure("s", [one.first_seconds for one in leaf]),
            peer_name="leaf node, sourced stream",
            goal=Goal(figure=2.0, most=True),
            note=f"outages of {'3 s' if bench.quick else '1 to 8 s'}; {leaf_note(leaf)}",
        )
    ]


def _outage(hub: NatsServer, under_test: Agent, seconds: float) -> float:
    hub.kill()
    time.sleep(seconds)
    under_test.feed(100)
    back = hub.start()
    with Wire(hub.port) as wire:
        first = wire.wait_for_last(STREAM, under_test.given - 99, seconds_max=30.0)
        wire.wait_for_last(STREAM, under_test.given, seconds_max=30.0)
    return first - back
