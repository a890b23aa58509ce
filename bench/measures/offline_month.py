"""Thirty days offline at 50,000 events a day, accelerated: does it fit, and does intake stay as fast as it began?"""

from __future__ import annotations

import statistics

from bench.agent import agent
from bench.machine import tree_bytes, wait_until_calm
from bench.processes import free_port
from bench.results import Figure, Goal, Row
from bench.scale import Bench

NAME = "offline_month"
DAYS = 30
DAYS_COMPARED = 5
DISK_GB_MAX = 10.0


def run(bench: Bench) -> list[Row]:
    if not bench.with_agent:
        return []
    a_day = bench.size(50_000, 4_000)
    with agent(bench.directory("month"), free_port()) as ours:
        # A first, uncounted day: a cold start is not what the last day is compared with.
        ours.feed(a_day)
        rates = []
        for _ in range(DAYS):
            rates.append(ours.feed(a_day).rate)
            wait_until_calm(ours.pid, over_seconds=0.3, seconds_max=30.0)
        size = tree_bytes(ours.data)
    gigabytes = size / (ours.given / (DAYS * 50_000)) / 1e9
    begin, end = rates[:DAYS_COMPARED], rates[-DAYS_COMPARED:]
    what = f"{DAYS} days offline, {a_day:,} events a day"
    scaled = "" if a_day == 50_000 else ", scaled to 50,000 events a day"
    return [
        Row(
            measure=NAME,
            what=f"{what}: size",
            ours=Figure("GB", [gigabytes]),
            goal=Goal(figure=DISK_GB_MAX, most=True),
            note=f"{size / ours.given:,.0f} bytes an event of 458{scaled}",
        ),
        Row(
            measure=NAME,
            what=f"{what}: intake, last {DAYS_COMPARED} days against the first {DAYS_COMPARED}",
            ours=Figure("events/s", end),
            peer=Figure("events/s", begin),
            peer_name="the same agent at the start",
            goal=Goal(ratio=0.9),
            note=f"median of all days {statistics.median(rates):,.0f}/s" + ("; days too short to judge" * bench.quick),
        ),
    ]
