"""The running agent as a trial sees it: counts of requests and letters, sources, lanes, the listener, the link."""

from __future__ import annotations

from collections import deque

from runtime import clock
from runtime.fleet import health
from runtime.fleet.health import Baseline, SourceTally, Tally
from runtime.fleet.lifecycle import Reading
from runtime.fleet.probe import listener_trouble
from runtime.gateway.server import Gateway
from runtime.kernel import Kernel
from runtime.observe.metrics import Counters
from runtime.steps import Steps
from runtime.watchpost import Watchpost

_INTAKE = "/in/"


class Vitals:
    """Of one agent. Reads only what is kept anyway, but for one request to its own listener."""

    def __init__(
        self, kernel: Kernel, gateway: Gateway, steps: Steps, watchpost: Watchpost, counters: Counters
    ) -> None:
        self._kernel, self._gateway, self._steps = kernel, gateway, steps
        self._watchpost, self._counters = watchpost, counters
        self._origin = self._tally()
        self._marks: deque[Tally] = deque(maxlen=health.MARKS_MAX)
        self._before = Baseline()

    @property
    def clock_bad(self) -> bool:
        """Whether the clock of this machine cannot be believed."""
        return self._watchpost.clock_bad

    def mark(self) -> None:
        """Remember how things are; call it every second or so."""
        if not self._marks or clock.monotonic() - self._marks[-1].seconds >= health.MARK_SECONDS:
            self._marks.append(self._tally())

    def begin(self) -> None:
        """From now on everything is compared with how it was until now."""
        self._before = health.baseline(self._origin, self._tally(), self._marks)

    async def reading(self, *, reached: bool) -> Reading:
        """How things are. `reached`: what headquarters says was read at the hub since the trial began."""
        now = self._tally()
        sources = self._kernel.configuration.sources
        intake = health.intake_trouble(self._before, now, sources) or await self._listener()
        connected = self._watchpost.hub_connected
        return Reading(intake=intake, hub=health.hub_trouble(self._before, now, connected=connected, reached=reached))

    async def _listener(self) -> str:
        encrypted = self._gateway.tls is not None
        for address in self._gateway.addresses:
            trouble = await listener_trouble(address, encrypted=encrypted)
            if trouble:
                return trouble
        return "" if self._gateway.addresses else "there is no listener"

    def _tally(self) -> Tally:
        state = self._steps.state
        requests: dict[str, int] = {}
        refused: dict[str, int] = {}
        for (path, status), count in self._gateway.answers.items():
            name = path.removeprefix(_INTAKE)
            requests[name] = requests.get(name, 0) + count
            refused[name] = refused.get(name, 0) + (count if health.is_refusal(status) else 0)
        letters = {} if state is None else state.letters
        return Tally(
            seconds=clock.monotonic(),
            sources={
                name: SourceTally(
                    requests=requests.get(name, 0),
                    refused=refused.get(name, 0),
                    facts=self._counters.intake_facts.get(name, 0),
                    letters=letters.get(name, 0),
                )
                for name in self._kernel.configuration.sources
            },
            failing=frozenset(self._watchpost.failing()),
            full=self._kernel.room.full,
            fenced=frozenset() if state is None else frozenset(n for n, lane in state.lanes.items() if lane.fenced),
        )
