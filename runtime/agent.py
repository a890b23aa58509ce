"""The composition root: one process, one journal, its edges and its tasks, and an orderly stop.

What lives as long as the process is made here; what one configuration runs is a `Revision`, replaced by `apply`.
Order of a stop: no more intake, finish commits, sign a last checkpoint, let the uplink flush its window, close.
"""

from __future__ import annotations

import gc
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from importlib.metadata import version as package_version
from sys import version_info
from typing import TYPE_CHECKING, Any

import anyio
from anyio.abc import TaskGroup
from anyio.to_thread import run_sync

from runtime import clock
from runtime.admin.server import AdminServer
from runtime.changeover import Changeover
from runtime.config.assemble import Configuration
from runtime.config.change import Plan
from runtime.crew import Crew
from runtime.errors import ConfigError, EntrepotError, JournalInUse, Permanent, Refused, Retryable, StorageFailed, first
from runtime.fleet.force import Standing, load_in_force
from runtime.fleet.regional import Regional, enter, in_short
from runtime.fleet.slots import Slots
from runtime.gateway.server import Gateway, serve
from runtime.journal.lock import JournalLock
from runtime.journal.store import SQLITE_VERSION
from runtime.kernel import Kernel, open_kernel
from runtime.observe.alert_sender import AlertSender, Origin
from runtime.observe.exposition import Exposition
from runtime.observe.libraries import capture_libraries
from runtime.observe.log import Log, open_log
from runtime.observe.metrics import Build, Counters
from runtime.operations import Operations
from runtime.pipeline.follow import settle_orphans
from runtime.renewal import Renewal
from runtime.reports import report, snapshot
from runtime.revision import UPLINK, Workshop, delivery_step
from runtime.service import Patience, notify
from runtime.status import Status, read_state
from runtime.steps import Steps
from runtime.supervise import supervise
from runtime.watchdog import watch
from runtime.watchpost import Watchpost, read_clocks

if TYPE_CHECKING:
    from runtime.fleet.steward import Steward

COLLECT_OBJECTS = 20_000
"""Containers made between two looks of the collector: hardly anything here forms a circle."""
STOP_SECONDS_MAX = 10.0
"""7-faults: SIGTERM in a burst ends within 10 s."""
Ready = Callable[[list[str]], None]


class Agent:
    """One region, running."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        sockets: Sequence[socket.socket] = (),
        standing: Standing | None = None,
    ) -> None:
        """`standing`: where the region stands with headquarters, if that steers it."""
        model = configuration.model
        self._first = configuration
        self._sockets = list(sockets)
        self.counters = Counters(model.sources, model.lanes)
        self.log: Log = open_log(
            now_us=clock.now_us, monotonic=clock.monotonic, counters=self.counters, region=model.region
        )
        origin = Origin(model.region, model.environment)
        sender = AlertSender(model.alerts, origin=origin, log=self.log, counters=self.counters, read_clocks=read_clocks)
        self.watchpost = Watchpost(sender, self.log, self.counters)
        self._started = clock.monotonic()
        self._stopping = anyio.Event()
        self._reading, self._changing = anyio.Lock(), anyio.Lock()
        self._changeover: Changeover | None = None
        self._standing = standing
        self._steward: Steward | None = None
        self._operations: Operations | None = None

    # ------------------------------------------------------------ from start to stop

    async def run(self, *, stop: anyio.Event | None = None, ready: Ready | None = None) -> None:
        """Work until SIGTERM, SIGINT or `stop`. Raises `Refused` and `ConfigError` at the start, `StorageFailed` later."""
        self._stopping = stop or self._stopping
        with capture_libraries(self.log):
            lock = partial(JournalLock, tell=lambda reason: self.log.info("waiting for the journal", reason=reason))
            try:  # around the kernel: its writer may be the first to fail, and ends the rest by cancelling it
                async with open_kernel(
                    self._first, alert=self.watchpost, observe=self.counters.commit, lock=lock, progress=Patience()
                ) as kernel:
                    await self._work(kernel, ready)
            except* StorageFailed as group:
                self.log.critical("the journal failed; the agent ends", error=first(group))
                raise

    async def _work(self, kernel: Kernel, ready: Ready | None) -> None:
        configuration = self._first
        steps = Steps(kernel, self.watchpost, self.counters, self.log)
        await steps.look()
        self.watchpost.sources({name: source.keyed for name, source in configuration.sources.items()})
        kernel.doorkeeper.log = self.log.door()
        await kernel.doorkeeper.load()
        await kernel.pauses.load()
        workshop = Workshop(kernel, self.counters, self.log, lambda: not self.watchpost.clock_bad)
        revision = workshop.first(configuration)
        exposition = Exposition(self.counters, self._build())
        gateway = Gateway(
            configuration.model.gateway,
            revision.doors,
            ready=lambda: _not_ready(kernel),
            metrics=lambda: exposition.render(snapshot(kernel, self.watchpost, steps.state)),
            log=self.log.door(),
            tls=await run_sync(configuration.read_tls),
        )
        gateway.serve_api(revision.enquiries)
        async with anyio.create_task_group() as kept, anyio.create_task_group() as shipping:
            kept.start_soon(watch, kernel.journal.writer, lambda: kernel.configuration.model.journal.watchdog_seconds)
            self._keep(kept, "alerts", self.watchpost.alerts.run)
            self._keep(kept, "care", lambda: steps.care(gateway.answers))
            self._keep(kept, "access", kernel.doorkeeper.run)
            self._steward = await self._steered(kernel, gateway, steps)
            self._operations = operations = Operations(
                kernel,
                partial(self._status, kernel),
                running=True,
                reload=self.reload,
                regional=Regional(self._steward),
            )
            await kept.start(AdminServer(operations, self.log.error).serve, kernel)
            await kernel.replay.resume()
            await settle_orphans(kernel.journal, kernel.translation)
            delivering = Crew(shipping, self.watchpost.step_failed)
            kernel.delivering = dict(revision.targets)
            await kernel.release_targets()
            await delivering.change((), revision.deliveries())
            uplink = Crew(shipping, self.watchpost.step_failed)
            await uplink.change((), revision.uplink(kernel, self.watchpost))
            async with anyio.create_task_group() as forward:
                self._keep(forward, "translate", steps.translate)
                self._keep(kept, "checkpoints", steps.sign)
                async with anyio.create_task_group() as intake:
                    fetching = Crew(intake, self.watchpost.step_failed)
                    changeover = Changeover(
                        revision, workshop, kernel=kernel, gateway=gateway, steps=steps, fetching=fetching,
                        shipping=uplink, delivering=delivering, watchpost=self.watchpost, counters=self.counters, log=self.log,
                    )  # fmt: skip
                    renewal = Renewal(gateway, lambda: changeover.revision.configuration, self.watchpost, self.log)
                    self._keep(intake, "certificate", renewal.run)
                    await self._take_in(changeover, intake, fetching, ready)
                    intake.cancel_scope.cancel()
                self.log.info("stopping: no more intake, finishing what was accepted")
                if self._steward is not None:
                    await run_sync(self._steward.leave)
                await steps.finish_translation()
                forward.cancel_scope.cancel()
            await kernel.doorkeeper.flush(last=True)
            await steps.sign_last()
            with anyio.move_on_after(STOP_SECONDS_MAX - 3.0):  # the rest of the time went to requests and commits
                async with anyio.create_task_group() as endings:  # what is on the wire is answered first
                    endings.start_soon(uplink.change, [UPLINK], {})
                    endings.start_soon(delivering.change, [delivery_step(name) for name in kernel.delivering], {})
            shipping.cancel_scope.cancel()
            kept.cancel_scope.cancel()
        self.log.info("stopped")

    async def _take_in(self, changeover: Changeover, intake: TaskGroup, fetching: Crew, ready: Ready | None) -> None:
        """Take in until told to stop; then finish the requests in hand."""
        gateway = changeover.gateway
        intake.start_soon(self._on_signals, intake)
        async with anyio.create_task_group() as serving:
            await serving.start(partial(serve, gateway, self._stopping, sockets=self._sockets))
            await fetching.change((), changeover.revision.workers())
            self._changeover = changeover
            if self._steward is not None:
                self._keep(intake, "fleet", self._steward.run)
            _spare_the_collector()
            self.log.info("ready", listen=", ".join(gateway.addresses), config_file=str(self._first.path))
            notify("READY=1")
            if ready is not None:
                ready(gateway.addresses)
            await self._stopping.wait()
            notify("STOPPING=1\nSTATUS=stopping: answering what is in hand")

    async def _on_signals(self, tasks: TaskGroup) -> None:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
            async for number in signals:
                if number == signal.SIGHUP:
                    tasks.start_soon(self._reload_if_possible)
                else:
                    self._stopping.set()
                    return  # a second one ends the process at once

    # ------------------------------------------------------------ another configuration

    async def reload(self) -> Plan:
        """Read the configuration file again and work by it. Raises why not; then the old one is still in force."""
        if self._changeover is None:
            raise Refused("the agent is starting", hint="it reads the configuration as it is now")
        notify(f"RELOADING=1\nMONOTONIC_USEC={int(clock.monotonic() * 1_000_000)}")
        try:
            async with self._reading:  # whoever reads later is applied later
                plan = await self.apply(await run_sync(load_in_force, self._first.path))
        except StorageFailed:
            raise
        except Exception as error:
            reason = _reason(error)
            self.watchpost.reload_refused(reason)
            raise reason from error
        finally:
            notify("READY=1")
        self.watchpost.reload_done()
        return plan

    async def apply(self, configuration: Configuration) -> Plan:
        """Work by a configuration of this region, without losing or reordering anything. Raises why not.

        Whoever wants to go back applies the configuration from before.
        """
        async with self._changing:
            if self._changeover is None or self._stopping.is_set():
                raise Refused("the agent is starting or stopping", hint="the next start reads the configuration")
            plan = await self._changeover.apply(configuration)
            _spare_the_collector()
            return plan

    async def _work_by(self, load: Callable[[], Configuration]) -> Plan:
        """`apply` for headquarters' revisions. Raises `Retryable` in a start or a stop: the next start decides."""
        async with self._reading:
            if self._changeover is None or self._stopping.is_set():
                raise Retryable("the agent is starting or stopping")
            return await self.apply(await run_sync(load))

    async def _steered(self, kernel: Kernel, gateway: Gateway, steps: Steps) -> Steward | None:
        """What a start has decided is written now that this process has the journal's lock. Raises `JournalInUse`."""
        standing = self._standing
        if standing is None or standing.state is None:
            return None
        # An agent that nobody steers does not load what steers it.
        from runtime.fleet.announcer import Announcer
        from runtime.fleet.answers import Answers
        from runtime.fleet.dry_run import DryRuns
        from runtime.fleet.errands import Errands
        from runtime.fleet.steward import Steward
        from runtime.fleet.vitals import Vitals

        slots = Slots(self._first.data_dir)
        if await run_sync(slots.read) != standing.found:
            raise JournalInUse("another agent was still ending when this one began", hint="start it again")
        await run_sync(slots.sweep)
        state = await enter(standing.state, kernel.journal, self.log)
        if state != standing.found:
            await run_sync(slots.write, state)
        return Steward(
            self._first.path,
            slots,
            state,
            work=self._work_by,
            running=lambda: kernel.configuration,
            vitals=Vitals(kernel, gateway, steps, self.watchpost, self.counters),
            announcer=Announcer(kernel, gateway, self.watchpost.alerts, partial(self._status, kernel)),
            errands=Errands(kernel, self._asked, self._renew_soon, self.log),
            answers=Answers(kernel, self._asked, DryRuns(self._first.path, slots, lambda: kernel.configuration)),
            log=self.log,
        )

    async def _asked(self, verb: str, parameters: dict[str, Any]) -> Any:
        """A verb that headquarters asks for. Raises `Retryable` in a start."""
        if self._operations is None:
            raise Retryable("the agent is starting")
        return await self._operations.call(verb, parameters)

    def _renew_soon(self) -> None:
        """Connect to the hub anew: the files of the login are read again for each connection."""
        if self._changeover is not None:
            self._changeover.reconnect()

    async def _reload_if_possible(self) -> None:
        try:
            await self.reload()
        except StorageFailed:
            raise
        except EntrepotError:
            return  # the log, the status and an alert say it

    # ------------------------------------------------------------ what people see

    def _keep(self, tasks: TaskGroup, name: str, task: Callable[[], Awaitable[None]]) -> None:
        tasks.start_soon(supervise, name, task, self.watchpost.step_failed)

    async def _status(self, kernel: Kernel) -> Status:
        state = await kernel.journal.read(read_state)
        return report(
            kernel,
            state,
            self.watchpost,
            uptime_seconds=int(clock.monotonic() - self._started),
            revision=in_short(self._steward.state) if self._steward is not None else None,
        )

    def _build(self) -> Build:
        return Build(
            version=package_version("entrepot"),
            region=self._first.model.region,
            environment=self._first.model.environment,
            sqlite=SQLITE_VERSION,
            python=".".join(str(part) for part in version_info[:3]),
        )


def _spare_the_collector() -> None:
    """What a start or a reload has made stays for long: looking through it again and again costs a tenth of a request."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_OBJECTS, 20, 50)


def _not_ready(kernel: Kernel) -> list[str]:
    reasons = []
    if kernel.journal.writer.failure is not None:
        reasons.append("The journal has failed.")
    if kernel.room.full:
        reasons.append("The journal has no room.")
    return reasons


def _reason(error: Exception) -> EntrepotError:
    """Why a configuration cannot be used, as a sentence."""
    if isinstance(error, EntrepotError):
        return error
    if isinstance(error, OSError) and error.filename:
        return ConfigError(f"{error.filename} cannot be read ({error.strerror})")
    return Permanent(f"the new configuration could not be prepared ({type(error).__name__})")
