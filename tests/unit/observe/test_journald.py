"""Under systemd each field can be searched for, no value can forge another, and redaction comes first."""

from __future__ import annotations

import io
import json
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runtime.observe import journald
from runtime.observe.log import Log, open_log
from runtime.observe.metrics import Counters

CANARY = "Erika Mustermann"
FORGED = "quiet\nPRIORITY=7\n_UID=0\n"


class Journal:
    """journald's side of its socket, and a stderr that leads there."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "j"
        self.door = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.door.bind(str(self.path))
        self.door.settimeout(10)
        self.stderr = (folder / "stderr").open("w+", encoding="utf-8")
        found = os.fstat(self.stderr.fileno())
        self.stream_id = f"{found.st_dev}:{found.st_ino}"
        self.counters = Counters()

    def log(self, **bound: Any) -> Log:
        return open_log(
            now_us=lambda: 1_750_000_000_000_001,
            monotonic=lambda: 0.0,
            stream=self.stderr,
            counters=self.counters,
            **bound,
        )

    def entry(self) -> dict[str, str]:
        return decoded(self.door.recv(1_000_000))

    def fallen_back(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in Path(self.stderr.name).read_text("utf-8").splitlines()]

    def close(self) -> None:
        self.door.close()
        self.stderr.close()


def decoded(data: bytes) -> dict[str, str]:
    """As systemd reads it: `NAME=value`, or `NAME`, the length in 8 bytes, and that many bytes."""
    found: dict[str, str] = {}
    while data:
        line, _, rest = data.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            size = struct.unpack("<Q", rest[:8])[0]
            value, rest = rest[8 : 8 + size], rest[8 + size :]
            assert rest[:1] == b"\n"
            rest = rest[1:]
        assert name.decode() not in found
        found[name.decode()] = value.decode()
        data = rest
    return found


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Journal]:
    journal = Journal(tmp_path)
    monkeypatch.setattr(journald, "SOCKET", journal.path)
    monkeypatch.setenv("JOURNAL_STREAM", journal.stream_id)
    yield journal
    journal.close()


def test_every_field_can_be_searched_for(journal: Journal) -> None:
    journal.log(region="eu-de").error("the hub refused", lane="bulk", source="wms", correlation_id="c-1", seq=7)
    assert journal.entry() == {
        "MESSAGE": "the hub refused region=eu-de lane=bulk source=wms correlation_id=c-1 seq=7",
        "PRIORITY": "3",
        "SYSLOG_IDENTIFIER": "entrepot",
        "ENTREPOT_EVENT": "the hub refused",
        "ENTREPOT_LEVEL": "error",
        "ENTREPOT_REGION": "eu-de",
        "ENTREPOT_LANE": "bulk",
        "ENTREPOT_SOURCE": "wms",
        "ENTREPOT_CORRELATION_ID": "c-1",
        "ENTREPOT_SEQ": "7",
    }
    assert journal.fallen_back() == []


def test_what_may_not_be_shown_does_not_reach_the_journal(journal: Journal) -> None:
    log = journal.log()
    log.error("refused", remark=CANARY, body=CANARY.encode(), error=ValueError(CANARY), deep={"x": [CANARY]})
    entry = journal.entry()
    assert entry["ENTREPOT_ERROR_CLASS"] == "ValueError"
    assert entry["ENTREPOT_REMARK"] == "(hidden)"
    assert CANARY not in json.dumps(entry)


@pytest.mark.parametrize("value", [FORGED, "a=b", "", "tab\tand\0zero", "\ud800", "é" * 400, "\n", "ends\n"])
def test_a_value_stays_one_value_whatever_it_holds(value: str) -> None:
    fields = decoded(journald.encode({"BEFORE": "1", "VALUE": value, "AFTER": "2"}))
    assert fields == {"BEFORE": "1", "VALUE": value.encode("utf-8", "replace").decode(), "AFTER": "2"}


def test_a_field_cannot_take_the_name_of_a_trusted_one() -> None:
    entry = journald.entry({"event": "x", "level": "info", "_uid": "0", "priority": "0", "Event": "forged"})
    assert (entry["PRIORITY"], entry["ENTREPOT_EVENT"], entry["ENTREPOT__UID"]) == ("6", "x", "0")
    assert all(not name.startswith("_") for name in entry)


def test_names_that_systemd_would_ignore_are_made_fit() -> None:
    entry = journald.entry({"event": "x", "level": "info", "odd-näme": 1, "l" * 99: 2})
    assert {"ENTREPOT_ODD_N_ME", "ENTREPOT_" + "L" * 55} <= set(entry)


def test_without_journald_the_line_goes_to_stderr_and_later_ones_find_it_again(journal: Journal) -> None:
    log = journal.log()
    moved = journal.path.with_name("moved")
    journal.path.rename(moved)
    log.info("said while away", lane="bulk")
    assert [(line["event"], line["lane"]) for line in journal.fallen_back()] == [("said while away", "bulk")]
    moved.rename(journal.path)
    log.info("said again")
    assert journal.entry()["ENTREPOT_EVENT"] == "said again"


def test_a_line_larger_than_a_datagram_goes_to_stderr(tmp_path: Path, journal: Journal) -> None:
    lines: list[Any] = []
    journald.JournaldWriter(lines.append, journal.path)({"event": "x", "level": "info", "large": "x" * 4_000_000})
    assert [line["event"] for line in lines] == ["x"]


def test_a_busy_journal_costs_lines_and_never_time(journal: Journal) -> None:
    log = journal.log()
    count = 0
    while not journal.counters.log_lines_lost:
        log.info("filling", seq=count)
        count += 1
        assert count < 100_000
    assert journal.entry()["ENTREPOT_SEQ"] == "0"


@pytest.mark.parametrize("stream_id", ["", "1:1", None])
def test_another_stream_than_systemds_gets_json(
    stream_id: str | None, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", stream_id or "")
    if stream_id is None:
        monkeypatch.delenv("JOURNAL_STREAM")
    journal.log().info("plain")
    assert [line["event"] for line in journal.fallen_back()] == ["plain"]


def test_a_stream_without_a_file_is_no_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "1:1")
    assert not journald.leads_to_journald(io.StringIO())
