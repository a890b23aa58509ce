"""NDJSON intake, committed and flushed before the answer, against raw SQLite inserts in groups of 100."""

from __future__ import annotations

from bench.agent import NDJSON_CONNECTIONS, NDJSON_LINES, STREAM, agent
from bench.peers import sqlite_groups
from bench.peers.nats_server import nats_server
from bench.results import Figure, Goal, Row, interleave
from bench.scale import Bench
from bench.wire import Wire

NAME = "ndjson_intake"
WHAT = f"NDJSON intake, {NDJSON_LINES} lines a request, {NDJSON_CONNECTIONS} connections"


def run(bench: Bench) -> list[Row]:
    events = bench.size(300_000, 30_000)

    def peer() -> float:
        return sqlite_groups.rate(bench.directory("sqlite"), events)

    if not bench.with_agent:
        return [_row([], [peer() for _ in range(bench.rounds)])]
    directory = bench.directory("ndjson")
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
        what=WHAT,
        ours=Figure("events/s", ours) if ours else None,
        peer=Figure("rows/s", peer),
        peer_name="raw SQLite, groups of 100",
        goal=Goal(ratio=0.3, also_figure=30_000),
        note="hub connected: translating and shipping at the same time",
    )
