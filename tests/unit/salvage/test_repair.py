"""Whatever happens to the file: what a repair saves is the original's row, and what it does not save is named as lost."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.envelope import Message
from runtime.errors import Permanent, Refused
from runtime.journal import books, inspect, lanes
from runtime.salvage.repair import Owner, repair
from runtime.salvage.report import Report
from tests.support.examples import examples
from tests.support.kernel import Bench, configure, drive, message

PAGE = 8_192
FACTS = 400
_FACTS = """SELECT i.seq, i.epoch, n.name, i.key_hash, i.key, i.sha256, i.content_type, i.received_us, i.committed_us,
i.correlation, i.traceparent, i.headers FROM intake i JOIN names n ON n.id = i.source"""
_SEALED = "SELECT l.name, o.id & 0xFFFFFFFFFF, o.kind, o.epoch, o.chain, o.subject, o.headers, o.data FROM outbox o JOIN lanes l ON l.id = o.id >> 40"


class Original(NamedTuple):
    """A journal as a kill left it, and all it holds."""

    state: Path
    public_key: bytes
    facts: dict[int, Any]
    bodies: dict[int, bytes]
    sealed: dict[tuple[str, int], Any]
    checkpoints: dict[int, Any]

    def __repr__(self) -> str:
        return f"<the original in {self.state}>"


def read(state: Path) -> tuple[dict[int, Any], dict[int, bytes], dict[tuple[str, int], Any], dict[int, Any]]:
    with closing(sqlite3.connect(state / "journal.db")) as connection:
        return (
            {row[0]: row for row in connection.execute(_FACTS)},
            dict(connection.execute("SELECT seq, body FROM bodies")),
            {(row[0], row[1]): row for row in connection.execute(_SEALED)},
            {row[0]: row for row in connection.execute("SELECT number, body, digest FROM checkpoints")},
        )


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Original:
    """Two thirds of it are at the hub; some are letters, withheld, or told in several events; the log is not empty."""
    home = tmp_path_factory.mktemp("original")
    bench = Bench(configure(home), durable=False)
    chance = random.Random(7)
    for n in range(FACTS):
        more: dict[str, Any] = [{}, {"withhold": True}, {"copies": 2}, {"also": "b2"}, {}][n % 5]
        rest = "x" * chance.randint(100, 1_500)
        body = message("refused" if n % 37 == 5 else "Ab"[n % 2] + str(n % 7), n, remarks=rest, **more)
        if n % 37 == 6:
            body = Message(body=b"rubbish")
        headers = {"x-topic": f"t{n}"} if n % 5 else {}
        bench.accept(msgspec.structs.replace(body, key=f"k{n}" if n % 3 else None, headers=headers))
        if n % 20 == 19:
            bench.translate()
            if n < 300:
                bench.ship("realtime")
                bench.ship("bulk")
                drive(bench.kernel.checkpoints.write())
        if n == 250:
            bench.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # what follows stands in the log only
    bench.take("realtime")
    key = bench.kernel.identity.public_key
    shutil.copytree(home / "state", home / "killed")
    bench.close()
    shutil.copytree(home / "killed", home / "readable")
    return Original(home / "killed", key, *read(home / "readable"))


@pytest.fixture
def state(original: Original, tmp_path: Path) -> Path:
    shutil.copytree(original.state, tmp_path / "state")
    return tmp_path / "state"


def mend(state: Path, original: Original, *, confirm: bool = True) -> Report:
    owner = Owner(
        region="eu-de",
        environment="test",
        lanes=["realtime", "bulk"],
        key_seconds=35 * 86_400,
        public_key=original.public_key,
    )
    return repair(state, owner, confirm=confirm)


def numbers(ranges: list[Any]) -> set[int]:
    found: set[int] = set()
    for low, high in ranges:
        found |= set(range(low, high + 1))
    return found


def check(state: Path, original: Original, report: Report) -> None:
    """The oracle: every saved row is the original's, and everything else is named."""
    facts, bodies, sealed, checkpoints = read(state)
    lost = numbers([(gap.first, gap.last) for gap in report.facts.lost])
    assert all(original.facts[seq] == row for seq, row in facts.items()), "a saved message is not what was accepted"
    assert all(original.bodies[seq] == body for seq, body in bodies.items()), "a saved body is another"
    unnamed = set(original.facts) - set(facts) - lost
    assert not unnamed or (not report.facts.end_known and min(unnamed) > report.facts.last), (
        "a message is missing, unsaid"
    )
    assert not set(facts) & lost, "a message is saved and named as lost"
    at_hub = {_fact_of(row[6]) for (name, seq), row in original.sealed.items() if seq <= report.lanes[name].acked}
    assert set(facts) - set(bodies) <= at_hub, "a message that the hub lacks is saved without its body"
    assert all(original.sealed[place] == row for place, row in sealed.items()), "a sealed record was changed"
    for name, lane in report.lanes.items():
        saved = numbers(lane.saved)
        known = {seq for at, seq in original.sealed if at == name}
        assert saved <= known, "a record is said to be saved that never was"
        beyond = known - saved - numbers(lane.lost)
        assert not beyond or (not lane.end_known and min(beyond) > lane.last), "a record is missing, unsaid"
        assert {seq for at, seq in sealed if at == name} <= saved
    assert all(original.checkpoints[number] == row for number, row in checkpoints.items())
    works(state, facts)


def _fact_of(headers: bytes) -> int:
    """The intake sequence in the origin of a sealed record."""
    return int(_origin(headers).split(b".")[1])


def works(state: Path, facts: dict[int, Any]) -> None:
    """The new journal is whole, balanced and fenced, and knows each saved key again."""
    bench = Bench(configure(state.parent), durable=False)
    try:
        assert drive(inspect.verify(bench.journal, whole_file=True)) == []
        assert books.read(bench.connection).balanced
        for lane in lanes.everyone(bench.connection):
            fence = lanes.fence(bench.connection, lane.id)
            assert fence is not None
            assert fence.kind == "stale_self"
            assert bench.take(lane.name) == []
        bench.translate()
        assert books.read(bench.connection).balanced
    finally:
        bench.close()


def pages(state: Path) -> int:
    return (state / "journal.db").stat().st_size // PAGE


def overwrite(state: Path, at: int, content: bytes, name: str = "journal.db") -> None:
    with (state / name).open("r+b") as file:
        file.seek(at)
        file.write(content)


def contents(state: Path) -> dict[str, bytes]:
    """Who held the lock last does not count."""
    return {p.name: p.read_bytes() for p in state.iterdir() if p.is_file() and p.name != "journal.lock"}


def test_a_whole_journal_is_saved_whole(original: Original, state: Path) -> None:
    report = mend(state, original)
    assert (report.facts.saved, report.facts.lost, report.torn) == (FACTS, [], [])
    assert report.facts.end_known
    assert all(lane.lost == [] for lane in report.lanes.values())
    assert read(state)[3] == original.checkpoints
    check(state, original, report)


def test_the_original_is_kept_and_without_a_yes_nothing_changes(original: Original, state: Path) -> None:
    before = contents(state)
    mend(state, original, confirm=False)
    assert contents(state) == before
    aside = Path(mend(state, original).aside)
    assert (aside / "journal.db").read_bytes() == before["journal.db"]
    assert (aside / "journal.db-wal").read_bytes() == before["journal.db-wal"]
    assert msgspec.json.decode((aside / "repair-report.json").read_bytes(), type=Report).facts.saved == FACTS
    assert sorted(p.name for p in state.iterdir() if p.name.startswith("repair-")) == []


def _checkpointed(state: Path) -> None:
    """All in one file, as after an orderly stop."""
    with closing(sqlite3.connect(state / "journal.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _flip_everywhere(state: Path) -> None:
    chance = random.Random(3)
    for _ in range(40):
        overwrite(state, chance.randrange(pages(state) * PAGE), bytes([chance.randrange(256)]))


def _drop_index(state: Path) -> None:
    with closing(sqlite3.connect(state / "journal.db")) as connection:
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute(
            "DELETE FROM sqlite_master WHERE type = 'index' AND name IN ('events_by_origin', 'letters_parking')"
        )
        connection.commit()


def _lose_the_log(state: Path) -> None:
    (state / "journal.db-wal").unlink()


def _hide_rows(state: Path) -> None:
    """One row less on the newest page of bodies than it holds: nothing that is read there fails."""
    content = (state / "journal.db").read_bytes()
    with closing(sqlite3.connect(state / "journal.db")) as connection:
        root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'bodies'").fetchone()[0]
    leaf = int.from_bytes(content[(root - 1) * PAGE + 8 :][:4], "big")
    cells = int.from_bytes(content[(leaf - 1) * PAGE + 3 :][:2], "big")
    overwrite(state, (leaf - 1) * PAGE + 3, (cells - 1).to_bytes(2, "big"))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "flipped bytes all over": _flip_everywhere,
    "cut in half": lambda state: os.truncate(state / "journal.db", pages(state) // 2 * PAGE + 1_234),
    "cut to one page": lambda state: os.truncate(state / "journal.db", PAGE),
    "the first page zeroed": lambda state: overwrite(state, 0, bytes(PAGE)),
    "the header is rubbish": lambda state: overwrite(state, 0, b"\xff" * 100),
    "the first ten pages zeroed": lambda state: overwrite(state, 0, bytes(10 * PAGE)),
    "the middle zeroed": lambda state: overwrite(state, pages(state) // 3 * PAGE, bytes(pages(state) // 5 * PAGE)),
    "every fourth page rubbish": lambda state: [
        overwrite(state, page * PAGE, random.Random(page).randbytes(PAGE)) for page in range(3, pages(state), 4)
    ],
    "indexes dropped": _drop_index,
    "a page that hides its last rows": _hide_rows,
    "two pages exchanged": lambda state: _exchange(state, 20, pages(state) - 20),
}


def _exchange(state: Path, one: int, other: int) -> None:
    content = (state / "journal.db").read_bytes()
    overwrite(state, one * PAGE, content[other * PAGE : (other + 1) * PAGE])
    overwrite(state, other * PAGE, content[one * PAGE : (one + 1) * PAGE])


@pytest.mark.parametrize("how", DAMAGES)
def test_what_is_saved_is_the_originals_and_the_rest_is_named(how: str, original: Original, state: Path) -> None:
    _checkpointed(state)
    DAMAGES[how](state)
    check(state, original, mend(state, original))


def test_one_broken_page_costs_only_what_stood_on_it(original: Original, state: Path) -> None:
    _checkpointed(state)
    with closing(sqlite3.connect(state / "journal.db")) as connection:
        root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'bodies'").fetchone()[0]
    content = (state / "journal.db").read_bytes()
    leaf = int.from_bytes(content[(root - 1) * PAGE + 8 :][:4], "big")  # the rightmost child: the newest bodies
    overwrite(state, (leaf - 1) * PAGE, bytes(PAGE))
    report = mend(state, original)
    lost = numbers([(gap.first, gap.last) for gap in report.facts.lost])
    assert 0 < len(lost) < 40
    assert max(lost) == FACTS
    assert report.torn == ["bodies"]
    check(state, original, report)


def test_a_damaged_log_costs_what_it_held_and_a_lost_one_is_noted(original: Original, state: Path) -> None:
    size = (state / "journal.db-wal").stat().st_size
    assert size > 20 * PAGE, "the log is empty: this test shows nothing"
    overwrite(state, size // 2, bytes(PAGE), "journal.db-wal")
    report = mend(state, original)
    assert not report.facts.end_known
    facts = read(state)[0]
    assert 0 < len(facts) < FACTS
    assert all(original.facts[seq] == row for seq, row in facts.items())


def test_a_lost_log_is_noted_because_what_it_held_cannot_be_named(original: Original, state: Path) -> None:
    _lose_the_log(state)
    report = mend(state, original)
    assert any("log" in note for note in report.notes)
    facts = read(state)[0]
    assert all(original.facts[seq] == row for seq, row in facts.items())


def test_what_the_hub_is_known_to_have_is_not_sent_again(original: Original, state: Path) -> None:
    """Acknowledged before the damage, translated again after it: recognised by its origin, and left out."""
    mend(state, original)
    bench = Bench(configure(state.parent), durable=False)
    bench.connection.execute("DELETE FROM fences")
    bench.translate()
    before = {
        row[-2]
        for place, row in original.sealed.items()
        if place[1] <= bench.value("SELECT acked FROM lanes WHERE name = ?", place[0])
    }
    for lane in ("realtime", "bulk"):
        for row in bench.ship(lane):
            assert row.headers not in before
            assert not any(_origin(row.headers) == _origin(known) for known in before)
    bench.close()


def _origin(headers: bytes) -> bytes:
    return next(line for line in headers.split(b"\n") if line.startswith(b"entrepot-origin:"))


def test_a_journal_in_use_or_absent_is_a_sentence(original: Original, state: Path) -> None:
    bench = Bench(configure(state.parent), durable=False)
    with pytest.raises(Refused, match="another process"):
        mend(state, original)
    bench.close()
    shutil.rmtree(state)
    state.mkdir()
    with pytest.raises(Refused, match="there is no journal"):
        mend(state, original)


@pytest.fixture(scope="module")
def flat(original: Original, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same journal without a log."""
    state = tmp_path_factory.mktemp("flat") / "state"
    shutil.copytree(original.state, state)
    _checkpointed(state)
    return state


class Zeros(bytes):
    """Written out they would fill a page of every report."""

    def __repr__(self) -> str:
        return f"Zeros({len(self)})"


@st.composite
def wounds(draw: st.DrawFn) -> list[tuple[float, bytes]]:
    """(place as a share of the file, what stands there afterwards)."""
    content = st.one_of(st.binary(min_size=1, max_size=8), st.integers(1, 4).map(lambda n: Zeros(n * PAGE)))
    return draw(st.lists(st.tuples(st.floats(0, 0.999), content), min_size=1, max_size=6))


@pytest.mark.model
@given(hurt=wounds(), cut=st.none() | st.floats(0.05, 1))
@settings(max_examples=examples(25), deadline=None)
def test_any_wound_is_named_and_nothing_false_is_saved(
    hurt: list[tuple[float, bytes]],
    cut: float | None,
    original: Original,
    flat: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    state = tmp_path_factory.mktemp("hurt") / "state"
    shutil.copytree(flat, state)
    size = (state / "journal.db").stat().st_size
    for share, content in hurt:
        overwrite(state, int(share * size), content[: size - int(share * size)])
    if cut is not None:
        os.truncate(state / "journal.db", int(cut * size))
    report: Report | None = None
    with suppress(Permanent):  # nothing at all can be read
        report = mend(state, original)
    if report is not None:
        check(state, original, report)
    shutil.rmtree(state.parent)
