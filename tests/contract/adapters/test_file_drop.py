"""The file drop adapter conforms, archives truthfully, and never half-reads or loses a file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from adapters.file_drop import ADAPTER
from adapters.file_drop.handover import Handover
from adapters.sdk.conformance import Check, FetchCase, conformance
from adapters.sdk.drops import DropFolder
from adapters.sdk.recording import Crash, RecordingIntake
from runtime.errors import Refused, Retryable, StorageFailed
from runtime.ports import Adapter, Request, SourceContext

QUICK = {"path": "in", "poll_seconds": 0.05, "stable_seconds": 0.05}


def drop(directory: str | Path, name: str, data: bytes) -> None:
    """As a careful sender does it: written under another name, then renamed."""
    folder = Path(directory, "in")
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.part").write_bytes(data)
    os.rename(folder / f"{name}.part", folder / name)


def dropping(*files: tuple[str, bytes]) -> Callable[[str], None]:
    def arrange(directory: str) -> None:
        for number, (name, data) in enumerate(files):
            drop(directory, name, data)
            os.utime(Path(directory, "in", name), ns=(number, number))

    return arrange


def lines(count: int) -> bytes:
    return b"sku;qty\n" + b"".join(b"S%d;%d\n" % (n, n) for n in range(count))


def bodies(count: int) -> list[bytes]:
    return [b'{"sku":"S%d","qty":"%d"}' % (n, n) for n in range(count)]


CASES = [
    FetchCase(
        name="csv in batches",
        settings={**QUICK, "lines_batch_max": 3},
        arrange=dropping(("stock.csv", lines(8))),
        expected=bodies(8),
        arrange_last=dropping(("later.csv", b"a\n1\n")),
        expected_last=[b'{"a":"1"}'],
        invalid_settings=(
            {},
            {"path": ""},
            {"path": "in", "format": "edi"},
            {"path": "in", "delimiter": "::"},
            {"path": "in", "poll_seconds": 0},
            {"path": "in", "stable_seconds": -1},
            {"path": "in", "lines_batch_max": 0},
            {"path": "in", "file_bytes_max": 0},
            {"path": "in", "header": "yes"},
        ),
    ),
    FetchCase(
        name="several files of all formats",
        settings={**QUICK, "lines_batch_max": 2},
        arrange=dropping(
            ("1.json", b'[{"a": 1}]\n'), ("2.ndjson", b'{"n": 1}\n{"n": 2}\n{"n": 3}'), ("3.csv", b"a,b\n1,2\n")
        ),
        expected=[b'[{"a": 1}]\n', b'{"n": 1}', b'{"n": 2}', b'{"n": 3}', b'{"a":"1","b":"2"}'],
        arrange_last=dropping(("4.jsonl", b"null\n")),
        expected_last=[b"null"],
    ),
]


@pytest.mark.anyio
@pytest.mark.parametrize("check", conformance(ADAPTER, CASES), ids=str)
async def test_the_file_drop_adapter_conforms(check: Check, tmp_path: Path) -> None:
    await check.run(str(tmp_path))


class Archived:
    """A context for one source whose log tells when something has happened."""

    def __init__(self, directory: Path, **settings: Any) -> None:
        self.directory = directory
        self.folder = directory / "in"
        self.intake = RecordingIntake()
        self.events: list[tuple[str, dict[str, Any]]] = []
        self._logged = anyio.Event()
        self.source = ADAPTER.source(
            msgspec.convert({**QUICK, **settings}, ADAPTER.settings),
            SourceContext(
                name="legacy",
                intake=self.intake,
                secret=lambda _: b"",
                directory=str(directory),
                log=self._log,
                now_us=lambda: 1_767_225_600_000_000,
            ),
        )

    def _log(self, event: str, **fields: Any) -> None:
        self.events.append((event, fields))
        self._logged.set()

    async def until(self, event: str, count: int = 1) -> list[dict[str, Any]]:
        """Run the source until it has logged `event` that often."""

        def found() -> list[dict[str, Any]]:
            return [fields for name, fields in self.events if name == event]

        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                group.start_soon(self.source.run)
                while len(found()) < count:
                    await self._logged.wait()
                    self._logged = anyio.Event()
                group.cancel_scope.cancel()
        return found()

    def result(self, archive: str, name: str) -> dict[str, Any]:
        return json.loads((self.folder / archive / f"{name}.result.json").read_text())


@pytest.mark.anyio
async def test_a_taken_file_lies_in_done_with_its_account_beside(tmp_path: Path) -> None:
    site = Archived(tmp_path)
    data = lines(3)
    drop(tmp_path, "stock.csv", data)
    await site.until("drop_taken")
    digest = sha256(data).hexdigest()
    assert (site.folder / "done" / "stock.csv").read_bytes() == data
    assert site.result("done", "stock.csv") == {
        "file": "stock.csv",
        "claimed_at": "2026-01-01T00:00:00.000+00:00",
        "finished_at": "2026-01-01T00:00:00.000+00:00",
        "sha256": digest,
        "bytes": len(data),
        "facts": 3,
        "duplicates": 0,
        "first_intake_seq": 1,
        "last_intake_seq": 3,
        "error": None,
        "hint": None,
    }
    assert [message.key for message in site.intake.messages] == [f"{digest}#{line}" for line in (2, 3, 4)]
    assert not list((site.folder / "processing").iterdir())


@pytest.mark.anyio
async def test_the_same_file_again_adds_nothing_and_is_archived_beside_the_first(tmp_path: Path) -> None:
    site = Archived(tmp_path)
    for count in (1, 2):
        drop(tmp_path, "stock.csv", lines(3))
        await site.until("drop_taken", count)
    assert len(site.intake.messages) == 3
    assert site.result("done", "stock~2.csv")["duplicates"] == 3


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("name", "data", "settings", "reason"),
    [
        ("a.xyz", b"x", {}, "format"),
        ("a.csv", b"x" * 11, {"file_bytes_max": 10}, "file_bytes_max"),
        ("a.csv", b"short\n" + b"x" * 11, {"message_bytes_max": 10}, "message_bytes_max"),
        ("a.json", b"[1,\n2,\n3,\n4]", {"message_bytes_max": 10}, "message_bytes_max"),
        ("a.csv", "a;b\n1;2\n".encode("utf-16"), {}, "UTF-16"),
        ("a.csv", b"PK\x03\x04\x00\x00", {}, "NUL"),
    ],
    ids=["unknown format", "too big", "long line", "big json", "utf-16", "binary"],
)
async def test_a_file_that_cannot_be_read_lies_in_failed_with_the_reason(
    tmp_path: Path, name: str, data: bytes, settings: dict[str, Any], reason: str
) -> None:
    site = Archived(tmp_path, **settings)
    drop(tmp_path, name, data)
    await site.until("drop_failed")
    result = site.result("failed", name)
    assert reason in result["error"] + str(result["hint"])
    assert (site.folder / "failed" / name).read_bytes() == data
    assert not site.intake.messages


@pytest.mark.anyio
async def test_a_link_is_moved_to_failed_and_never_followed(tmp_path: Path) -> None:
    site = Archived(tmp_path)
    (tmp_path / "secret.csv").write_bytes(lines(2))
    site.folder.mkdir()
    (site.folder / "a.csv").symlink_to(tmp_path / "secret.csv")
    await site.until("drop_failed")
    assert "symbolic link" in site.result("failed", "a.csv")["error"]
    assert not site.intake.messages


@pytest.mark.anyio
async def test_a_pipe_is_moved_to_failed(tmp_path: Path) -> None:
    site = Archived(tmp_path)
    site.folder.mkdir()
    os.mkfifo(site.folder / "a.csv")
    await site.until("drop_failed")
    assert "regular" in site.result("failed", "a.csv")["error"]


@pytest.mark.anyio
async def test_a_file_that_fails_does_not_hold_up_the_next(tmp_path: Path) -> None:
    site = Archived(tmp_path)
    dropping(("a.xyz", b"?"), ("b.csv", lines(1)))(str(tmp_path))
    await site.until("drop_taken")
    assert site.intake.bodies == bodies(1)


@pytest.mark.anyio
async def test_unreadable_rows_become_raw_facts_and_the_file_is_done(tmp_path: Path) -> None:
    site = Archived(tmp_path)
    drop(tmp_path, "a.csv", b"a;b\n1;2\nragged\n3;4\n")
    await site.until("drop_taken")
    assert site.result("done", "a.csv")["facts"] == 3
    assert json.loads(site.intake.bodies[1])["_raw"] == "ragged"


@pytest.mark.anyio
async def test_a_latin_1_file_is_recognized(tmp_path: Path) -> None:
    site = Archived(tmp_path)
    drop(tmp_path, "a.csv", "ort;straße\nKöln;Ring\n".encode("latin-1"))
    await site.until("drop_taken")
    assert site.intake.bodies == ['{"ort":"Köln","straße":"Ring"}'.encode()]


@pytest.mark.anyio
async def test_an_xml_file_is_one_fact_in_the_encoding_that_it_came_in(tmp_path: Path) -> None:
    body = '<?xml version="1.0" encoding="utf-16"?>\n<a>\n<b>ä</b>\n</a>\n'.encode("utf-16")
    drop(tmp_path, "idoc.XML", body)
    drop(tmp_path, "broken.xml", b"<a>")
    site = Archived(tmp_path)
    await site.until("drop_taken", 2)
    assert sorted(site.intake.bodies) == sorted([b"<a>", body])
    assert {message.content_type for message in site.intake.messages} == {"application/xml"}


@pytest.mark.anyio
async def test_a_file_still_being_written_is_left_alone(tmp_path: Path) -> None:
    site = Archived(tmp_path)
    site.folder.mkdir()
    (site.folder / "growing.csv.part").write_bytes(lines(5))
    drop(tmp_path, "whole.csv", lines(1))
    await site.until("drop_taken")
    assert site.intake.bodies == bodies(1)
    assert (site.folder / "growing.csv.part").exists()


@pytest.mark.anyio
async def test_a_file_that_grows_after_the_claim_is_read_again_to_its_end(tmp_path: Path) -> None:
    site = Archived(tmp_path, lines_batch_max=2)
    drop(tmp_path, "a.ndjson", b"1\n2\n3\n")
    accept = site.intake.accept

    async def grow_once(messages: Any) -> Any:
        if site.intake.calls == 0:
            with open(site.folder / "processing" / "a.ndjson", "ab") as file:
                file.write(b"4\n")
        return await accept(messages)

    site.intake.accept = grow_once  # type: ignore[method-assign]
    await site.until("drop_taken")
    assert {b"1", b"2", b"3", b"4"} <= set(site.intake.bodies)
    assert site.result("done", "a.ndjson")["sha256"] == sha256(b"1\n2\n3\n4\n").hexdigest()


@pytest.mark.anyio
async def test_when_the_journal_refuses_the_file_fails_with_the_reason(tmp_path: Path) -> None:
    site = Archived(tmp_path)
    drop(tmp_path, "a.csv", lines(2))

    async def refuse(_messages: Any) -> Any:
        raise Refused("The key was used for another message.")

    site.intake.accept = refuse  # type: ignore[method-assign]
    await site.until("drop_failed")
    assert site.result("failed", "a.csv")["error"] == "The key was used for another message."


@pytest.mark.anyio
async def test_a_failed_journal_stops_the_source_and_leaves_the_file_claimed(tmp_path: Path) -> None:
    site = Archived(tmp_path)
    drop(tmp_path, "a.csv", lines(2))

    async def fail(_messages: Any) -> Any:
        raise StorageFailed("EIO")

    site.intake.accept = fail  # type: ignore[method-assign]
    with pytest.raises(StorageFailed), anyio.fail_after(20):
        await site.source.run()
    assert (site.folder / "processing" / "a.csv").exists()


@pytest.mark.anyio
async def test_a_folder_that_cannot_be_had_is_retryable_and_named(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("a file where the folder should be")
    with pytest.raises(Retryable, match="drop folder"):
        await Archived(tmp_path).source.run()


POINTS: list[tuple[str, Any, str, str]] = [
    ("after the claim", DropFolder, "claim", "after"),
    ("before opening", DropFolder, "open", "before"),
    ("before archiving", DropFolder, "finish", "before"),
    ("after archiving", DropFolder, "finish", "after"),
    ("before the result is written", DropFolder, "_write_result", "before"),
    ("after the result, before the move", DropFolder, "_write_result", "after"),
    ("before a batch", Handover, "_accept", "before"),
    ("after a batch", Handover, "_accept", "after"),
]


@pytest.mark.anyio
@pytest.mark.parametrize("point", POINTS, ids=[point[0] for point in POINTS])
async def test_a_crash_at_any_point_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: tuple[str, Any, str, str]
) -> None:
    _, owner, method, when = point
    site = Archived(tmp_path, lines_batch_max=2)
    drop(tmp_path, "stock.csv", lines(5))
    with monkeypatch.context() as patch:
        patch.setattr(owner, method, dying(getattr(owner, method), when, is_async=owner is Handover))
        with pytest.raises(Crash), anyio.fail_after(20):
            await site.source.run()
    drop(tmp_path, "later.csv", b"a\n1\n")
    again = Archived(tmp_path, lines_batch_max=2)
    again.intake = site.intake
    again.source._handover._context = msgspec.structs.replace(again.source._handover._context, intake=site.intake)
    await again.until("drop_taken", 1 if point[0] == "after archiving" else 2)
    assert site.intake.bodies == [*bodies(5), b'{"a":"1"}']
    assert (again.folder / "done" / "stock.csv").read_bytes() == lines(5)
    assert again.result("done", "stock.csv")["facts"] == 5
    assert sorted(path.name for path in (again.folder / "done").iterdir()) == [
        "later.csv",
        "later.csv.result.json",
        "stock.csv",
        "stock.csv.result.json",
    ]


def dying(original: Any, when: str, *, is_async: bool) -> Any:
    """`original`, and the process dies before or after it."""

    def die(*args: Any) -> Any:
        if when == "after":
            original(*args)
        raise Crash

    async def die_async(*args: Any) -> Any:
        if when == "after":
            await original(*args)
        raise Crash

    return die_async if is_async else die


@pytest.mark.anyio
async def test_requests_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused):
        Archived(tmp_path).source.authenticate(Request(headers={}, body=b""))


def test_the_entry_object_is_an_adapter_for_the_type_checker() -> None:
    adapter: Adapter = ADAPTER
    assert not adapter.accepts_http
