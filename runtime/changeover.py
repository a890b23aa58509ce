"""From one configuration to the next in a running agent: all of it or nothing, between two batches of translation.

`apply` has one point of no return (`Kernel.change`). All that can fail comes before it; all that follows cannot.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import anyio
from anyio.to_thread import run_sync
from msgspec.structs import replace

from runtime.config.assemble import Configuration
from runtime.config.change import Plan, compare, fixed
from runtime.crew import Crew
from runtime.errors import Refused, Undrained
from runtime.gateway import listening
from runtime.gateway.server import Gateway
from runtime.gateway.tls import Tls
from runtime.kernel import Kernel
from runtime.observe.log import Log
from runtime.observe.metrics import Counters
from runtime.pipeline.follow import settle_orphans
from runtime.revision import UPLINK, Revision, Workshop, delivery_step, step
from runtime.steps import Steps
from runtime.watchpost import Watchpost

DRAIN_SECONDS_MAX = 10.0
"""How long translation rests so that a lane can drain which a source leaves; longer, and the change is refused."""


class Changeover:
    """Knows the revision that runs, and everything that a new one must reach."""

    def __init__(
        self, revision: Revision, workshop: Workshop, *, kernel: Kernel, gateway: Gateway, steps: Steps, fetching: Crew,
        shipping: Crew, delivering: Crew, watchpost: Watchpost, counters: Counters, log: Log,
    ) -> None:  # fmt: skip
        self.revision = revision
        self.gateway, self._workshop, self._kernel, self._steps = gateway, workshop, kernel, steps
        self._fetching, self._shipping, self._delivering = fetching, shipping, delivering
        self._watchpost, self._counters, self._log = watchpost, counters, log

    async def apply(self, configuration: Configuration) -> Plan:
        """Work by another configuration. Raises `ConfigError`, `Refused`, `StorageFull`: then nothing has changed."""
        running = self.revision
        fixed(running.configuration, configuration)
        secrets = await run_sync(configuration.read_secrets)
        plan = compare(running.configuration, configuration, running.secrets, secrets)
        if not plan.changes:
            return plan
        following = self._workshop.following(running, configuration, secrets, plan)
        if plan.uplink:
            await run_sync(following.link.check)
        loaded = await run_sync(configuration.read_tls)
        tls = None if loaded is None else Tls(loaded)
        async with self._listening(configuration, plan) as sockets:
            await self._change_kernel(configuration, plan.drains)
            self._enter(following, plan)
        if sockets:
            await self.gateway.move_to(sockets, configuration.model.gateway, tls)
        elif loaded is not None and self.gateway.tls is not None:
            self.gateway.tls.use(loaded)
        await settle_orphans(self._kernel.journal, self._kernel.translation)
        self._log.info(
            "the configuration has changed",
            hash=configuration.digest,
            listen=", ".join(self.gateway.addresses),
            sentence="; ".join(f"{change.part} {change.change} {change.detail}".strip() for change in plan.changes),
        )
        return plan

    @asynccontextmanager
    async def _listening(self, configuration: Configuration, plan: Plan) -> AsyncIterator[list[socket.socket]]:
        """Sockets to move to, if any; closed again if the change fails."""
        sockets: list[socket.socket] = []
        if plan.listen:
            wanted = configuration.model.gateway
            if self.gateway.given and wanted.listen != self.revision.configuration.model.gateway.listen:
                self._log.warning("gateway.listen has no effect: the service manager holds the listening socket")
            sockets = await self.gateway.prepare_move(wanted)
        try:
            yield sockets
        except BaseException:
            listening.close(sockets)
            raise

    async def _change_kernel(self, configuration: Configuration, drains: Mapping[str, str]) -> None:
        """The point of no return. Raises `Refused` when a lane that must be empty does not become so in time."""
        if not drains:
            await self._kernel.change(configuration, ())
            return
        # A person's replay may add events in spite of this; `change` looks again in the journal itself.
        async with self._steps.between_batches:
            with anyio.move_on_after(DRAIN_SECONDS_MAX if self._watchpost.hub_connected else 0):
                for lane in drains.keys() & self._kernel.lanes.keys():
                    await self._kernel.lanes[lane].drained()
            try:
                await self._kernel.change(configuration, tuple(drains))
            except Refused as error:
                reasons = "; ".join(sorted({f"{why} ({lane})" for lane, why in drains.items()}))
                raise Undrained(
                    f"{error}, and order would be lost: {reasons}",
                    hint="reload again when the hub has them (`entrepot status` shows the lanes); nothing has changed",
                ) from None

    def reconnect(self) -> None:
        """Replace the connection to the hub by one made with the same settings; what is on the wire is answered first."""
        self._watchpost.hub_changes()
        link = self.revision.configuration.link()
        self.revision = replace(self.revision, link=link)
        self._shipping.change_soon([UPLINK], self.revision.uplink(self._kernel, self._watchpost))

    def _enter(self, following: Revision, plan: Plan) -> None:
        """Everything else follows at once; tasks end at their own safe points and begin anew."""
        configuration, model = following.configuration, following.configuration.model
        self.revision = following
        self._counters.know(configuration.sources, model.lanes)
        self.gateway.serve_sources(following.doors, model.gateway)
        self.gateway.serve_api(following.enquiries)
        self._watchpost.alerts.use(model.alerts)
        self._watchpost.sources({name: source.keyed for name, source in configuration.sources.items()})
        ended = [step(name) for name in plan.ended]
        for name in ended:
            self._watchpost.step_ended(name)
        self._fetching.change_soon(ended, following.workers(plan.started))
        leaving = [delivery_step(name) for name in plan.targets_ended]
        for name in leaving:
            self._watchpost.step_ended(name)
        self._kernel.delivering = dict(following.targets)
        self._delivering.change_soon(leaving, following.deliveries(plan.targets_started))
        if plan.uplink:
            self._watchpost.hub_changes()
            self._watchpost.step_ended(UPLINK)
            self._shipping.change_soon([UPLINK], following.uplink(self._kernel, self._watchpost))
        self._steps.sign_soon()
        for leaf in plan.loosened:
            self._log.once("warning", "the residency policy releases more than before", rule=leaf)
