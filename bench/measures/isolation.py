"""A quiet source at 50 messages a second: alone, and beside one that bursts to twenty times that and one that sends rubbish.

The bursting source has no limit of its own here, so all of its messages go through the queue into the journal.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import msgspec

from bench.agent import PLAIN, SECRET, SIGNED, Agent, agent, template
from bench.load import Load, Loaded, drive
from bench.payloads import EVENT_BYTES
from bench.peers.nats_server import nats_server
from bench.processes import run_json
from bench.results import Figure, Goal, Row
from bench.rubbish import Rubbish
from bench.scale import Bench

NAME = "isolation"
QUIET_RATE = 50.0
BURST_TIMES = 20
RUBBISH_RATE = 300.0
QUIET_CONNECTIONS = 8
BURST_CONNECTIONS = 64
AHEAD_SECONDS = 1.0
"""The others begin before and end after the quiet one."""
P99_MS_MAX = 50.0
BURST = "burst"
CONFIG = f"""
[sources.{BURST}]
adapter = "webhook"
mapping = "mapping.toml"
lane = "realtime"
dedupe = "key"
auth = {{ scheme = "none" }}
"""


class Flow:
    """The senders of one agent; every message is new."""

    def __init__(self, ours: Agent, seconds: int) -> None:
        self._ours, self._seconds = ours, seconds
        self._sent = {PLAIN: 0, BURST: 0}

    def quiet(self) -> Loaded:
        return self._drive(PLAIN, QUIET_RATE, self._seconds, QUIET_CONNECTIONS)

    def beside(self) -> tuple[Loaded, Loaded, dict[str, int]]:
        """The quiet source's answers while the others send, and what the others were told."""
        longer = self._seconds + 2 * AHEAD_SECONDS
        with ThreadPoolExecutor(2) as others:
            burst = others.submit(self._drive, BURST, QUIET_RATE * BURST_TIMES, longer, BURST_CONNECTIONS)
            rubbish = others.submit(self._rubbish, longer)
            quiet = self.quiet()
            return quiet, burst.result(), rubbish.result()

    def _drive(self, source: str, rate: float, seconds: float, connections: int) -> Loaded:
        events = int(rate * seconds)
        first, self._sent[source] = self._sent[source] + 1, self._sent[source] + events
        return drive(
            Load(
                port=self._ours.port,
                source=source,
                events=events,
                template=template(EVENT_BYTES),
                connections=connections,
                rate=rate,
                first=first,
            )
        )

    def _rubbish(self, seconds: float) -> dict[str, int]:
        wanted = Rubbish(port=self._ours.port, source=SIGNED, secret=SECRET, rate=RUBBISH_RATE, seconds=seconds)
        answer = run_json("bench.rubbish", msgspec.to_builtins(wanted), seconds_max=seconds + 60.0)
        return {kind: int(count) for kind, count in answer.items()}


def run(bench: Bench) -> list[Row]:
    if not bench.with_agent:
        return []
    directory = bench.directory("isolation")
    alone: list[Loaded] = []
    beside: list[Loaded] = []
    bursts: list[Loaded] = []
    told: dict[str, int] = {}
    with nats_server(directory) as hub, agent(directory, hub.port, CONFIG) as ours:
        flow = Flow(ours, bench.size(20, 6))
        flow.quiet()  # the first messages of an agent pay for what it loads
        for _ in range(bench.rounds):
            alone.append(flow.quiet())
            quiet, burst, told = flow.beside()
            beside.append(quiet)
            bursts.append(burst)
    note = f"beside {min(b.rate for b in bursts):,.0f}/s accepted of the burst; rubbish: {told}"
    return [
        _row("p50", [x.p50_ms for x in alone], [x.p50_ms for x in beside], Goal(), ""),
        _row("p99", [x.p99_ms for x in alone], [x.p99_ms for x in beside], Goal(figure=P99_MS_MAX, most=True), note),
    ]


def _row(share: str, alone: list[float], beside: list[float], goal: Goal, note: str) -> Row:
    return Row(
        measure=NAME,
        what=f"sent → 202 of a quiet source, {QUIET_RATE:g}/s, beside a burst × {BURST_TIMES} and rubbish, {share}",
        ours=Figure("ms", beside),
        peer=Figure("ms", alone),
        peer_name="the same source alone",
        goal=goal,
        note=note,
    )
