"""A dry run on an agent between a hub and a disk that are the test's: it is bounded, and leaves the slots as they were."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from runtime.config.assemble import load_configuration
from runtime.fleet import signing
from runtime.fleet.documents import REHEARSAL, DryRun, Rehearsal
from runtime.fleet.dry_run import DryRuns
from runtime.fleet.slots import Slots
from tests.support import fleet
from tests.support.region import MAPPING
from tests.unit.fleet.test_slots import KEY, Killed, config, slots

__all__ = ["config", "slots"]
pytestmark = pytest.mark.anyio
FILES = {"mapping.toml": MAPPING.replace("version = 1", "version = 2").encode()}


class Hub:
    """Answers with what it has; `silent`: never."""

    def __init__(self, *, silent: bool = False) -> None:
        self._silent = silent

    async def file(self, digest: str) -> bytes | None:
        if self._silent:
            await anyio.sleep_forever()
        return FILES["mapping.toml"]


async def said(config: Path, slots: Slots, hub: Any) -> DryRun:
    fields = msgspec.structs.asdict(fleet.revision(1, {}, FILES))
    document = signing.sign(KEY, REHEARSAL, Rehearsal(**fields, expires_at=fleet.at(60)))
    running = load_configuration(config)
    return await DryRuns(config, slots, lambda: running).of(hub, document)


async def test_nothing_stands_on_the_disk_afterwards(config: Path, slots: Slots) -> None:
    before = sorted(slots.data_dir.rglob("*"))
    found = await said(config, slots, Hub())
    assert (found.state, "rules test-stock 1" in found.reason) == ("ready", True), found
    assert sorted(slots.data_dir.rglob("*")) in (before, [slots.folder])


async def test_a_hub_that_falls_silent_ends_it(config: Path, slots: Slots, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.fleet.dry_run.FETCH_SECONDS_MAX", 0.01)
    found = await said(config, slots, Hub(silent=True))
    assert (found.state, "did not arrive" in found.reason) == ("waits", True), found


async def test_a_local_file_that_is_being_edited_makes_it_wait(config: Path, slots: Slots) -> None:
    running = load_configuration(config)
    config.write_text(config.read_text() + "[")
    fields = msgspec.structs.asdict(fleet.revision(1))
    document = signing.sign(KEY, REHEARSAL, Rehearsal(**fields, expires_at=fleet.at(60)))
    found = await DryRuns(config, slots, lambda: running).of(Hub(), document)  # type: ignore[arg-type]
    assert (found.state, "the local file cannot be used" in found.reason) == ("waits", True), found


def spoilt(slots: Slots) -> None:
    with slots.aside(fleet.revision(1, {}, FILES), FILES) as overlay:
        assert overlay.files["mapping.toml"].read_bytes() == FILES["mapping.toml"]
        raise Killed


def test_files_laid_aside_are_gone_whatever_happens_and_those_of_a_killed_process_with_the_next(slots: Slots) -> None:
    place = slots.folder / "rehearsal"
    with pytest.raises(Killed):
        spoilt(slots)
    assert not place.exists()
    place.mkdir()
    (place / "left").write_text("x")
    with slots.aside(fleet.revision(1, {}, FILES), FILES):
        assert [path.name for path in place.iterdir()] == ["mapping.toml"]
