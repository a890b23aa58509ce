"""NDJSON intake into a journal that already holds 10 million idempotency keys, and the time it takes to come alive."""

from __future__ import annotations

from bench.agent import PLAIN, STREAM, Agent
from bench.peers.nats_server import nats_server
from bench.results import Figure, Goal, Row
from bench.scale import Bench
from bench.wire import Wire

NAME = "keys_preloaded"


def run(bench: Bench) -> list[Row]:
    if not bench.with_agent:
        return []
    from bench import prefill  # the journal's own code: absent in a run of the peers alone

    keys, events = bench.size(10_000_000, 500_000), bench.size(200_000, 20_000)
    directory = bench.directory("preloaded")
    with nats_server(directory) as hub, Wire(hub.port) as wire:
        ours = Agent(directory, hub.port)
        try:
            ours.start()
            ours.stop()
            prefill.fill(ours.data / "journal.db", PLAIN, keys)
            alive = ours.start()
            _, receipt = ours.post(prefill.BODY, prefill.key(keys // 2))
            rates = []
            for _ in range(bench.rounds):
                rates.append(ours.feed(events).rate)
                wire.wait_for_last(STREAM, ours.given, seconds_max=bench.seconds_max)
        finally:
            ours.stop()
    known = bool(receipt.get("duplicate"))
    note = "an old key is recognised" if known else f"an old key is NOT recognised: {receipt}"
    return [
        Row(
            measure=NAME,
            what=f"NDJSON intake with {keys:,} keys in the journal",
            ours=Figure("events/s", rates),
            goal=Goal(figure=15_000),
            note=note,
            valid=known,
        ),
        Row(
            measure=NAME,
            what=f"start until alive, {keys:,} facts",
            ours=Figure("s", [alive]),
            goal=Goal(figure=2.0, most=True),
        ),
    ]
