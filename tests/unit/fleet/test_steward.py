"""The steward between a hub, a disk and an agent that are all the test's: what is asked, written and done, in which order."""

from __future__ import annotations

import io
from collections.abc import Callable
from errno import ENOSPC
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest

from runtime import clock
from runtime.config.assemble import Configuration, load_configuration
from runtime.config.change import Plan
from runtime.errors import ConfigError, EntrepotError, Retryable, Undrained
from runtime.fleet import signing
from runtime.fleet.documents import REVISION, TIMESTAMP
from runtime.fleet.lifecycle import Failed, Reading, State
from runtime.fleet.slots import Slots
from runtime.fleet.steward import Steward
from runtime.observe.log import open_log
from runtime.observe.metrics import Counters
from tests.support import fleet
from tests.support.region import MAPPING
from tests.unit.fleet.test_slots import ENTREPOT, KEY, config, slots

__all__ = ["config", "slots"]
pytestmark = pytest.mark.anyio
FILES = {"mapping.toml": MAPPING.replace("version = 1", "version = 2").encode()}


class Hub:
    """Holds what headquarters has published, and what was asked for."""

    def __init__(self) -> None:
        self.timestamp: bytes | None = None
        self.revisions: dict[int, bytes] = {}
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []

    def publish(self, version: int, settings: dict[str, Any] | None = None, files: dict[str, bytes] = FILES) -> None:
        document = signing.sign(KEY, REVISION, fleet.revision(version, settings, files))
        self.revisions[version] = document
        self.files |= {sha256(content).hexdigest(): content for content in files.values()}
        self.timestamp = signing.sign(KEY, TIMESTAMP, fleet.timestamp(version, document))

    def post(self, settings: Any, scope: Any) -> Hub:
        return self

    async def newest(self) -> bytes | None:
        return self.timestamp

    async def revision(self, version: int) -> bytes | None:
        return self.revisions.get(version)

    async def file(self, digest: str) -> bytes | None:
        self.asked.append(digest)
        return self.files.get(digest)


class Vitals:
    clock_bad = False

    def mark(self) -> None: ...

    def begin(self) -> None: ...

    async def reading(self, *, reached: bool) -> Reading:
        return Reading()


class Announcer:
    """Keeps the stages that headquarters would hear of."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []

    def alerts(self, state: State, now_us: int) -> None: ...

    async def status(self, post: Any, state: State) -> None:
        self.told.append((state.stage, state.version))


class Errands:
    async def look(self, post: Any) -> None: ...


class Place:
    """One steward. `work` fails with what stands in `failures`, one after the other."""

    def __init__(self, config: Path, slots: Slots) -> None:
        self.hub, self.vitals, self.announcer, self.slots = Hub(), Vitals(), Announcer(), slots
        self.running: Configuration = msgspec.structs.replace(load_configuration(config), hub=self.hub)
        self.failures: list[Exception] = []
        self.written: list[str] = []
        """The stage on disk whenever something was about to change."""
        log = open_log(now_us=clock.now_us, monotonic=clock.monotonic, stream=io.StringIO(), counters=Counters())
        self.steward = Steward(
            config, slots, State(), work=self.work, running=lambda: self.running,
            vitals=self.vitals, announcer=self.announcer,  # type: ignore[arg-type]
            errands=Errands(), answers=None, log=log,  # type: ignore[arg-type]
        )  # fmt: skip

    async def work(self, load: Callable[[], Configuration]) -> Plan:
        self.written.append(self.slots.read().stage)
        if self.failures:
            raise self.failures.pop(0)
        self.running = msgspec.structs.replace(load(), hub=self.hub)
        return Plan()

    @property
    def version(self) -> int:
        """That really runs."""
        return self.running.overlay.version if self.running.overlay else 0

    async def look(self) -> tuple[str, int]:
        """One poll; what is on disk afterwards."""
        await self.steward.look()
        state = self.slots.read()
        assert state == self.steward.state
        return state.stage, state.version

    async def break_off(self, load: Callable[[], Configuration]) -> Plan:
        """Fails when everything has changed already."""
        await self.work(load)
        if self.version:
            raise KeyError("too late")
        return Plan()


@pytest.fixture
async def place(config: Path, slots: Slots) -> Place:
    return Place(config, slots)


async def test_headquarters_hears_of_every_stage_and_the_disk_knows_of_a_trial_before_it_begins(place: Place) -> None:
    place.hub.publish(1)
    assert await place.look() == ("provisional", 1)
    assert place.written == ["provisional"]
    assert [stage for stage, _ in place.announcer.told] == ["verified", "staged", "provisional", "provisional"]
    assert place.version == 1


async def test_a_clock_that_cannot_be_believed_takes_nothing(place: Place) -> None:
    place.hub.publish(1)
    place.vitals.clock_bad = True
    assert await place.look() == ("", 0)
    place.vitals.clock_bad = False
    assert await place.look() == ("provisional", 1)


async def test_a_server_that_lags_once_is_no_reason_to_complain_and_two_in_a_row_are(place: Place) -> None:
    place.hub.publish(1)
    older = place.hub.timestamp
    place.hub.publish(2)
    newer = place.hub.timestamp
    assert await place.look() == ("provisional", 2)
    for timestamp, complains in ((older, False), (newer, False), (older, False), (older, True), (newer, False)):
        place.hub.timestamp = timestamp
        assert await place.look() == ("provisional", 2)
        assert bool(place.steward.state.complaint) is complains


@pytest.mark.parametrize("error", [Undrained("lane bulk has events"), Retryable("the agent is stopping")])
async def test_what_cannot_be_now_is_tried_again_and_not_rejected(place: Place, error: EntrepotError) -> None:
    place.hub.publish(1)
    place.failures = [error]
    assert await place.look() == ("staged", 1)
    assert str(error) in place.steward.state.reason
    assert place.version == 0
    assert await place.look() == ("provisional", 1)
    assert place.version == 1


async def test_what_fails_in_an_unknown_way_is_rejected_and_nothing_runs_by_it(place: Place) -> None:
    place.hub.publish(1)
    place.failures = [KeyError("a secret word")]
    assert await place.look() == ("rejected", 1)
    assert place.steward.state.reason == "it could not be prepared (KeyError)"
    assert await place.look() == ("rejected", 1)
    assert (place.version, len(place.written)) == (0, 1)


async def test_what_fails_too_late_is_taken_back_at_once(place: Place) -> None:
    place.hub.publish(1)
    place.steward._work = place.break_off
    assert await place.look() == ("rejected", 1)
    assert place.version == 0


async def test_a_way_back_that_is_blocked_is_tried_until_it_is_free(place: Place) -> None:
    place.hub.publish(1)
    await place.look()
    place.failures = [OSError(ENOSPC, "No space left on device"), KeyError("x")]
    await place.steward._take_back(Failed("broken"))
    assert place.version == 1
    await place.look()
    assert place.version == 1
    await place.look()
    assert place.version == 0


async def test_a_local_file_that_is_being_edited_rejects_nothing(place: Place, config: Path) -> None:
    text = config.read_text()
    config.write_text(text + "[")
    place.hub.publish(1)
    assert await place.look() == ("verified", 1)
    assert "the local file cannot be used" in place.steward.state.reason
    config.write_text(text)
    assert await place.look() == ("provisional", 1)


async def test_what_is_broken_here_already_rejects_no_revision_that_does_not_touch_it(
    config: Path, slots: Slots
) -> None:
    (config.parent / "drop").write_text("a file in the place of the folder")
    legacy = '[sources.legacy]\nadapter = "file_drop"\nmapping = "mapping.toml"\npath = "drop"\n[fleet]'
    config.write_text(ENTREPOT.replace("[fleet]", legacy))
    place = Place(config, slots)
    with pytest.raises(ConfigError, match=r"sources\.legacy"):
        place.running.try_sources()
    place.hub.publish(1, {"gateway": {"head_timeout_seconds": 5}}, {})
    assert await place.look() == ("provisional", 1)
    place.hub.publish(2, {"sources": {"legacy": {"poll_seconds": 5}}}, {})
    await place.steward._take_back(Failed("so that the next one is taken"))
    assert await place.look() == ("rejected", 2)


async def test_a_disk_that_refuses_the_write_keeps_nobody_from_going_back(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.hub.publish(1)
    await place.look()
    with monkeypatch.context() as patch:
        patch.setattr(place.slots, "write", full)
        await place.steward._take_back(Failed("broken"))
        assert (place.version, place.steward.state.stage) == (0, "reverted")
        assert place.slots.read().stage == "provisional", "the next start goes back as well"
    assert await place.look() == ("reverted", 1)


def full(state: State) -> None:
    raise OSError(ENOSPC, "No space left on device")


async def test_a_revision_that_is_too_large_is_rejected(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.fleet.arrivals.FILES_BYTES_MAX", 10)
    place.hub.publish(1)
    assert await place.look() == ("rejected", 1)


async def test_a_file_that_is_here_already_is_not_asked_for_again(place: Place) -> None:
    place.hub.publish(1)
    place.failures = [Undrained("lane bulk has events")]
    assert await place.look() == ("staged", 1)
    place.hub.publish(2, {"gateway": {"burst": 777}}, FILES | {"more.toml": b"# more\n"})
    assert await place.look() == ("provisional", 2)
    assert place.hub.asked == [
        fleet.revision(1, {}, FILES).files["mapping.toml"], fleet.revision(2, {}, {"m": b"# more\n"}).files["m"],
    ]  # fmt: skip


async def test_an_override_that_cannot_be_is_refused_as_a_whole(place: Place) -> None:
    place.hub.publish(1)
    await place.look()
    place.failures = [Retryable("the agent is stopping")]
    with pytest.raises(Retryable):
        await place.steward.veto("no")
    assert (place.slots.read().stage, place.version) == ("provisional", 1)


def test_no_setting_stretches_the_promise(tmp_path: Path) -> None:
    """Broken intake within 60 s, a broken link within 10 minutes: whatever a region writes into its file."""
    for key, value in (("intake_seconds_max", 41), ("hub_seconds_max", 571)):
        path = tmp_path / "entrepot.toml"
        path.write_text(ENTREPOT + f"{key} = {value}\n")
        with pytest.raises(EntrepotError, match=key):
            load_configuration(path)
    path.write_text(ENTREPOT + "hub_seconds_max = 50\nsoak_seconds = 50\n")
    with pytest.raises(EntrepotError, match="no revision could ever be confirmed"):
        load_configuration(path)


async def test_headquarters_hears_why_a_version_was_refused_before_a_newer_one_takes_its_place(place: Place) -> None:
    place.hub.publish(1)
    place.failures = [ConfigError("no such lane")]
    assert await place.look() == ("rejected", 1)
    place.announcer.told.clear()
    place.hub.publish(2)
    await place.look()
    assert place.announcer.told[0] == ("rejected", 1)
    assert place.announcer.told[-1] == ("provisional", 2)
