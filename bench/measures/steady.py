"""Accepted → acked at a steady rate: the highest rung of a ladder at which the hub keeps up.

A rung holds when the senders kept their pace and the last event was at the hub within 5 % of the run's length
of its receipt: a lag that grows shows as a share of the time it had to grow in.
"""

from __future__ import annotations

from msgspec import Struct

from bench.agent import STREAM, Agent, agent
from bench.peers.nats_server import nats_server
from bench.results import Figure, Goal, Row
from bench.scale import Bench
from bench.wire import Wire

NAME = "steady"
RUNGS = (5_000, 7_500, 10_500, 12_500, 15_000, 17_500, 20_000, 25_000, 30_000, 40_000)
RUNGS_QUICK = (10_500, 15_000)
LAG_SHARE_MAX = 0.05
PACE_MIN = 0.97
LINES = 20
CONNECTIONS = 32
"""Many senders with a little each: a request under way waits for its commit, so few of them would be the limit."""
WAIT_SECONDS_MAX = 40.0


class Rung(Struct, frozen=True):
    """One run at one rate: what came out at the hub, and how late the last event was."""

    rate: int
    acked_rate: float
    seconds: float
    lag_seconds: float
    paced: bool

    @property
    def holds(self) -> bool:
        return self.paced and self.lag_seconds <= LAG_SHARE_MAX * self.seconds


def run(bench: Bench) -> list[Row]:
    if not bench.with_agent:
        return []
    directory, seconds = bench.directory("steady"), bench.size(10, 3)
    with nats_server(directory) as hub, agent(directory, hub.port) as ours, Wire(hub.port) as wire:
        climbed = _climb(ours, wire, RUNGS_QUICK if bench.quick else RUNGS, seconds)
        repeated = _repeat(ours, wire, climbed, seconds, bench.rounds)
    ladder = ", ".join(
        f"{rung.rate:,}: {'holds' if rung.holds else 'does not'} ({rung.lag_seconds:.2f} s)" for rung in climbed
    )
    return [
        Row(
            measure=NAME,
            what=f"accepted → acked, steady for {seconds} s",
            ours=Figure("events/s", [rung.acked_rate for rung in repeated]),
            goal=Goal(figure=10_000),
            note=f"asked {repeated[0].rate:,}/s; lag of the last event by rung: {ladder}",
            valid=_mostly_hold(repeated),
        )
    ]


def _climb(ours: Agent, wire: Wire, rungs: tuple[int, ...], seconds: int) -> list[Rung]:
    climbed: list[Rung] = []
    for rate in rungs:
        climbed.append(_rung(ours, wire, rate, seconds))
        if not climbed[-1].holds:
            break
    return climbed


def _repeat(ours: Agent, wire: Wire, climbed: list[Rung], seconds: int, rounds: int) -> list[Rung]:
    """The highest rung that goes on to hold when it is repeated; the lowest one when none does."""
    held = [rung for rung in climbed if rung.holds]
    repeated = climbed[:1]
    for rung in reversed(held):
        repeated = [rung] + [_rung(ours, wire, rung.rate, seconds) for _ in range(rounds - 1)]
        if _mostly_hold(repeated):
            break
    return repeated


def _mostly_hold(rungs: list[Rung]) -> bool:
    return sum(rung.holds for rung in rungs) * 2 > len(rungs)


def _rung(ours: Agent, wire: Wire, rate: int, seconds: int) -> Rung:
    loaded = ours.feed(rate * seconds, rate=rate, lines=LINES, connections=CONNECTIONS)
    there = wire.wait_for_last(STREAM, ours.given, seconds_max=WAIT_SECONDS_MAX)
    lag = max(0.0, there - loaded.ended)
    paced = loaded.seconds <= seconds / PACE_MIN
    return Rung(rate, loaded.events / (loaded.seconds + lag), loaded.seconds, lag, paced)
