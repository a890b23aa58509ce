"""Takes what headquarters offers through its stages, watches each trial, and takes back what breaks. Needs no hub for that.

`lifecycle` decides; this asks, writes, applies and tells. One step at a time, under `_turn`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from random import SystemRandom
from typing import Any, Literal

import anyio
from anyio.to_thread import run_sync
from msgspec.structs import replace

from runtime import clock
from runtime.config.assemble import Configuration, load_configuration
from runtime.config.change import Plan
from runtime.errors import EntrepotError, Permanent, Refused, Retryable, StorageFailed, Undrained
from runtime.fleet import lifecycle
from runtime.fleet.announcer import Announcer
from runtime.fleet.answers import Answers
from runtime.fleet.arrivals import Missing, collect_files, open_revision
from runtime.fleet.documents import REVISION, TIMESTAMP, Revision, Timestamp
from runtime.fleet.errands import Errands, quietly
from runtime.fleet.force import load_version
from runtime.fleet.lifecycle import Failed, Override, Passed, State, Trial
from runtime.fleet.post import FleetPost
from runtime.fleet.rehearsal import keeping_lanes, reason_of, rehearse
from runtime.fleet.settings import FleetSettings, raw_keys
from runtime.fleet.signing import digest, read
from runtime.fleet.slots import Slots
from runtime.fleet.steering import check_steering
from runtime.fleet.vitals import Vitals
from runtime.observe.log import Log

WATCH_SECONDS = 1.0
"""Between two looks at a trial."""
SPREAD_SECONDS_MAX = 2.0
"""A poke or a hub that is back is heard by every agent at once: each waits for a moment of its own before it asks."""
JITTER = 0.2
_draw = SystemRandom().random

Work = Callable[[Callable[[], Configuration]], Awaitable[Plan]]
"""Loads a configuration and works by it, or raises and works as before."""


class Steward:
    """One agent's."""

    def __init__(
        self, path: Path, slots: Slots, state: State, *, work: Work, running: Callable[[], Configuration],
        vitals: Vitals, announcer: Announcer, errands: Errands, answers: Answers, log: Log,
    ) -> None:  # fmt: skip
        """`path`: entrepot.toml. `state`: what `load_at_start` has left. `running`: the configuration in force."""
        self._path, self._slots, self.state = path, slots, state
        self._written = state
        self._work, self._running, self._vitals, self._announcer, self._log = work, running, vitals, announcer, log
        self._errands, self._answers = errands, answers
        self._turn = anyio.Lock()
        self._due = anyio.Event()
        self._beat_due = anyio.Event()
        self._post: FleetPost = running().post()
        self._post_settings: Any = running().hub_settings
        self._posting = anyio.CancelScope()
        self._trial = Trial()
        self._trial_from = clock.monotonic()
        self._reached = False
        """Whether headquarters' word was read since the trial began."""
        self._doubted = False
        """Whether the last answer about what is newest was not believed."""
        self._behind: Literal["", "lanes", "all"] = ""
        """What runs is not what the state says yet: its lanes have to drain first, or it could not be used at all."""

    async def run(self) -> None:
        """Until cancelled."""
        if self.state.stage == "provisional":
            self._vitals.begin()
        self._tell()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._stay_connected)
            tasks.start_soon(self._poll)
            tasks.start_soon(self._watch)
            tasks.start_soon(self._beat)

    def leave(self) -> None:
        """The agent stops in order: a trial goes on at the next start. Blocking."""
        left = lifecycle.leave(self.state, self._spent())
        if left != self.state:
            self._slots.write(left)

    # ------------------------------------------------------------ loops

    async def _stay_connected(self) -> None:
        """By the settings in force: a connection that was made by others is ended."""
        while True:
            configuration = self._running()
            self._post, self._post_settings = configuration.post(), configuration.hub_settings
            self._posting = anyio.CancelScope()
            with self._posting:
                await self._post.run(self._due_now, partial(self._answers.to, self._post))

    def _is_elsewhere(self) -> bool:
        """Whether the connection was made by other settings than those in force."""
        return bool(self._post_settings != self._running().hub_settings)

    def _due_now(self) -> None:
        self._due.set()

    async def _poll(self) -> None:
        while True:
            seconds = self._settings.poll_seconds
            with anyio.move_on_after(_about(seconds)):
                await self._due.wait()
                await anyio.sleep(_draw() * min(SPREAD_SECONDS_MAX, seconds / 10))
            self._due = anyio.Event()
            await self.look()

    async def _watch(self) -> None:
        while True:
            settings = self._settings
            await anyio.sleep(min(WATCH_SECONDS, settings.soak_seconds / 2, settings.intake_seconds_max / 4))
            async with self._turn:
                self._vitals.mark()
                await self._write_again()
                await self._end_override()
                if self.state.stage == "provisional":
                    await self._judge()
                elif self._behind == "all":
                    await self._follow()
                self._tell()
            if self._is_elsewhere():
                self._posting.cancel()

    async def _beat(self) -> None:
        while True:
            self._beat_due = anyio.Event()
            await self._told(self._announcer.presence(self._post))
            with anyio.move_on_after(_about(self._settings.presence_seconds)):
                await self._beat_due.wait()

    # ------------------------------------------------------------ what headquarters offers

    async def look(self) -> None:
        """Ask for the newest, and go as far with it as can be gone now."""
        async with self._turn:
            if self.state.stage in {"reverted", "rejected"}:
                await self._report()  # before a newer version takes its place: headquarters must hear why
            if self._behind:
                await self._follow()
            try:
                if await self._ask():
                    await self._proceed()
            except Retryable as error:
                self._log.limited("headquarters cannot be asked", reason=str(error))
            self._tell()
            await self._report()
        await quietly(self._errands, self._post, self._log)

    async def _ask(self) -> bool:
        """Whether headquarters' newest word is there and is believed: only then anything goes further."""
        document = await self._post.newest()
        self._reached = not self._is_elsewhere()
        if document is None:
            return False
        if self._vitals.clock_bad:
            await self._save(lifecycle.postpone(self.state, "waits: the clock of this machine cannot be believed"))
            return False
        try:
            timestamp = self._read_timestamp(document)
            state = lifecycle.offer(
                self.state, timestamp, expires_us=lifecycle.instant_us(timestamp.expires_at), now_us=clock.now_us()
            )
        except Refused as error:
            await self._doubt(str(error))
            return False
        self._doubted = False
        await self._save(state)
        return True

    async def _doubt(self, reason: str) -> None:
        """Told when it is so twice in a row: a server of the hub that lags behind the others may give an older answer once."""
        if self._doubted:
            await self._save(lifecycle.complain(self.state, reason))
        else:
            self._doubted = True
            self._due_now()

    def _read_timestamp(self, document: bytes) -> Timestamp:
        model = self._running().model
        return read(
            document, TIMESTAMP, Timestamp,
            keys=raw_keys(self._settings.release_keys), environment=model.environment, region=model.region,
        )  # fmt: skip

    async def _proceed(self) -> None:
        """One stage after the other; a stage that stays waits for the next look."""
        steps = {"offered": self._verify, "verified": self._stage, "staged": self._begin}
        while (step := steps.get(self.state.stage)) is not None:
            before = self.state.stage
            await step()
            if self.state.stage == before:
                return
            await self._report()

    async def _verify(self) -> None:
        found = await self._fetch()
        if found is None:
            return
        _, revision, _regional = found
        try:
            check_steering(revision)
        except Refused as error:
            await self._save(lifecycle.reject(self.state, str(error)))

    async def _fetch(self) -> tuple[bytes, Revision, bool] | None:
        """The revision that was offered, with its document, and whether the region has signed it; None: not yet, or forged."""
        version = self.state.version
        document = await self._post.revision(version)
        if document is None:
            await self._save(lifecycle.postpone(self.state, f"waits: version {version} is not at the hub yet"))
            return None
        try:
            revision, regional = open_revision(document, REVISION, Revision, self._running())
            offered = replace(self.state, stage="offered")
            verified = lifecycle.verify(offered, revision, digest(document), regional=regional)
        except Refused as error:
            await self._save(lifecycle.complain(self.state, str(error)))
            return None
        await self._save(verified)
        return document, revision, regional

    async def _stage(self) -> None:
        """Lay everything down, then try it without applying anything."""
        found = await self._fetch()
        if found is None:
            return
        document, revision, regional = found
        files = await self._files(revision)
        if files is None:
            return
        await run_sync(self._slots.fill, revision.version, document, files)
        known = replace(self.state, digests={**self.state.digests, revision.version: self.state.digest})
        today, running = clock.today(), self._running()
        try:
            overlay = await run_sync(self._slots.overlay, known, revision.version)
            rehearsal = partial(rehearse, self._path, overlay, running, regional=regional, today=today)
            await self._save(lifecycle.stage(self.state, await run_sync(rehearsal)))
        except Retryable as error:
            await self._save(lifecycle.postpone(self.state, str(error)))
        except (EntrepotError, OSError) as error:
            await self._save(lifecycle.reject(self.state, reason_of(error)))

    async def _files(self, revision: Revision) -> dict[str, bytes] | None:
        """Every file by its name; None: not all of them yet, or never."""
        try:
            return await collect_files(self._post, self._slots, revision)
        except Missing as error:
            await self._save(lifecycle.postpone(self.state, str(error)))
        except Refused as error:
            await self._save(lifecycle.complain(self.state, str(error)))
        except Permanent as error:
            await self._save(lifecycle.reject(self.state, str(error)))
        return None

    # ------------------------------------------------------------ on trial

    async def _begin(self) -> None:
        try:
            begun = lifecycle.begin(self.state, now_us=clock.now_us())
        except Refused as error:
            await self._save(lifecycle.postpone(self.state, str(error)))
            return
        self._vitals.begin()
        await self._save(begun)
        try:
            await self._work(partial(load_version, self._path, self._slots, begun, begun.version))
        except StorageFailed:
            raise
        except (Undrained, Retryable) as error:
            await self._save(lifecycle.withdraw(begun, f"waits: {error}"))
        except Exception as error:  # noqa: BLE001 - whatever a revision breaks is said, and refused
            await self._save(lifecycle.reject(lifecycle.withdraw(begun, ""), reason_of(error)))
            if self._runs() != lifecycle.in_force(self.state):
                await self._follow()  # it failed too late to have changed nothing
        else:
            self._trial, self._trial_from, self._reached = Trial(), clock.monotonic(), False
            self._log.info("a revision of headquarters is on trial", version=begun.version)

    async def _judge(self) -> None:
        settings = self._settings
        limits = lifecycle.Limits(
            intake_seconds_max=settings.intake_seconds_max,
            hub_seconds_max=settings.hub_seconds_max,
            soak_seconds=settings.soak_seconds,
        )
        if not self._reached:
            self._due_now()
        reading = await self._vitals.reading(reached=self._reached)
        verdict = lifecycle.judge(self._trial, reading, limits, now=clock.monotonic(), spent=self._spent())
        if isinstance(verdict, Trial):
            self._trial = verdict
        elif isinstance(verdict, Passed):
            await self._save(lifecycle.confirm(self.state))
            self._log.info("a revision of headquarters is confirmed", version=self.state.version)
            self._due_now()
            self._beat_due.set()  # an old heartbeat would look like drift
        else:
            await self._take_back(verdict)

    async def _take_back(self, failed: Failed) -> None:
        """What is written comes first: a process that ends now begins by what was confirmed.

        A disk that refuses the write keeps nobody from going back: the next start does the same with what stands there.
        """
        self.state = lifecycle.revert(self.state, failed.reason)
        await self._write_again()
        self._log.error("a revision is taken back", version=self.state.version, reason=failed.reason)
        await self._follow()
        self._due_now()
        self._beat_due.set()

    async def _follow(self) -> None:
        """Work by what the state says. What fails is tried again with every look."""
        try:
            await self._work_by(self.state)
        except StorageFailed:
            raise
        except Exception as error:  # noqa: BLE001 - whatever keeps it from going back, it is tried again
            self._behind = "all"
            self._log.limited("what was in force before cannot be used now", reason=reason_of(error))

    async def _work_by(self, state: State) -> None:
        """Without waiting for a hub that may be away: where lanes have not drained, all but the lanes. Raises why not."""
        load = partial(load_version, self._path, self._slots, state, lifecycle.in_force(state))
        try:
            await self._work(load)
            self._behind = ""
        except Undrained:
            running = self._running()
            await self._work(lambda: load_configuration(self._path, keeping_lanes(running, load())))
            self._behind = "lanes"

    def _runs(self) -> int:
        """The version that really runs."""
        overlay = self._running().overlay
        return lifecycle.LOCAL if overlay is None else overlay.version

    def _spent(self) -> float:
        return self.state.spent_seconds + clock.monotonic() - self._trial_from

    # ------------------------------------------------------------ the region's own word

    async def ask(self, question: Callable[[Slots, State], Any]) -> Any:
        """An answer from what is on disk."""
        return await run_sync(question, self._slots, self.state)

    async def override(self, wanted: Override) -> None:
        """Work by something else for a while. Raises `Refused`, and then nothing has changed."""
        await self._decide(lifecycle.override(self.state, wanted))

    async def resume(self) -> None:
        """The end of an override."""
        await self._decide(lifecycle.resume(self.state))

    async def veto(self, reason: str) -> None:
        """Do not take the newest revision. Raises `Refused`."""
        await self._decide(lifecycle.veto(self.state, reason))

    async def _decide(self, state: State) -> None:
        async with self._turn:
            await self._work_by(state)
            await self._save(state)
            self._tell()
        self._due_now()

    async def _end_override(self) -> None:
        held = self.state.override
        if held is not None and held.until_us <= clock.now_us():
            await self._save(lifecycle.resume(self.state))
            self._log.warning("the regional override has ended")
            await self._follow()

    # ------------------------------------------------------------ what is written and told

    @property
    def _settings(self) -> FleetSettings:
        settings = self._running().model.fleet
        assert settings is not None, "there is no steward without [fleet]"
        return settings

    async def _save(self, state: State) -> None:
        """On disk first, then in memory."""
        if state == self._written:
            return
        await run_sync(self._slots.write, state)
        self.state = self._written = state
        if state.stage in {"confirmed", "reverted", "rejected"}:
            await run_sync(self._slots.prune, lifecycle.kept(state))

    async def _write_again(self) -> None:
        """What could not be written before."""
        try:
            await self._save(self.state)
        except OSError as error:
            self._log.limited("the fleet's state cannot be written", reason=str(error.strerror))

    def _tell(self) -> None:
        self._announcer.alerts(self.state, clock.now_us())

    async def _report(self) -> None:
        await self._told(self._announcer.status(self._post, self.state))

    async def _told(self, telling: Awaitable[None]) -> None:
        """The next report says it all again, so one that is lost is only logged."""
        try:
            await telling
        except (Retryable, Permanent) as error:
            self._log.limited("headquarters cannot be told", reason=str(error))


def _about(seconds: float) -> float:
    """With jitter, so that a fleet does not ask in step."""
    return seconds * (1 + JITTER * (2 * _draw() - 1))
