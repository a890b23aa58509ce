"""One configuration made ready to run: sources with their secrets, doors for the gateway, the way to the hub.

Making it may fail and touches nothing that runs; what did not change is taken over from the revision before.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial

import anyio
from msgspec import Struct

from runtime import clock
from runtime.config.assemble import Configuration, ConfiguredSource
from runtime.config.change import Plan
from runtime.config.targets import ConfiguredTarget
from runtime.crew import Worker
from runtime.errors import ConfigError
from runtime.gateway.api.enquiries import Enquiries
from runtime.gateway.api.knowledge import Knowledge
from runtime.gateway.inlet import GatewaySource
from runtime.gateway.keys import own_key
from runtime.kernel import Kernel
from runtime.observe.log import Log
from runtime.observe.metrics import Counters
from runtime.pipeline.accept import SourceIntake
from runtime.pipeline.deliver import TargetStep
from runtime.pipeline.follow import SourceNotices
from runtime.ports import HubLink, HubObserver, Source, SourceContext

UPLINK = "uplink"


class RunningSource(Struct, frozen=True):
    """A source with what it was lent."""

    source: Source
    door: GatewaySource | None
    """None: it does not answer HTTP."""
    in_hand: anyio.Lock
    fetch: Callable[[], Awaitable[None]]
    """The source's own task, which rests while the source is paused."""

    @property
    def worker(self) -> Worker:
        return Worker(self.fetch, lambda: self.in_hand)


class Revision(Struct, frozen=True, kw_only=True):
    """What runs by one configuration."""

    configuration: Configuration
    secrets: Mapping[str, str]
    """See `Configuration.read_secrets`: what the sources and the link were made with."""
    sources: dict[str, RunningSource]
    targets: dict[str, TargetStep]
    link: HubLink
    enquiries: Enquiries | None = None
    """The API, if there is one."""

    @property
    def doors(self) -> dict[str, GatewaySource]:
        """What the gateway serves."""
        return {name: running.door for name, running in self.sources.items() if running.door is not None}

    def workers(self, names: frozenset[str] | None = None) -> dict[str, Worker]:
        """The tasks of these sources, or of all."""
        return {step(name): s.worker for name, s in self.sources.items() if names is None or name in names}

    def deliveries(self, names: frozenset[str] | None = None) -> dict[str, Worker]:
        """The tasks of these targets, or of all."""
        chosen = {name: t for name, t in self.targets.items() if names is None or name in names}
        return {delivery_step(name): Worker(target.run, target.at_rest) for name, target in chosen.items()}

    def uplink(self, kernel: Kernel, observer: HubObserver) -> dict[str, Worker]:
        """The task that ships every lane of the kernel as it is configured now."""
        lanes, inbox = list(kernel.lanes.values()), kernel.inbox
        run = lambda: self.link.run(lanes, kernel.checkpoints, observer, inbox)  # noqa: E731
        return {UPLINK: Worker(run, lambda: _closed(self.link))}


class Workshop:
    """Makes revisions of one agent."""

    def __init__(self, kernel: Kernel, counters: Counters, log: Log, clock_is_right: Callable[[], bool]) -> None:
        self._kernel = kernel
        self._counters = counters
        self._log = log
        self._clock_is_right = clock_is_right

    def first(self, configuration: Configuration) -> Revision:
        """For a start. Raises `ConfigError` when a source's secret is missing; one for the hub alone stops no intake."""
        try:
            sources = {name: self._source(configuration, source) for name, source in configuration.sources.items()}
            targets = {name: self._target(configuration, target) for name, target in configuration.targets.items()}
        except ConfigError:
            configuration.read_secrets()  # names the file and the key of a secret that is missing
            raise
        try:
            secrets = configuration.read_secrets()
        except ConfigError:
            secrets = {}  # the next change takes everything for new, and says what is missing
        return Revision(
            configuration=configuration,
            secrets=secrets,
            sources=sources,
            targets=targets,
            link=configuration.link(),
            enquiries=self._enquiries(configuration),
        )

    def following(
        self, before: Revision, configuration: Configuration, secrets: Mapping[str, str], plan: Plan
    ) -> Revision:
        """For a change. Raises `ConfigError`."""
        sources = {
            name: self._source(configuration, source) if name in plan.started else before.sources[name]
            for name, source in configuration.sources.items()
        }
        targets = {
            name: self._target(configuration, target, changed=True)
            if name in plan.targets_started
            else before.targets[name]
            for name, target in configuration.targets.items()
        }
        link = configuration.link() if plan.uplink else before.link
        same_api = before.configuration.model.api == configuration.model.api
        return Revision(
            configuration=configuration,
            secrets=secrets,
            sources=sources,
            targets=targets,
            link=link,
            enquiries=before.enquiries if same_api else self._enquiries(configuration),
        )

    def _enquiries(self, configuration: Configuration) -> Enquiries | None:
        kernel, api = self._kernel, configuration.model.api
        if api is None:
            return None
        journal = kernel.journal
        knowledge = Knowledge(journal.read, journal.names, kernel.identity.commitment_key)
        return Enquiries(api, kernel.doorkeeper, knowledge, clock.monotonic)

    def _target(
        self, configuration: Configuration, configured: ConfiguredTarget, *, changed: bool = False
    ) -> TargetStep:
        log = self._log.door(target=configured.name)
        return TargetStep(
            self._kernel.journal,
            configured.name,
            configured.shared,
            configuration.make_target(configured.name, log),
            log=log,
            clock_is_right=self._clock_is_right,
            changed=changed,
        )

    def _source(self, configuration: Configuration, configured: ConfiguredSource) -> RunningSource:
        name, in_hand = configured.name, anyio.Lock()
        doorkeeper = self._kernel.doorkeeper
        translator, dedupe = configured.rules.translator, configured.shared.dedupe
        source = configuration.make_source(
            name,
            SourceContext(
                name=name,
                intake=self._intake(name),
                secret=configuration.vault.secret,
                directory=str(configuration.directory),
                log=self._log.door(source=name),
                now_us=clock.now_us,
                key=lambda body, kind, headers: own_key(body, kind, translator, dedupe, headers),
                notices=SourceNotices(self._kernel.acceptance, self._kernel.journal, self._kernel.translation, name),
                clock_is_right=self._clock_is_right,
                in_hand=lambda: in_hand,
                admit=partial(doorkeeper.admit, name),
            ),
        )
        kernel = self._kernel
        door = GatewaySource(
            name=name,
            source=source,
            intake=self._intake(name),
            translator=translator,
            dedupe=dedupe,
            schema=configured.schema,
            answer_status=configured.shared.answer_status,
            limits=configured.limits,
            told=configured.shared.limits is not None,
            desk=doorkeeper,
            outcome=kernel.translation.outcome,
            fate=partial(kernel.fate, name),
        )
        fetch = partial(kernel.pauses.run, name, source.run, lambda: in_hand)
        return RunningSource(source, door if configured.adapter.accepts_http else None, in_hand, fetch)

    def _intake(self, source: str) -> SourceIntake:
        kernel = self._kernel
        return SourceIntake(
            kernel.acceptance,
            kernel.journal,
            source,
            room=lambda: not kernel.room.full,
            full=kernel.room.disk_is_full,
            turn_away=kernel.pauses.refuse,
            count=self._counters.accepted,
        )


def delivery_step(target: str) -> str:
    """The name of a target's task in alerts and metrics."""
    return f"target/{target}"


def step(source: str) -> str:
    """The name of a source's task in alerts and metrics."""
    return f"source/{source}"


@asynccontextmanager
async def _closed(link: HubLink) -> AsyncIterator[None]:
    """The link, once what is on the wire has been answered."""
    await link.close()
    yield
