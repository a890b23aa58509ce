"""The working parts of one region without its edges: journal, keys, policy in force, translation, lanes, evidence.

The agent puts edges and tasks around it; a command on a stopped agent's journal uses it as it is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from runtime import clock
from runtime.canonical.registry import TYPES
from runtime.clearance import Clearance, compile_policy
from runtime.config.assemble import Configuration
from runtime.doorkeeper import Doorkeeper
from runtime.downlink import INBOX
from runtime.errors import Refused, StorageFull
from runtime.gateway.api.settings import ApiSettings
from runtime.identity import COMMITMENT_FILE, SIGNING_FILE, Identity, load_or_create
from runtime.journal import fate, header, lanes, targets
from runtime.journal.fate import Fate
from runtime.journal.journal import Journal
from runtime.journal.lanes import LaneRow
from runtime.journal.lock import JournalLock
from runtime.journal.retention import Limits
from runtime.journal.standing import StandingLimits
from runtime.journal.store import Connection
from runtime.pipeline.accept import Acceptance
from runtime.pipeline.checkpoint import CheckpointStep
from runtime.pipeline.deliver import TargetStep
from runtime.pipeline.inbox import InboxStep
from runtime.pipeline.lane import LaneAlert, LaneStep, PolicyInForce
from runtime.pipeline.pause import Pauses
from runtime.pipeline.replay import Replay
from runtime.pipeline.retention import Room, give_ballast_back
from runtime.pipeline.seal import Sealer
from runtime.pipeline.standing import StandingStep
from runtime.pipeline.translate import TranslateStep, Translation

HOUR_SECONDS = 3_600
DAY_SECONDS = 24 * HOUR_SECONDS
IDENTITY = "identity"
"""Folder of the keys in the data directory."""


class Kernel:
    """Built by `open_kernel`; everything on it is ready to use while the context lasts."""

    def __init__(self, configuration: Configuration, journal: Journal, identity: Identity, alert: LaneAlert) -> None:
        model = configuration.model
        self.configuration = configuration
        self.journal = journal
        self.identity = identity
        self.acceptance = Acceptance(journal)
        self.pauses = Pauses(journal)
        self.doorkeeper = Doorkeeper(journal, model.access)
        self.policy = self._in_force(configuration.clearance)
        self.translation = Translation(
            journal, {name: source.rules for name, source in configuration.sources.items()}, configuration.router
        )
        self.translation.added = self._added
        self.translate = TranslateStep(journal, self.translation)
        self.translate.standing = self._standing(configuration)
        self.replay = Replay(journal, self.translation)
        self._alert = alert
        self.lanes = {name: self._lane(name) for name in model.lanes}
        self.checkpoints = CheckpointStep(
            journal, identity, model.region, model.environment, configuration.clearance.digest, configuration.digest
        )
        self.room = Room(journal, *_room(configuration))
        self.delivering: dict[str, TargetStep] = {}
        """Targets at work, by name."""
        self.inbox = self._inbox(configuration)
        self.configured_us = clock.now_us()
        """Since when this configuration is in force."""

    async def change(self, new: Configuration, empty: Collection[str]) -> None:
        """Work by another configuration of this region from the next batch of translation on.

        Raises `Refused`, and nothing has changed, when a lane of `empty` still has events that the hub does not have,
        or a target that is removed still has something to deliver.
        """
        journal = self.journal

        def swap(connection: Connection) -> None:
            for name in empty:
                row = lanes.get(connection, journal.lanes[name].id)
                if not row.empty:
                    count = row.queued - row.sealed_event + row.sealed - row.acked
                    raise Refused(f"lane {name} still has {count} events that are not at the hub")
            self.translation.use({name: source.rules for name, source in new.sources.items()}, new.router)

        def dismiss(connection: Connection) -> list[targets.TargetRow]:
            targets.refuse_leaving(connection, _reads(new))
            return targets.let_go(connection, _reads(new))

        await journal.extend(list(new.model.lanes), {"source": list(new.sources)})
        gone = await journal.write(dismiss)
        try:
            await journal.read(swap)
        except Refused:
            await journal.write(lambda connection: targets.take_back(connection, gone))
            raise
        # Without a pause from here on: everybody on the event loop sees either the old configuration or the new one.
        self.configuration, self.configured_us = new, clock.now_us()
        self.lanes = {name: self.lanes.get(name) or self._lane(name) for name in new.model.lanes}
        self.policy = self._in_force(new.clearance)
        self.checkpoints.policy, self.checkpoints.config = new.clearance.digest, new.digest
        self.room.use(*_room(new))
        self.translate.standing = self._standing(new)
        self.acceptance.arrived.notify()  # what is there already may have to be told
        self.doorkeeper.use(new.model.access)
        if self._downlink_differs(new):
            self.inbox = self._inbox(new)

    async def release_targets(self) -> None:
        """Those that left with the last configuration and have nothing left to deliver get nothing more."""
        wanted = _reads(self.configuration)
        with suppress(StorageFull):  # the next start does it
            await self.journal.write(lambda connection: targets.let_go(connection, wanted))

    def arrived(self, reads: str = INBOX) -> None:
        """There may be something for the targets that read this."""
        for step in self.delivering.values():
            if step.settings.reads == reads:
                step.ring()

    async def fate(self, source: str, key: str, caller: str | None) -> Fate | None:
        """What became of the message with this key; None when there is none, or when it is another caller's."""
        journal = self.journal
        return await journal.read(lambda c: fate.find(c, journal.names, journal.keys, source, key, caller))

    def renew_policy(self) -> bool:
        """Compile the policy for today; dated rules begin and end at midnight. True if it changed."""
        changes_on = self.policy.sealer.clearance.changes_on
        if changes_on is None or clock.today() < changes_on:
            return False
        self.policy = self._in_force(compile_policy(self.configuration.policy, today=clock.today()))
        self.checkpoints.policy = self.policy.sealer.clearance.digest
        return True

    def moved(self, positions: Iterable[LaneRow]) -> None:
        """Translation has added events: these lanes may have something to send."""
        for row in positions:
            if row.name in self.lanes:
                self.lanes[row.name].queued(row)

    def _added(self, positions: Sequence[LaneRow]) -> None:
        """The same beside the forward step, which has to tell the API of them."""
        self.moved(positions)
        if positions:
            self.acceptance.arrived.notify()

    async def adopted(self, epoch: int) -> None:
        """Every lane has moved to a new epoch."""
        self.journal.epoch = epoch
        await self.refresh()

    async def refresh(self) -> None:
        """Every lane looks at the journal again, after a change made by a person; and so does translation."""
        for lane in self.lanes.values():
            await lane.refresh()
        self.acceptance.arrived.notify()

    def identity_is_there(self) -> bool:
        """Whether the key files still lie where the next start will look for them."""
        folder = self.configuration.data_dir / IDENTITY
        return (folder / SIGNING_FILE).exists() and (folder / COMMITMENT_FILE).exists()

    def _standing(self, configuration: Configuration) -> StandingStep | None:
        return None if configuration.model.api is None else StandingStep(self.journal)

    def _lane(self, name: str) -> LaneStep:
        step = LaneStep(self.journal, self.journal.lanes[name], lambda: self.policy, self._alert)
        step.on_acknowledged = partial(self.arrived, name)
        return step

    def _inbox(self, configuration: Configuration) -> InboxStep | None:
        settings = configuration.model.downlink
        if settings is None:
            return None
        return InboxStep(
            self.journal,
            settings.region,
            public_key=configuration.headquarters_key,
            poll_seconds=settings.poll_seconds,
            full=lambda: self.room.full,
            arrived=self.arrived,
        )

    def _downlink_differs(self, new: Configuration) -> bool:
        now = None if self.inbox is None else (self.inbox.region, self.inbox.poll_seconds, self.inbox.public_key)
        settings = new.model.downlink
        wanted = None if settings is None else (settings.region, settings.poll_seconds, new.headquarters_key)
        return now != wanted

    def _in_force(self, clearance: Clearance) -> PolicyInForce:
        names = self.journal.names
        sealer = Sealer(self.configuration.model.region, clearance, self.identity.commitment_key, names.known)
        return PolicyInForce(sealer)


def _reads(configuration: Configuration) -> dict[str, str]:
    """Target → what it reads."""
    return {name: target.shared.reads for name, target in configuration.targets.items()}


def _room(configuration: Configuration) -> tuple[Limits, int, int]:
    journal = configuration.model.journal
    limits = Limits(journal.refill_hours * HOUR_SECONDS, journal.key_days * DAY_SECONDS, _kept(configuration.model.api))
    return limits, journal.disk_bytes_max, journal.ballast_bytes


def _kept(api: ApiSettings | None) -> StandingLimits | None:
    if api is None:
        return None
    return StandingLimits(
        record_hours=api.record_days * 24,
        record_rows_max=api.record_rows_max,
        history_hours=api.history_days * 24,
        timeline_rows_max=api.timeline_rows_max,
    )


@asynccontextmanager
async def open_kernel(
    configuration: Configuration,
    *,
    alert: LaneAlert | None = None,
    observe: Callable[[float, int], None] = lambda seconds, changes: None,
    lock: Callable[[Path], JournalLock] = JournalLock,
    progress: Callable[[], None] | None = None,
) -> AsyncIterator[Kernel]:
    """Open the journal, run its writer, and close it in order. Raises `Refused`, `Permanent`, `StorageFailed`."""
    journal = Journal(configuration.data_dir, observe, lock=lock, progress=progress)
    _refuse_a_lost_journal(configuration.data_dir, journal.path)
    model = configuration.model
    names: dict[str, Any] = {"source": list(configuration.sources), "type": list(TYPES)}
    opening = partial(journal.open, model.region, model.environment, list(model.lanes), names)
    try:
        await opening()
    except StorageFull:
        if not give_ballast_back(journal.directory):
            raise
        await opening()
    try:
        # In a thread: the first start writes the keys and waits for the disk.
        identity = await anyio.to_thread.run_sync(
            partial(load_or_create, configuration.data_dir / IDENTITY, journal_is_new=journal.is_new)
        )
    except BaseException:
        await journal.store.close()
        raise
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(journal.writer.run)
        try:
            yield Kernel(configuration, journal, identity, alert or LaneAlert())
        finally:
            await journal.close()
            tasks.cancel_scope.cancel()


def _refuse_a_lost_journal(data_dir: Path, journal: Path) -> None:
    """Keys are made when the journal has been written: an empty file beside them is what is left of one."""
    if header.is_cut_off(journal) and (data_dir / IDENTITY / SIGNING_FILE).exists():
        raise Refused(
            f"{journal} is empty, although this region has keys: the journal was lost",
            hint="restore it from the newest backup; only if there is none, move the empty file away and start again:"
            " the lanes stop until you decide with `entrepot adopt`",
        )
