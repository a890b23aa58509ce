"""A backlog after an outage: how fast it drains, against frames that were ready to send and against a leaf node.

Also what a backlog costs while it waits: memory, and the time a restarted agent needs to come alive.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from msgspec import Struct

from bench.agent import STREAM, Agent
from bench.machine import rss_mb, tree_bytes, wait_until_calm
from bench.peers import fast_ingest, leaf_node
from bench.peers.leaf_node import Recovery
from bench.peers.nats_server import NatsServer, nats_server
from bench.results import Figure, Goal, Row
from bench.scale import Bench
from bench.wire import Wire

NAME = "backlog_drain"
LEAF_ROUNDS = 3
LEAF_WAIT_SECONDS = 10.0
LEAF_SECONDS_MAX = 240.0
"""It has been seen to wait 40 s before it begins."""


class Drained(Struct, frozen=True):
    """One outage; seconds count from the moment the hub answers."""

    first_seconds: float
    all_seconds: float
    rate: float
    memory_mb: float
    alive_seconds: float
    journal_bytes: int


def backlog(bench: Bench) -> int:
    return bench.size(1_000_000, 100_000)


def leaf_recoveries(bench: Bench) -> list[Recovery]:
    """The leaf node's outages, taken once a run: each waits about 40 s, now and then one is back at once.

    A quick run makes its three at the same time; they do nothing but wait for most of it.
    """
    return bench.once("leaf", lambda: _leaves(bench))


def _leaves(bench: Bench) -> list[Recovery]:
    directories = [bench.directory("leaf") for _ in range(LEAF_ROUNDS)]
    with ThreadPoolExecutor(bench.size(1, LEAF_ROUNDS)) as pool:
        return list(pool.map(lambda directory: _leaf(directory, backlog(bench)), directories))


def leaf_note(leaf: list[Recovery]) -> str:
    """The median of two so different things says little: say how many were which."""
    waited = sum(one.first_seconds >= LEAF_WAIT_SECONDS for one in leaf)
    return f"{waited} of {len(leaf)} outages of the leaf: {LEAF_WAIT_SECONDS:g} s or more before its first event"


def _leaf(directory: Path, count: int) -> Recovery:
    with leaf_node.pair(directory, sync_always=False) as servers:
        return leaf_node.recover(servers, count, seconds_max=LEAF_SECONDS_MAX)


def _blast(bench: Bench) -> float:
    with nats_server(bench.directory("blast")) as hub:
        with Wire(hub.port) as wire:
            wire.stream_create(STREAM, ["ev.eu-de.realtime.>"], allow_batched=True)
        return fast_ingest.rate(hub.port, STREAM, leaf_node.SUBJECT, bench.size(400_000, 100_000))


def _drain(bench: Bench) -> Drained:
    """Connected once, then the hub goes, `backlog` events enter and are translated, then the hub comes back."""
    directory, count = bench.directory("drain"), backlog(bench)
    with nats_server(directory) as hub, Wire(hub.port) as wire:
        ours = Agent(directory, hub.port)
        try:
            ours.start()
            ours.feed(100)
            wire.wait_for_last(STREAM, 100, seconds_max=30.0)
            hub.kill()
            ours.feed(count)
            wait_until_calm(ours.pid, seconds_max=bench.seconds_max)
            memory = rss_mb(ours.pid)
            ours.stop()
            alive = ours.start()
            wait_until_calm(ours.pid, seconds_max=bench.seconds_max)
            size = tree_bytes(ours.data)
            first, whole = _time_the_return(hub, count, bench.seconds_max)
            return Drained(first, whole, count / (whole - first), memory, alive, size)
        finally:
            ours.stop()


def _time_the_return(hub: NatsServer, count: int, seconds_max: float) -> tuple[float, float]:
    back = hub.start()
    with Wire(hub.port) as wire:
        first = wire.wait_for_last(STREAM, 101, seconds_max=seconds_max)
        last = wire.wait_for_last(STREAM, 100 + count, seconds_max=seconds_max, poll_seconds=0.05)
    return first - back, last - back


def run(bench: Bench) -> list[Row]:
    rounds, blasts, drains = bench.size(3, 1), [], []
    for _ in range(rounds):
        blasts.append(_blast(bench))
        if bench.with_agent:
            drains.append(_drain(bench))
    leaf = leaf_recoveries(bench)
    count = backlog(bench)
    return [_rate_row(count, drains, blasts), _whole_row(count, drains, leaf), *_cost_rows(count, drains)]


def _rate_row(count: int, drains: list[Drained], blasts: list[float]) -> Row:
    return Row(
        measure=NAME,
        what=f"drain of a backlog of {count:,}",
        ours=Figure("events/s", [drained.rate for drained in drains]) if drains else None,
        peer=Figure("events/s", blasts),
        peer_name="pre-built frames, fast ingest",
        goal=Goal(ratio=0.25, also_figure=40_000),
        note="translated before; cleared, sealed, published and acked on the way",
    )


def _whole_row(count: int, drains: list[Drained], leaf: list[Recovery]) -> Row:
    return Row(
        measure=NAME,
        what=f"hub back → all {count:,} events there",
        ours=Figure("s", [drained.all_seconds for drained in drains]) if drains else None,
        peer=Figure("s", [one.all_seconds for one in leaf]),
        peer_name="leaf node, sourced stream",
        goal=Goal(ratio=1.0, most=True),
        note=leaf_note(leaf),
    )


def _cost_rows(count: int, drains: list[Drained]) -> list[Row]:
    if not drains:
        return []
    memory = Figure("MB", [drained.memory_mb for drained in drains])
    alive = Figure("s", [drained.alive_seconds for drained in drains])
    size = f"journal directory {drains[-1].journal_bytes / 1e6:,.0f} MB"
    return [
        Row(measure=NAME, what=f"memory with {count:,} waiting", ours=memory, goal=Goal(figure=100, most=True)),
        Row(
            measure=NAME,
            what=f"start until alive, {count:,} waiting",
            ours=alive,
            goal=Goal(figure=2, most=True),
            note=size,
        ),
    ]
