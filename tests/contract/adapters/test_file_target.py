"""The file target keeps what `adapters.sdk.target_conformance` asks; files appear whole, once, and nowhere else."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.file_target import TARGET, folder
from adapters.file_target.folder import OutFolder
from adapters.file_target.naming import OWN, Naming
from adapters.file_target.target import FileTarget
from adapters.sdk.conformance import Check
from adapters.sdk.target_conformance import Foreign, TargetCase, conformance, delivery
from runtime.errors import ConfigError, Permanent, Retryable
from runtime.ports import TargetContext

RENDERING = """
rendering = "legacy"
version = 1
format = "csv"
each = "data.lines"
[csv]
delimiter = ";"
[fields]
ORDER = "root.data.order_id"
SKU = "sku"
QTY = { path = "quantity.value", convert = "decimal_comma", missing = "letter" }
"""
INVALID: tuple[dict[str, Any], ...] = (
    {"path": ""},
    {"name": "same.csv"},
    {"name": "../{delivery.id}"},
    {"name": "a/{delivery.id}"},
    {"name": "{delivery.id"},
    {"file_mode": "0999"},
    {"filters": [{}]},
    {"batch": {"deliveries_max": 10}, "rendering": ""},
)


class Drop:
    """The folder that another system fetches files from."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "out"
        self.path.mkdir()
        self.settings: Mapping[str, Any] = {"path": "out"}
        (directory / "legacy.toml").write_text(RENDERING)

    def effects(self) -> Sequence[str]:
        return (
            sorted(path.name for path in self.path.iterdir() if path.name != folder.STATE) if self.path.exists() else []
        )

    def fault(self, fault: str | None) -> None:
        if fault == "away":
            self.path.rename(self.path.with_name("unmounted"))
        elif fault == "failing":
            shutil.rmtree(self.path / folder.STATE, ignore_errors=True)
            (self.path / folder.STATE).symlink_to("/tmp")
        elif fault is None and not self.path.exists():
            self.path.with_name("unmounted").rename(self.path)
        elif fault is None:
            (self.path / folder.STATE).unlink()

    async def reached(self) -> None: ...


@asynccontextmanager
async def drop(directory: str) -> AsyncIterator[Foreign]:
    yield await anyio.to_thread.run_sync(Drop, Path(directory))


PLAYED: Callable[[str], AbstractAsyncContextManager[Foreign]] = drop
CASES = [
    TargetCase(name="one file each", settings={}, foreign=PLAYED, faults=("away", "failing"), invalid_settings=INVALID),
    TargetCase(
        name="csv",
        settings={"rendering": "legacy.toml", "name": "{data.order_id}-{delivery.id}.csv"},
        foreign=PLAYED,
        faults=("away", "failing"),
    ),
    TargetCase(
        name="batches of one", settings={"rendering": "legacy.toml", "batch": {"deliveries_max": 1}}, foreign=PLAYED
    ),
]


@pytest.mark.anyio
@pytest.mark.parametrize("check", conformance(TARGET, CASES), ids=str)
async def test_the_target_conforms(check: Check, tmp_path: Path) -> None:
    await check.run(str(tmp_path))


def target(directory: Path, **settings: Any) -> FileTarget:
    given = msgspec.convert({"path": "out", **settings}, TARGET.settings)
    context = TargetContext(
        name="legacy",
        region="eu-de",
        secret=lambda name: b"",
        directory=str(directory),
        log=lambda _event, **_fields: None,
        now_us=lambda: 1_767_225_600_000_000,
    )
    return TARGET.target(given, context)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    Drop(tmp_path)
    return tmp_path


def files(place: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (place / "out").iterdir() if path.is_file()}


@pytest.mark.anyio
async def test_an_event_becomes_a_file_of_the_other_system(place: Path) -> None:
    out = target(place, rendering="legacy.toml", name="ORD_{data.order_id}_{delivery.id}.csv", file_mode="0644")
    made = await out.deliver(delivery())
    assert files(place) == {"ORD_A-1_hq.orders.1.1.csv": b"ORDER;SKU;QTY\r\nA-1;S-1;2\r\n"}
    assert made.reference == "", "the name tells of the business, so it stays out of the books"
    assert (place / "out" / "ORD_A-1_hq.orders.1.1.csv").stat().st_mode & 0o777 == 0o644
    assert (await target(place).deliver(delivery(2))).reference == "hq.orders.1.2.json"


@pytest.mark.anyio
async def test_a_second_try_is_recognised_even_when_the_file_was_fetched(place: Path) -> None:
    out = target(place)
    await out.deliver(delivery())
    (place / "out" / "hq.orders.1.1.json").unlink()
    await out.deliver(delivery())
    await target(place).deliver(delivery())
    assert files(place) == {}


@pytest.mark.anyio
async def test_a_later_event_replaces_the_file_where_that_is_meant(place: Path) -> None:
    out = target(place, name="current.json", overwrite=True)
    for number in (1, 2, 1):
        await out.deliver(delivery(number))
    assert files(place) == {"current.json": delivery(2).data + b"\n"}


class Cut(BaseException):
    """The process ended here."""


@pytest.mark.parametrize("step", ["prepare", "rename", "mark", "publish", "after"])
def test_whatever_step_is_the_last_one_before_a_crash_the_file_appears_once(
    step: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(place / "out")
    with monkeypatch.context() as patched:
        if step == "rename":
            patched.setattr(folder.os, "rename", raising)
        elif step != "after":
            patched.setattr(OutFolder, step, raising)
        with OutFolder(path, 0o640) as opened:
            if step == "after":
                assert opened.put("d1", "a.csv", b"whole")
            else:
                with pytest.raises(Cut):
                    opened.put("d1", "a.csv", b"whole")
    assert files(place) == ({"a.csv": b"whole"} if step == "after" else {}), "half a file was seen"
    (place / "out" / "a.csv").unlink(missing_ok=True)
    with OutFolder(path, 0o640) as opened:
        opened.put("d1", "a.csv", b"whole")
    assert files(place) == ({} if step == "after" else {"a.csv": b"whole"})
    with OutFolder(path, 0o640) as opened:
        assert not opened.put("d1", "a.csv", b"whole")


def raising(*_args: Any, **_kwargs: Any) -> None:
    raise Cut


def test_a_link_in_the_place_of_a_file_is_replaced_and_not_followed(place: Path) -> None:
    victim = place / "victim"
    victim.write_bytes(b"mine")
    (place / "out" / "a.csv").symlink_to(victim)
    with OutFolder(str(place / "out"), 0o640) as opened:
        opened.put("d1", "a.csv", b"theirs")
        (place / "out" / folder.STATE / "d2.ready.tmp").symlink_to(victim)
        with pytest.raises(OSError, match="symbolic"):
            opened.put("d2", "b.csv", b"theirs")
    assert victim.read_bytes() == b"mine"
    assert files(place)["a.csv"] == b"theirs"


def test_old_marks_are_forgotten_and_young_ones_kept(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "MARKS_MAX", 2)
    with OutFolder(str(place / "out"), 0o640) as opened:
        for number in range(4):
            opened.put(f"d{number}", f"{number}.csv", b"")
            os.utime(place / "out" / folder.STATE / folder.MARKS / f"d{number}", ns=(number, number))
        opened.forget_old()
        assert [opened.is_marked(f"d{number}") for number in range(4)] == [False, False, True, True]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("error", "says"),
    [(28, "on a disk that is full"), (13, "may not be written in"), (30, "is read-only"), (5, "cannot be used")],
)
async def test_a_folder_that_cannot_be_written_is_a_sentence_and_the_rest_is_cleared_away(
    error: int, says: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_fd: int) -> None:
        raise OSError(error, os.strerror(error))

    with monkeypatch.context() as patched:
        patched.setattr(folder.os, "fchmod", lambda _fd, _mode: fails(_fd))
        with pytest.raises(Retryable, match=says):
            await target(place).deliver(delivery())
    assert not list((place / "out" / folder.STATE).glob("*.tmp"))
    await target(place).deliver(delivery())
    assert len(files(place)) == 1


@pytest.mark.anyio
async def test_a_folder_is_not_made_under_an_empty_mount_point(tmp_path: Path) -> None:
    with pytest.raises(Retryable, match="is not there"):
        await target(tmp_path).deliver(delivery())
    assert not list(tmp_path.iterdir())


@pytest.mark.anyio
async def test_an_event_that_does_not_fit_is_a_letter_and_writes_nothing(place: Path) -> None:
    out = target(place, rendering="legacy.toml")
    with pytest.raises(Permanent, match=r"fields\.QTY: has no value"):
        await out.deliver(delivery(data=b'{"order_id": "A-1", "lines": [{"sku": "x"}]}'))
    assert files(place) == {}


# ---------------------------------------------------------------- batches

BATCH = {"rendering": "legacy.toml", "name": "orders-{batch.time}-{batch.id}.csv"}
HEAD = b"ORDER;SKU;QTY\r\n"


def line(number: int) -> bytes:
    return b"A-%d;S-1;2\r\n" % number


@pytest.mark.anyio
async def test_a_batch_is_one_file_when_it_is_full(place: Path) -> None:
    out = target(place, **BATCH, batch={"deliveries_max": 3, "seconds_max": 3000})
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            for number in (1, 2, 3):
                group.start_soon(out.deliver, delivery(number))
    [(name, content)] = files(place).items()
    assert name.startswith("orders-20260101T000000Z-")
    assert sorted(content.removeprefix(HEAD).splitlines(keepends=True)) == [line(1), line(2), line(3)]


@pytest.mark.anyio
async def test_a_batch_is_one_file_when_its_time_is_over_and_only_one_delivery_waits_for_it(place: Path) -> None:
    out = target(place, **BATCH, batch={"deliveries_max": 100, "seconds_max": 1})
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(out.deliver, delivery(1))
            while not list((place / "out" / folder.STATE).glob("*.part")):  # noqa: ASYNC110  the file is the event
                await anyio.sleep(0.005)
            await out.deliver(delivery(2))
            assert files(place) == {}, "the second one waited for the file"
    assert list(files(place).values()) == [HEAD + line(1) + line(2)]


@pytest.mark.anyio
async def test_what_a_stop_finds_in_an_open_batch_appears(place: Path) -> None:
    out = target(place, **BATCH, batch={"seconds_max": 3000})
    async with anyio.create_task_group() as group:
        group.start_soon(out.deliver, delivery(1))
        while not list((place / "out" / folder.STATE).glob("*.part")):  # noqa: ASYNC110  the file is the event
            await anyio.sleep(0.005)
        group.cancel_scope.cancel()
    await out.close()
    assert list(files(place).values()) == [HEAD + line(1)]
    again = target(place, **BATCH, batch={"deliveries_max": 1})
    await again.deliver(delivery(1))
    assert len(files(place)) == 1, "the second try made another file"


@pytest.mark.anyio
@pytest.mark.parametrize("step", ["prepare", "mark", "drop", "publish"])
async def test_a_crash_while_a_batch_is_completed_loses_and_doubles_nothing(
    step: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = target(place, **BATCH, batch={"deliveries_max": 100, "seconds_max": 3000})
    async with anyio.create_task_group() as group:
        for number in (1, 2):
            group.start_soon(first.deliver, delivery(number))
        while len(list((place / "out" / folder.STATE).glob("*.part"))) < 2:  # noqa: ASYNC110  the files are the event
            await anyio.sleep(0.005)
        group.cancel_scope.cancel()
    with monkeypatch.context() as patched:
        patched.setattr(OutFolder, step, raising)
        with pytest.raises(Cut):
            await first.close()
    assert files(place) == {}
    second = target(place, **BATCH, batch={"deliveries_max": 100, "seconds_max": 3000})
    with anyio.move_on_after(0.2):
        await second.deliver(delivery(1))
    await second.close()
    lines = [one for content in files(place).values() for one in content.removeprefix(HEAD).splitlines(keepends=True)]
    assert sorted(lines) == [line(1), line(2)]


@pytest.mark.anyio
async def test_a_folder_that_goes_away_under_an_open_batch_is_waited_for(place: Path) -> None:
    out = target(place, **BATCH, batch={"deliveries_max": 2, "seconds_max": 3000})
    async with anyio.create_task_group() as group:
        group.start_soon(out.deliver, delivery(1))
        while not list((place / "out" / folder.STATE).glob("*.part")):  # noqa: ASYNC110  the file is the event
            await anyio.sleep(0.005)
        (place / "out").rename(place / "unmounted")
        with pytest.raises(Retryable, match="is not there"):
            await out.deliver(delivery(2))
        (place / "unmounted").rename(place / "out")
        with anyio.fail_after(20):
            await out.deliver(delivery(2))
    assert list(files(place).values()) == [HEAD + line(1) + line(2)]


@pytest.mark.anyio
async def test_a_batch_that_cannot_be_completed_is_completed_by_the_next_try(place: Path) -> None:
    out = target(place, **BATCH, batch={"deliveries_max": 1})
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(OutFolder, "publish", full)
        with pytest.raises(Retryable, match="on a disk that is full"):
            await out.deliver(delivery(1))
    assert files(place) == {}
    await out.deliver(delivery(1))
    await out.deliver(delivery(2))
    assert sorted(files(place).values()) == [HEAD + line(1), HEAD + line(2)]


def full(*_args: Any) -> None:
    raise OSError(28, os.strerror(28))


@pytest.mark.parametrize("format_", ["json", "xml"])
def test_only_lines_can_be_put_together(format_: str, place: Path) -> None:
    (place / "one.toml").write_text(
        f'rendering = "x"\nversion = 1\nformat = "{format_}"\n'
        + ('xml.root = "R"\n' if format_ == "xml" else "")
        + '[fields]\na = "data.order_id"\n'
    )
    with pytest.raises(ConfigError, match="batch"):
        target(place, rendering="one.toml", batch={})


# ---------------------------------------------------------------- names


@given(
    st.text(max_size=400),
    st.sampled_from(["{data.n}{delivery.id}.csv", "{delivery.id}-{data.n}", "x {data.n} {delivery.id}"]),
)
def test_no_value_makes_a_name_that_leads_elsewhere(text: str, template: str) -> None:
    naming = Naming(template, own=OWN, overwrite=False)
    try:
        name = naming.name({"data": {"n": text}, "delivery": {"id": "hq.orders.1.1"}})
    except Permanent:
        assert text == ""
        return
    assert "/" not in name
    assert not name.startswith(".")
    assert name.isascii()
    assert name.isprintable()
    assert 0 < len(name) <= 200


@given(st.integers(1, 10**9), st.integers(1, 10**9), st.text(max_size=300), st.text(max_size=300))
def test_two_deliveries_never_have_one_name(one: int, other: int, text: str, more: str) -> None:
    naming = Naming("{data.n}_{delivery.id}.csv", own=OWN, overwrite=False)
    fill = partial(tree, text or "x"), partial(tree, more or "x")
    same = naming.name(fill[0](one)) == naming.name(fill[1](other))
    assert not same or one == other


def tree(text: str, number: int) -> dict[str, Any]:
    return {"data": {"n": text}, "delivery": {"id": f"hq.orders.1.{number}"}}
