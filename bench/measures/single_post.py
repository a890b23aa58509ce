"""Single HMAC-signed POSTs over 64 connections, flushed before the 202, against a bare aiohttp handler."""

from __future__ import annotations

from functools import partial

from bench.agent import STREAM, Agent, agent, template
from bench.load import Load, Loaded, drive
from bench.machine import wait_until_calm
from bench.payloads import POST_BYTES
from bench.peers.bare_handler import bare_handler
from bench.peers.nats_server import nats_server
from bench.processes import free_port
from bench.results import Figure, Goal, Row, interleave
from bench.scale import Bench
from bench.wire import Wire

NAME = "single_post"
CEILING_RATIO_MIN = 2.0
"""The generator must be able to make twice what the faster side answered, or it was the bottleneck."""


def run(bench: Bench) -> list[Row]:
    events = bench.size(60_000, 15_000)
    with bare_handler(bench.directory("bare")) as bare_port:
        bare = partial(_bare, bare_port, events)
        if not bench.with_agent:
            return [_row("hub connected", {"bare": [bare() for _ in range(bench.rounds)]})]
        rows = [_connected(bench, bare, events)]
        return rows if bench.quick else [*rows, _away(bench, bare, events)]


def _bare(port: int, events: int) -> Loaded:
    return drive(Load(port=port, source="wms", events=events, template=template(POST_BYTES), secret="bench"))


def _connected(bench: Bench, bare: partial[Loaded], events: int) -> Row:
    directory = bench.directory("single")
    with nats_server(directory) as hub, agent(directory, hub.port) as ours, Wire(hub.port) as wire:

        def round_of_ours() -> Loaded:
            loaded = ours.post_signed(events)
            # The backlog of this round must not slow the peer's next one.
            wire.wait_for_last(STREAM, ours.given, seconds_max=bench.seconds_max)
            return loaded

        return _row("hub connected", interleave({"bare": bare, "ours": round_of_ours}, bench.rounds), Goal(ratio=0.5))


def _away(bench: Bench, bare: partial[Loaded], events: int) -> Row:
    with agent(bench.directory("single"), free_port()) as ours:
        calls = {"bare": bare, "ours": partial(_then_calm, ours, events)}
        return _row("hub away", interleave(calls, bench.rounds))


def _then_calm(ours: Agent, events: int) -> Loaded:
    loaded = ours.post_signed(events)
    wait_until_calm(ours.pid, seconds_max=30.0)
    return loaded


def _row(hub: str, taken: dict[str, list[Loaded]], goal: Goal | None = None) -> Row:
    every = [loaded for values in taken.values() for loaded in values]
    headroom = min(loaded.ceiling / loaded.rate for loaded in every)
    note = f"the generator had room for {headroom:.1f} × what was answered"
    if "ours" in taken:
        note += f"; p99 {max(loaded.p99_ms for loaded in taken['ours']):.0f} ms"
    return Row(
        measure=NAME,
        what=f"single signed POST, 64 connections, {hub}",
        ours=Figure("req/s", [x.rate for x in taken["ours"]]) if "ours" in taken else None,
        peer=Figure("req/s", [x.rate for x in taken["bare"]]),
        peer_name="bare aiohttp handler",
        goal=goal or Goal(),
        note=note,
        valid=headroom >= CEILING_RATIO_MIN,
    )
