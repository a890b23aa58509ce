"""Durable events a second: flushed before the sender hears of it, against a NATS leaf node that syncs always."""

from __future__ import annotations

from bench.agent import NDJSON_LINES, STREAM, agent
from bench.peers import leaf_node
from bench.peers.nats_server import nats_server
from bench.results import Figure, Goal, Row, interleave
from bench.scale import Bench
from bench.wire import Wire

NAME = "leaf_durable"


def run(bench: Bench) -> list[Row]:
    leaf_events, events = bench.size(20_000, 4_000), bench.size(200_000, 20_000)
    with leaf_node.pair(bench.directory("leaf"), sync_always=True) as servers:

        def peer() -> float:
            return leaf_node.durable_rate(servers.leaf, leaf_events)

        if not bench.with_agent:
            return [_row([], [peer() for _ in range(bench.rounds)])]
        directory = bench.directory("durable")
        with nats_server(directory) as hub, agent(directory, hub.port) as under_test, Wire(hub.port) as wire:

            def ours() -> float:
                loaded = under_test.feed(events)
                wire.wait_for_last(STREAM, under_test.given, seconds_max=bench.seconds_max)
                return loaded.rate

            taken = interleave({"peer": peer, "ours": ours}, bench.rounds)
    return [_row(taken["ours"], taken["peer"])]


def _row(ours: list[float], peer: list[float]) -> Row:
    return Row(
        measure=NAME,
        what="durable events into the region",
        ours=Figure("events/s", ours) if ours else None,
        peer=Figure("events/s", peer),
        peer_name=f"leaf node, sync_interval: always, {leaf_node.WINDOW} outstanding",
        goal=Goal(ratio=5.0),
        note=f"ours: NDJSON, {NDJSON_LINES} lines a request",
    )
