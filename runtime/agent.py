"""The composition root: one process, one journal, its edges and its tasks, and an orderly stop.

Order of a stop: no more intake, finish commits, sign a last checkpoint, let the uplink flush its window, close.
"""

from __future__ import annotations

import gc
import signal
import socket
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version as package_version
from sys import version_info

import anyio
from anyio.abc import TaskStatus

from runtime import clock
from runtime.admin.server import AdminServer
from runtime.config.assemble import Configuration, ConfiguredSource
from runtime.errors import StorageFailed, StorageFull
from runtime.gateway.inlet import GatewaySource
from runtime.gateway.server import Gateway, serve
from runtime.journal.lock import JournalLock
from runtime.journal.store import SQLITE_VERSION
from runtime.kernel import Kernel, open_kernel
from runtime.observe.alert_sender import AlertSender, Origin
from runtime.observe.exposition import Exposition
from runtime.observe.libraries import capture_libraries
from runtime.observe.log import Log, open_log
from runtime.observe.metrics import Build, Counters
from runtime.operations import Operations, scope
from runtime.pipeline.accept import SourceIntake
from runtime.pipeline.quarantine import Careful
from runtime.ports import Source, SourceContext
from runtime.reports import report, snapshot
from runtime.status import JournalState, Status, read_state
from runtime.supervise import supervise
from runtime.watchdog import notify, watch
from runtime.watchpost import Watchpost, read_clocks

LOOK_SECONDS = 1.0
YIELD_SECONDS = 0.2
BEHIND_ROWS_MAX = 100_000
"""While senders saturate the journal, translation pauses between batches, until so many facts wait for it."""
COLLECT_OBJECTS = 20_000
"""Containers made between two looks of the collector: hardly anything here forms a circle."""
STOP_SECONDS_MAX = 10.0
"""7-faults: SIGTERM in a burst ends within 10 s."""


class Agent:
    """One region, running."""

    def __init__(self, configuration: Configuration, *, sockets: Sequence[socket.socket] = ()) -> None:
        model = configuration.model
        self.configuration = configuration
        self._sockets = sockets
        self.counters = Counters(model.sources, model.lanes)
        self.log: Log = open_log(
            now_us=clock.now_us, monotonic=clock.monotonic, counters=self.counters, region=model.region
        )
        self.watchpost = Watchpost(
            AlertSender(
                model.alerts,
                origin=Origin(model.region, model.environment),
                log=self.log,
                counters=self.counters,
                read_clocks=read_clocks,
            ),
            self.log,
            self.counters,
        )
        self._started = clock.monotonic()
        self._state: JournalState | None = None
        self.addresses: list[str] = []

    async def run(self, *, stop: anyio.Event | None = None, ready: Callable[[list[str]], None] | None = None) -> None:
        """Work until SIGTERM, SIGINT or `stop`. Raises `Refused` and `ConfigError` at the start, `StorageFailed` later."""
        stopping = stop or anyio.Event()
        with capture_libraries(self.log):
            lock = partial(JournalLock, tell=lambda reason: self.log.info("waiting for the journal", reason=reason))
            async with open_kernel(
                self.configuration, alert=self.watchpost, observe=self.counters.commit, lock=lock
            ) as kernel:
                try:
                    await self._work(kernel, stopping, ready)
                except* StorageFailed as group:
                    self.log.critical("the journal failed; the agent ends", error=group.exceptions[0])
                    raise

    async def _work(self, kernel: Kernel, stopping: anyio.Event, ready: Callable[[list[str]], None] | None) -> None:
        self._state = await kernel.journal.read(read_state)
        for name, source in self.configuration.sources.items():
            if not source.keyed:
                self.watchpost.unkeyed(name)
        exposition = Exposition(self.counters, self._build())
        sources = {name: self._source(kernel, configured) for name, configured in self.configuration.sources.items()}
        gateway = Gateway(
            self.configuration.model.gateway,
            {
                n: self._inlet(kernel, n, s)
                for n, s in sources.items()
                if self.configuration.sources[n].adapter.accepts_http
            },
            ready=lambda: self._not_ready(kernel),
            metrics=lambda: exposition.render(snapshot(kernel, self.watchpost, self._state)),
            log=self.log.door(),
        )
        link = self.configuration.hub.link(self.configuration.hub_settings, scope(kernel))
        async with anyio.create_task_group() as kept, anyio.create_task_group() as shipping:
            kept.start_soon(watch, kernel.journal.writer, float(self.configuration.model.journal.watchdog_seconds))
            kept.start_soon(self._supervised, "alerts", self.watchpost.alerts.run)
            kept.start_soon(self._supervised, "care", lambda: self._care(kernel, gateway))
            await kept.start(AdminServer(Operations(kernel, lambda: self._status(kernel), running=True)).serve, kernel)
            await kernel.replay.resume()
            careful = Careful(kernel)
            async with anyio.create_task_group() as forward:
                forward.start_soon(self._supervised, "translate", lambda: self._translate(kernel, careful))
                shipping.start_soon(
                    self._supervised,
                    "uplink",
                    lambda: link.run(list(kernel.lanes.values()), kernel.checkpoints, self.watchpost),
                )
                kept.start_soon(self._supervised, "checkpoints", lambda: self._checkpoints(kernel))
                await self._intake(gateway, sources, stopping, ready)
                self.log.info("stopping: no more intake, finishing what was accepted")
                await _until_translated(kernel)
                forward.cancel_scope.cancel()
            await self._last_checkpoint(kernel)
            with anyio.move_on_after(STOP_SECONDS_MAX - 3.0):  # the rest of the time went to requests and commits
                await link.close()  # what is on the wire is answered first
            shipping.cancel_scope.cancel()
            kept.cancel_scope.cancel()
        self.log.info("stopped")

    # ------------------------------------------------------------ intake

    def _source(self, kernel: Kernel, configured: ConfiguredSource) -> Source:
        name = configured.name
        return configured.adapter.source(
            configured.settings,
            SourceContext(
                name=name,
                intake=self._door(kernel, name),
                secret=self.configuration.vault.secret,
                directory=str(self.configuration.directory),
                log=self.log.door(source=name),
                now_us=clock.now_us,
            ),
        )

    def _door(self, kernel: Kernel, source: str) -> SourceIntake:
        return SourceIntake(
            kernel.acceptance,
            kernel.journal,
            source,
            room=lambda: not kernel.room.full,
            full=kernel.room.disk_is_full,
            count=self.counters.accepted,
        )

    def _inlet(self, kernel: Kernel, name: str, source: Source) -> GatewaySource:
        configured = self.configuration.sources[name]
        return GatewaySource(
            source=source,
            intake=self._door(kernel, name),
            translator=configured.rules.translator,
            dedupe=configured.shared.dedupe,
            limits=configured.limits,
        )

    async def _intake(
        self,
        gateway: Gateway,
        sources: dict[str, Source],
        stopping: anyio.Event,
        ready: Callable[[list[str]], None] | None,
    ) -> None:
        """Take in until told to stop; then finish the requests in hand."""
        async with anyio.create_task_group() as intake:
            intake.start_soon(_on_signal, stopping)
            self.addresses = await intake.start(self._serve, gateway, stopping)
            for name, source in sources.items():
                intake.start_soon(self._supervised, f"source {name}", source.run)
            _spare_the_collector()
            self.log.info("ready", listen=", ".join(self.addresses), config_file=str(self.configuration.path))
            notify(f"READY=1\nSTATUS=listening on {', '.join(self.addresses)}")
            if ready is not None:
                ready(self.addresses)
            await stopping.wait()
            notify("STOPPING=1")
            await gateway.stop(STOP_SECONDS_MAX)
            intake.cancel_scope.cancel()

    async def _serve(self, gateway: Gateway, stopping: anyio.Event, *, task_status: TaskStatus[list[str]]) -> None:
        await serve(gateway, stopping, sockets=list(self._sockets) or None, task_status=task_status)

    def _not_ready(self, kernel: Kernel) -> list[str]:
        reasons = []
        if kernel.journal.writer.failure is not None:
            reasons.append("The journal has failed.")
        if kernel.room.full:
            reasons.append("The journal has no room.")
        return reasons

    # ------------------------------------------------------------ steps

    async def _supervised(self, name: str, task: Callable[[], object]) -> None:
        await supervise(name, task, self.watchpost.step_failed)  # type: ignore[arg-type]

    async def _translate(self, kernel: Kernel, careful: Careful) -> None:
        while True:
            tally = await careful.batch()
            kernel.moved(tally.positions)
            if tally.set_aside:
                self.watchpost.set_aside()
            if not tally.facts:
                await kernel.acceptance.arrived.wait()
            elif kernel.acceptance.saturated and tally.behind < BEHIND_ROWS_MAX:
                await anyio.sleep(YIELD_SECONDS)

    async def _checkpoints(self, kernel: Kernel) -> None:
        while True:
            await anyio.sleep(self.configuration.model.evidence.checkpoint_seconds)
            await kernel.checkpoints.write()

    async def _last_checkpoint(self, kernel: Kernel) -> None:
        """Sign where things stand at the stop, and give the uplink a moment to deliver it."""
        number = await kernel.checkpoints.write(final=True)
        if not self.watchpost.hub_connected:
            return
        with anyio.move_on_after(2.0):
            while any(waiting == number for waiting, _ in await kernel.checkpoints.pending()):
                await kernel.checkpoints.changed()

    async def _care(self, kernel: Kernel, gateway: Gateway) -> None:
        """Every second: room, alerts, the state that metrics and status show."""
        while True:
            try:
                await kernel.room.tend()
            except StorageFull:
                kernel.room.disk_is_full()
            self._state = await kernel.journal.read(read_state)
            for (path, status), count in gateway.answers.items():
                source = path.removeprefix("/in/") if path.startswith("/in/") else "other"
                self.counters.intake_requests[source, status] = count
            self.watchpost.look(kernel, self._state)
            self.log.tick()
            if kernel.renew_policy():
                self.log.info("the residency policy has changed with the date")
            await anyio.sleep(LOOK_SECONDS)

    async def _status(self, kernel: Kernel) -> Status:
        state = await kernel.journal.read(read_state)
        return report(kernel, state, self.watchpost, uptime_seconds=int(clock.monotonic() - self._started))

    def _build(self) -> Build:
        return Build(
            version=package_version("entrepot"),
            region=self.configuration.model.region,
            environment=self.configuration.model.environment,
            sqlite=SQLITE_VERSION,
            python=".".join(str(part) for part in version_info[:3]),
        )


def _spare_the_collector() -> None:
    """What the start has made stays until the end: looking through it again and again costs a tenth of a request."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_OBJECTS, 20, 50)


async def _on_signal(stopping: anyio.Event) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            stopping.set()
            return


async def _until_translated(kernel: Kernel) -> None:
    """Finish translating what was accepted, within bounds: the rest waits for the next start."""
    with anyio.move_on_after(2.0):
        while (await kernel.journal.write(kernel.translate.batch)).facts:
            pass
