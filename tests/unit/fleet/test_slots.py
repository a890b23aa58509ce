"""Whatever write a process does not live to finish, the next start finds the state before it or the one after it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runtime.errors import Refused
from runtime.fleet import lifecycle, signing
from runtime.fleet.documents import REVISION
from runtime.fleet.force import load_at_start
from runtime.fleet.lifecycle import State
from runtime.fleet.slots import Slots
from tests.support import fleet
from tests.support.region import MAPPING, POLICY

KEY = fleet.new_key()
FILES = {"mapping.toml": MAPPING.replace("version = 1", "version = 2").encode(), "more/codes.csv": b"a,b\n"}
LATER_US = lifecycle.instant_us(fleet.at(3_600))
ENTREPOT = f"""
region = "eu-de"
jurisdiction = "DE"
environment = "test"
[hub]
servers = ["nats://127.0.0.1:4222"]
[residency]
policy = "policy.toml"
[lanes.realtime]
[sources.wms]
adapter = "webhook"
mapping = "mapping.toml"
auth = {{ scheme = "none" }}
[fleet]
release_keys = ["{fleet.public(KEY)}"]
"""


class Killed(BaseException):
    """In the place of SIGKILL: nothing catches it, nothing tidies up."""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "mapping.toml").write_text(MAPPING)
    (tmp_path / "policy.toml").write_text(POLICY)
    path = tmp_path / "entrepot.toml"
    path.write_text(ENTREPOT)
    (tmp_path / "state").mkdir()
    return path


@pytest.fixture
def slots(config: Path) -> Slots:
    return Slots(config.parent / "state")


def document(version: int, settings: dict[str, Any] | None = None, files: dict[str, bytes] = FILES) -> bytes:
    return signing.sign(KEY, REVISION, fleet.revision(version, settings, files))


def lay_down(slots: Slots, version: int, settings: dict[str, Any] | None = None) -> State:
    """In its slot and staged."""
    content = document(version, settings)
    slots.fill(version, content, FILES)
    digest = signing.digest(content)
    return State(
        seen=version, expires_us=LATER_US, stage="staged", version=version, digest=digest, digests={version: digest}
    )


def in_force(config: Path) -> tuple[int, str]:
    """(version in force, stage) at the next start."""
    standing = load_at_start(config)
    assert standing.state is not None
    overlay = standing.configuration.overlay
    assert (overlay.version if overlay else 0) == lifecycle.in_force(standing.state)
    return lifecycle.in_force(standing.state), standing.state.stage


def test_a_slot_gives_back_what_was_laid_down(slots: Slots) -> None:
    state = lay_down(slots, 1, {"gateway": {"burst": 777}})
    overlay = slots.overlay(state, 1)
    assert overlay.settings == {"gateway": {"burst": 777}}
    assert {name: path.read_bytes() for name, path in overlay.files.items()} == FILES
    digests = fleet.revision(1, {}, FILES).files
    assert slots.contents({digests["more/codes.csv"], "0" * 64}) == {digests["more/codes.csv"]: b"a,b\n"}


@pytest.mark.parametrize("name", ["revision.json", "files/mapping.toml"])
def test_a_byte_that_changed_in_a_slot_is_found(slots: Slots, name: str) -> None:
    state = lay_down(slots, 1)
    path = slots.folder / "revision-1" / name
    path.write_bytes(path.read_bytes().replace(b"2", b"3", 1))
    with pytest.raises(Refused, match="missing or damaged"):
        slots.overlay(state, 1)


def test_what_root_writes_belongs_to_the_agent(slots: Slots, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command on a stopped agent, run as root, must not leave a file that the agent cannot read."""
    owner = slots.data_dir.stat()
    given: list[tuple[str, int, int]] = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chown", lambda path, uid, gid: given.append((Path(path).name, uid, gid)))
    slots.write(State(seen=1))
    assert given == [(name, owner.st_uid, owner.st_gid) for name in ("fleet", "state.json.new")]


def test_a_state_that_cannot_be_read_is_not_guessed(slots: Slots, config: Path) -> None:
    slots.write(State(seen=7))
    path = slots.folder / "state.json"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(Refused, match="not known which configuration is in force"):
        load_at_start(config)


def test_only_the_slots_that_are_named_stay(slots: Slots) -> None:
    for version in (1, 2, 3):
        lay_down(slots, version)
    (slots.folder / "revision-4.new").mkdir()
    slots.prune({2, 3})
    assert sorted(path.name for path in slots.folder.glob("revision-*")) == ["revision-2", "revision-3"]


def stages(slots: Slots) -> dict[str, tuple[State, tuple[int, str]]]:
    """Each stage as it is written → what the next start makes of it."""
    older, staged = lay_down(slots, 1), lay_down(slots, 2)
    digests = {**older.digests, **staged.digests}
    known = {
        "confirmed": 1,
        "digests": digests,
        "seen": 2,
        "expires_us": LATER_US,
        "version": 2,
        "digest": staged.digest,
    }
    provisional = State(**known, stage="provisional", clean=False)
    return {
        "offered": (State(**known, stage="offered"), (1, "offered")),
        "verified": (State(**known, stage="verified"), (1, "verified")),
        "staged": (State(**known, stage="staged"), (1, "staged")),
        "provisional": (provisional, (1, "reverted")),
        "provisional, orderly": (lifecycle.leave(provisional, 5.0), (2, "provisional")),
        "provisional, too long": (lifecycle.leave(provisional, 540.0), (1, "reverted")),
        "confirmed": (lifecycle.confirm(provisional), (2, "confirmed")),
        "reverted": (lifecycle.revert(provisional, "broken"), (1, "reverted")),
        "rejected": (lifecycle.reject(State(**known, stage="staged"), "no"), (1, "rejected")),
    }


@pytest.mark.parametrize(
    "name",
    [
        "offered", "verified", "staged", "provisional", "provisional, orderly", "provisional, too long", "confirmed",
        "reverted", "rejected",
    ],
)  # fmt: skip
def test_the_next_start_after_each_stage_is_defined(slots: Slots, config: Path, name: str) -> None:
    state, expected = stages(slots)[name]
    slots.write(state)
    assert in_force(config) == expected


def test_a_trial_that_cannot_be_loaded_any_more_is_taken_back_by_the_start(slots: Slots, config: Path) -> None:
    staged = lay_down(slots, 1, {"sources": {"wms": {"lane": "realtime"}}})
    slots.write(lifecycle.leave(lifecycle.begin(staged, now_us=0), 1.0))
    assert in_force(config) == (1, "provisional")
    config.write_text(ENTREPOT.replace("[lanes.realtime]", "[lanes.bulk]"))
    assert in_force(config) == (0, "reverted")


AFTER = [(0, ""), (0, "verified"), (0, "verified"), (0, "staged"), (0, "reverted"), (1, "confirmed")]
"""What a start makes of nothing, and of each write of the way."""


@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_a_process_that_ends_in_any_write_leaves_the_state_before_or_after(
    slots: Slots, config: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Every write on the way from nothing to confirmed is cut off at each of its calls in turn."""
    content = document(1)
    digest = signing.digest(content)
    verified = State(seen=1, expires_us=LATER_US, stage="verified", version=1, digest=digest)
    way: list[Callable[[], None]] = [
        lambda: slots.write(verified),
        lambda: slots.fill(1, content, FILES),
        lambda: slots.write(lifecycle.stage(verified, "")),
        lambda: slots.write(lifecycle.begin(slots.read(), now_us=0)),
        lambda: slots.write(lifecycle.confirm(slots.read())),
    ]
    for number, write in enumerate(way):
        before, cut = slots.read(), 1
        while not survives(monkeypatch, call, cut, write):
            assert in_force(config) in AFTER[number : number + 2], f"write {number}, call {cut}"
            slots.write(before)
            cut += 1
        assert cut > 1, "nothing was cut off"
        assert in_force(config) == AFTER[number + 1]


def survives(monkeypatch: pytest.MonkeyPatch, call: str, cut: int, write: Callable[[], None]) -> bool:
    """Whether the write ended before its `cut`-th call; otherwise it was killed there."""
    count = 0
    genuine = getattr(os, call) if call != "rename" else Path.rename

    def counted(*arguments: Any, **options: Any) -> Any:
        nonlocal count
        count += 1
        if count == cut:
            raise Killed
        return genuine(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path if call == "rename" else os, call, counted)
        try:
            write()
        except Killed:
            return False
    return True
