"""The doctor looks at everything, the worst row counts, and a check that fails is a row like any other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.doctor import examine, host
from runtime.errors import ConfigError
from runtime.ports import Finding
from tests.support.example import change, copy_example, entrepot
from tests.support.nats import free_port

HOST = {"SQLite", "Expat", "clock"}
OURS = {"configuration", "file permissions", "data folder", "file system", "free disk", "flush", "agent"}
NETWORK = {"firewall", "alert webhook", "hub"}


@pytest.fixture
def away(tmp_path: Path) -> Path:
    """A region whose hub is not there."""
    config = copy_example(tmp_path)
    change(config, "127.0.0.1:4222", f"127.0.0.1:{free_port()}")
    return config


def test_doctor_looks_at_everything_and_the_worst_row_counts(away: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = entrepot(capsys, "doctor", "--json", "--config", away)
    assert said.code == 2
    rows = {row["subject"]: row for row in said.json()["findings"]}
    server = next(subject for subject in rows if subject.startswith("hub 127.0.0.1:"))
    assert set(rows) == {*HOST, *OURS, *NETWORK, server}
    assert rows["hub"]["level"] == "critical"
    assert rows["hub"]["next"]
    assert "Connection refused" in rows[server]["found"]
    assert rows["data folder"]["level"] == "ok"
    assert not list(away.parent.glob(".doctor*"))
    assert not (away.parent / "state").exists()


def test_doctor_goes_on_without_a_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = entrepot(capsys, "doctor", "--json", "--config", tmp_path / "none.toml")
    assert said.code == 2
    assert {row["subject"] for row in said.json()["findings"]} == {*HOST, "configuration"}


def test_a_table_for_people_ends_with_the_next_steps(away: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = entrepot(capsys, "doctor", "--config", away)
    assert said.code == 2
    assert "firewall" in said.out
    assert "hub: see the rows about its servers" in said.out


def test_the_doors_of_a_firewall_are_listed(away: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(away, 'listen = "127.0.0.1:8080"', 'listen = "0.0.0.0:8443"')
    text = away.read_text().replace(
        'auth = { scheme = "none" }', 'auth = { scheme = "bearer", secrets = ["secret://x"] }'
    )
    hook = free_port()
    away.write_text(text + f'[alerts]\nwebhook = "http://127.0.0.1:{hook}/services/T0KEN"\n[secrets]\ndir = "s"\n')
    (away.parent / "s").mkdir()
    (away.parent / "s" / "x").write_text("geheim")
    (away.parent / "s" / "x").chmod(0o644)
    said = entrepot(capsys, "doctor", "--json", "--config", away)
    rows = said.json()["findings"]
    doors = [row["found"] for row in rows if row["subject"] == "firewall"]
    assert "in: TCP to 0.0.0.0 port 8443 (senders)" in doors
    assert f"out: TCP to 127.0.0.1 port {hook} (alerts)" in doors
    assert any(door.endswith("(hub)") for door in doors)
    assert "T0KEN" not in said.out
    by_subject = {row["subject"]: row for row in rows}
    assert by_subject["alert webhook"]["level"] == "warning"
    assert "chmod 600" in by_subject["file permissions"]["next"]


def test_a_check_that_crashes_is_a_finding() -> None:
    [finding] = examine.guarded("clock", lambda: [1 / 0])  # type: ignore[list-item]
    assert (finding.subject, finding.level) == ("clock", "critical")
    assert "ZeroDivisionError at test_examine.py:" in finding.found


def test_what_was_found_before_a_crash_is_kept() -> None:
    def check() -> Iterator[Finding]:
        yield Finding("a", "ok", "fine")
        raise ExceptionGroup("several", [ConfigError("no such key", hint="mend it")])

    assert examine.guarded("b", check) == [
        Finding("a", "ok", "fine"),
        Finding("b", "critical", "no such key", "mend it"),
    ]


def test_a_check_that_hangs_is_a_finding_and_the_others_go_on() -> None:
    never = threading.Event()
    try:
        [finding] = examine.guarded("file system", lambda: [never.wait()], 0.01)  # type: ignore[list-item]
    finally:
        never.set()
    assert finding.level == "critical"
    assert "no answer within 0.01 s" in finding.found


def test_a_crash_of_one_check_does_not_end_the_examination(
    away: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def crash() -> Iterator[Finding]:
        raise MemoryError

    monkeypatch.setattr(host, "sqlite", crash)
    said = entrepot(capsys, "doctor", "--json", "--config", away)
    rows = {row["subject"]: row for row in said.json()["findings"]}
    assert "MemoryError" in rows["SQLite"]["found"]
    assert {"clock", "hub"} <= set(rows)
