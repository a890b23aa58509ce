"""A restore proves the backup before it touches anything, keeps the former journal, and leaves every lane fenced."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from runtime.backup.archive import Archive
from runtime.backup.restoration import Restored, restore
from runtime.errors import EntrepotError, Refused
from runtime.journal import file, lanes
from tests.support import kernel as support
from tests.support.kernel import Bench, configure, message


async def _make(home: Path) -> None:
    async with support.region(home) as kernel:
        await support.accept(kernel, *(message("Ab"[n % 2], n, key=f"k{n}") for n in range(10)))
        await support.translate(kernel)
        await support.ship(kernel)
        await Archive(kernel.journal, kernel.identity, home / "state" / "identity").make(home / "backup")
        await support.accept(kernel, message("A", 10, key="k10"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A region with a backup, and one message that came after it."""
    home = tmp_path_factory.mktemp("made")
    Bench(configure(home), durable=False).close()
    anyio.run(_make, home)
    return home


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "home")
    return tmp_path / "home"


def put_back(home: Path, **more: Any) -> Restored:
    state = home / "state"
    asked = {"region": "eu-de", "environment": "test", "say": lambda part: None} | more
    return restore(home / "backup", state, state / "identity", **asked)


def contents(folder: Path) -> dict[str, bytes]:
    """Who held the lock last does not count."""
    found = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.name != "journal.lock"]
    return {str(p.relative_to(folder)): p.read_bytes() for p in found}


def test_every_lane_is_fenced_until_a_person_decides_and_the_former_journal_is_kept(home: Path) -> None:
    before = contents(home / "state")["journal.db"]
    done = put_back(home)
    assert done.aside is not None
    assert (Path(done.aside) / "journal.db").read_bytes() == before
    bench = Bench(configure(home), durable=False)
    assert bench.value("SELECT facts FROM books") == done.facts == 10
    for lane in lanes.everyone(bench.connection):
        fence = lanes.fence(bench.connection, lane.id)
        assert fence is not None
        assert (fence.kind, "entrepot adopt" in fence.action) == ("stale_self", True)
        assert bench.take(lane.name) == []
    assert bench.value("SELECT kind FROM incidents ORDER BY id DESC") == "restored"
    bench.close()


def test_on_a_new_machine_the_keys_come_from_the_backup(home: Path) -> None:
    keys = contents(home / "state" / "identity")
    shutil.rmtree(home / "state")
    done = put_back(home)
    assert (done.aside, done.keys) == (None, "restored")
    assert contents(home / "state" / "identity") == keys


def _flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def _forge(home: Path) -> None:
    path = home / "backup" / "manifest.json"
    path.write_text(path.read_text().replace('\\"facts\\":10', '\\"facts\\":99'))


def _other_keys(home: Path) -> None:
    shutil.rmtree(home / "state" / "identity")
    other = home / "other"
    Bench(configure(other), durable=False).close()
    shutil.copytree(other / "state" / "identity", home / "state" / "identity")


def _no_keys(home: Path) -> None:
    shutil.rmtree(home / "state" / "identity")
    shutil.rmtree(home / "backup" / "identity")


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "one bit of the copy": (
        lambda home: _flip(home / "backup" / "journal.db", 70_000),
        "is not what its manifest says",
    ),
    "the copy cut short": (lambda home: os.truncate(home / "backup" / "journal.db", 50_000), "not what its"),
    "a changed manifest": (_forge, "signature under the backup's manifest is false"),
    "rubbish for a manifest": (lambda home: (home / "backup" / "manifest.json").write_text("{}"), "damaged or not"),
    "no manifest": (lambda home: (home / "backup" / "manifest.json").unlink(), "is no backup"),
    "another region's keys": (_other_keys, "signed by another key"),
    "no keys at all": (_no_keys, "keys are neither in"),
}


@pytest.mark.parametrize("how", SPOILT)
def test_what_cannot_be_proven_is_refused_and_changes_nothing(how: str, home: Path) -> None:
    spoil, told = SPOILT[how]
    spoil(home)
    before = contents(home / "state")
    with pytest.raises(EntrepotError, match=told) as refused:
        put_back(home)
    assert refused.value.hint
    assert contents(home / "state") == before


@pytest.mark.parametrize("other", [{"region": "eu-fr"}, {"environment": "prod"}], ids=str)
def test_a_backup_of_another_place_is_refused(other: dict[str, str], home: Path) -> None:
    with pytest.raises(Refused, match="this backup is of region"):
        put_back(home, **other)


def test_a_journal_that_is_in_use_is_not_exchanged(home: Path) -> None:
    bench = Bench(configure(home), durable=False)
    with pytest.raises(Refused, match="another process"):
        put_back(home)
    bench.close()


def test_a_restore_that_was_interrupted_keeps_the_agent_from_beginning_a_new_journal(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the two renames there is no journal; a start must not make an empty one in its place."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(file, "give_to_owner_of", interrupted)
    with pytest.raises(KeyboardInterrupt):
        put_back(home)
    monkeypatch.undo()
    (home / "state" / "journal.db").unlink()
    with pytest.raises(Refused, match="restore of this journal was interrupted"):
        Bench(configure(home), durable=False)
    put_back(home)
    bench = Bench(configure(home), durable=False)
    assert bench.value("SELECT facts FROM books") == 10
    bench.close()


def test_a_newer_schema_is_refused_with_the_version_that_wrote_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.journal.migrate.steps", lambda: [(1, "")])
    with pytest.raises(Refused, match="schema"):
        put_back(home)
