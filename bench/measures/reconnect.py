"""A hub comes back and a whole fleet connects at once: how busy it is in its busiest second, and when everybody is back."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

from bench.machine import cpu_seconds
from bench.peers.nats_server import NatsServer, nats_server
from bench.processes import REPOSITORY, stop
from bench.results import Figure, Goal, Row
from bench.scale import Bench

NAME = "reconnect"
AGENTS, AGENTS_QUICK = 200, 50
OUTAGE_SECONDS = 5.0
WINDOW_SECONDS = 1.0
SHARE_MAX = 70.0
SAMPLE_SECONDS = 0.1


class Fleet:
    """The process with all the links, and how many of them stand."""

    def __init__(self, port: int, count: int) -> None:
        self.count, self.there = count, 0
        command = [sys.executable, "-m", "bench.fleet_links", str(port), str(count)]
        self.process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
        Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.there = int(line)

    def wait_for(self, there: int, seconds_max: float) -> None:
        deadline = time.monotonic() + seconds_max
        while self.there != there:
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError(f"{self.there} of {there} links after {seconds_max:g} s")
            time.sleep(0.01)


@contextmanager
def fleet(port: int, count: int) -> Iterator[Fleet]:
    running = Fleet(port, count)
    try:
        yield running
    finally:
        stop(running.process)


def run(bench: Bench) -> list[Row]:
    if not bench.with_agent:
        return []
    count = bench.size(AGENTS, AGENTS_QUICK)
    shares, seconds = [], []
    with nats_server(bench.directory("fleet")) as hub, fleet(hub.port, count) as agents:
        agents.wait_for(count, 120.0)
        for _ in range(bench.rounds):
            share, took = _outage(hub, agents)
            shares.append(share)
            seconds.append(took)
    what = f"{count} agents reconnect at once"
    return [
        Row(
            measure=NAME,
            what=f"{what}: busiest second of the hub",
            ours=Figure("% of its cores", shares),
            goal=Goal(figure=SHARE_MAX, most=True),
            note=f"outages of {OUTAGE_SECONDS:g} s; all links in one process on the same machine",
        ),
        Row(measure=NAME, what=f"{what}: until all are back", ours=Figure("s", seconds)),
    ]


def _outage(hub: NatsServer, agents: Fleet) -> tuple[float, float]:
    """(percent of the machine's cores in the busiest second, seconds until everybody is back)."""
    hub.kill()
    agents.wait_for(0, 30.0)
    time.sleep(OUTAGE_SECONDS)
    begin = hub.start()
    assert hub.process is not None
    samples = [(time.monotonic(), cpu_seconds(hub.process.pid))]
    back = 0.0
    while not back or time.monotonic() - back < WINDOW_SECONDS:
        time.sleep(SAMPLE_SECONDS)
        samples.append((time.monotonic(), cpu_seconds(hub.process.pid)))
        if not back and agents.there == agents.count:
            back = time.monotonic()
        if time.monotonic() - begin > 120.0:
            raise RuntimeError(f"only {agents.there} of {agents.count} agents came back")
    steps = round(WINDOW_SECONDS / SAMPLE_SECONDS)
    windows = [(later[0] - at[0], later[1] - at[1]) for at, later in zip(samples, samples[steps:], strict=False)]
    cores = os.cpu_count() or 1
    return max(used / wall for wall, used in windows) / cores * 100, back - begin
