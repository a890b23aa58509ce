"""Commands while the agent runs: they ask it over its socket, and the stand-alone reader asks the hub alone."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import anyio
import pytest

from runtime.admin.client import is_running
from tests.support.example import EXAMPLE, change, copy_example, entrepot
from tests.support.nats import NatsServer, free_port

SECONDS_MAX = 60
BOOKS = ("accepted", "delivered", "withheld", "dead_lettered", "ignored", "expired", "pending")


class Region:
    """The example region, running against a real hub."""

    def __init__(self, folder: Path) -> None:
        self.hub = NatsServer(folder)
        self.config = copy_example(folder)
        self.gateway = f"127.0.0.1:{free_port()}"
        change(self.config, "nats://127.0.0.1:4222", self.hub.url)
        change(self.config, "127.0.0.1:8080", self.gateway)
        self.log = folder / "agent.log"
        self.agent: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        anyio.run(self.hub.start)
        self.start_agent()

    def start_agent(self) -> None:
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "runtime.cli", "run", "--config", str(self.config)]
            self.agent = subprocess.Popen(command, stdout=log, stderr=log)
        until = monotonic() + SECONDS_MAX
        while not self.is_ready():
            assert self.agent.poll() is None, self.log.read_text()
            assert monotonic() < until
            sleep(0.05)

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.gateway}/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def post(self, source: str, body: bytes) -> int:
        request = urllib.request.Request(
            f"http://{self.gateway}/in/{source}", data=body, headers={"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=SECONDS_MAX) as answer:
            return int(json.load(answer)["intake_seq"])

    def stop_agent(self) -> None:
        if self.agent is not None:
            self.agent.terminate()
            assert self.agent.wait(SECONDS_MAX) == 0
            self.agent = None

    def stop(self) -> None:
        try:
            self.stop_agent()
        finally:
            self.hub.stop()


@pytest.fixture
def region(tmp_path: Path) -> Iterator[Region]:
    region = Region(tmp_path)
    try:
        region.start()
        yield region
    finally:
        region.stop()


def deliver(region: Region, capsys: pytest.CaptureFixture[str]) -> dict[str, int]:
    """Send an order and rubbish, wait until nothing is pending, and give the books."""
    region.post("wms", (EXAMPLE / "samples" / "wms" / "01-order-new.json").read_bytes())
    region.post("wms", b'{"message_id": "r-1", "kind": "PICK"}')
    until = monotonic() + SECONDS_MAX
    while True:
        status = entrepot(capsys, "status", "--json", "--config", region.config).json()
        if status["pending"] == 0 and status["accepted"] == 2:
            return {name: status[name] for name in BOOKS}
        assert monotonic() < until, status
        sleep(0.05)


def test_commands_ask_the_running_agent(region: Region, capsys: pytest.CaptureFixture[str]) -> None:
    books = deliver(region, capsys)
    assert (books["delivered"], books["dead_lettered"]) == (1, 1)
    status = entrepot(capsys, "status", "--config", region.config)
    assert status.code == 1
    assert "running, version" in status.out
    assert "the books balance: 2 accepted = 1 delivered + 1 dead-lettered" in status.out
    assert region.hub.url in status.out
    letters = entrepot(capsys, "letters", "list", "--json", "--config", region.config).json()
    assert [row["source"] for row in letters] == ["wms"]
    assert entrepot(capsys, "letters", "discard", str(letters[0]["id"]), "--config", region.config).code == 0
    assert entrepot(capsys, "journal", "verify", "--config", region.config).code == 0
    assert (
        entrepot(
            capsys, "replay", "--source", "wms", "--from", "1", "--to", "1", "--json", "--config", region.config
        ).code
        == 0
    )
    refused = entrepot(capsys, "adopt", "--reason", "x", "--json", "--config", region.config)
    assert (refused.code, refused.json()["kind"]) == (2, "Refused")


def test_a_second_agent_on_the_journal_is_refused_in_one_sentence(
    region: Region, capsys: pytest.CaptureFixture[str]
) -> None:
    said = entrepot(capsys, "run", "--config", region.config)
    assert said.code == 75
    assert "has this journal open" in said.err.splitlines()[-2]
    assert region.is_ready()


def test_what_left_and_what_stayed_is_exported(region: Region, capsys: pytest.CaptureFixture[str]) -> None:
    deliver(region, capsys)
    said = entrepot(capsys, "journal", "export", "--dispositions", "--config", region.config)
    rows = list(csv.DictReader(said.out.splitlines()))
    by_path = {row["path"]: (row["action"], row["rule"]) for row in rows if row["type"] == "order.created"}
    assert by_path["order_id"] == ("allow", "trade-data")
    assert by_path["ship_to.email"][0] == "drop"
    assert by_path["ship_to.name"] == ("mask", "names-are-masked")


def test_the_hub_alone_proves_the_lanes(
    region: Region, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deliver(region, capsys)
    region.stop_agent()
    assert not is_running(region.config.parent / "state")
    assert entrepot(capsys, "verify", "--json", "--config", region.config).json()["ok"] is True
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    key = region.config.parent / "state" / "identity" / "signing.pub"
    said = entrepot(capsys, "verify", "--hub", region.hub.url, "--region", "eu-de", "--public-key", key)
    assert said.code == 0
    assert "proven for eu-de" in said.out
    text = entrepot(capsys, "verify", "--hub", region.hub.url, "--region", "eu-de", "--public-key", key.read_text())
    assert text.code == 0
    wrong = entrepot(capsys, "verify", "--hub", region.hub.url, "--region", "eu-de", "--public-key", "11" * 32)
    assert wrong.code == 2
    assert "not proven" in wrong.out


def until_status(region: Region, capsys: pytest.CaptureFixture[str], wanted: Callable[[Any], bool]) -> Any:
    until = monotonic() + SECONDS_MAX
    while not wanted(status := entrepot(capsys, "status", "--json", "--config", region.config).json()):
        assert monotonic() < until, status
        sleep(0.05)
    return status


def test_adopt_shows_what_would_happen_and_acts_only_on_a_yes(
    region: Region, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deliver(region, capsys)
    region.stop_agent()
    state = tmp_path / "state"
    shutil.copytree(state, tmp_path / "backup")
    region.start_agent()
    region.post("wms", (EXAMPLE / "samples" / "wms" / "02-pick.json").read_bytes())
    until_status(region, capsys, lambda status: status["delivered"] == 2)
    region.stop_agent()
    shutil.rmtree(state)
    shutil.copytree(tmp_path / "backup", state)
    region.start_agent()
    fenced = until_status(region, capsys, lambda status: status["lanes"]["realtime"]["fenced"])
    assert fenced["lanes"]["realtime"]["fenced"] == "stale_self"
    said = entrepot(capsys, "status", "--config", region.config)
    assert said.code == 2
    assert "stopped sending on realtime, waiting for you (fenced: stale_self)" in said.out
    planned = entrepot(capsys, "adopt", "--reason", "restored", "--json", "--config", region.config)
    assert (planned.code, planned.json()["adopted"]) == (1, False)
    assert [(row["lane"], row["hub_last"]) for row in planned.json()["plan"]] == [("realtime", 2)]
    assert "cannot be undone" in entrepot(capsys, "adopt", "--reason", "restored", "--config", region.config).out
    done = entrepot(capsys, "adopt", "--reason", "restored", "--yes", "--json", "--config", region.config)
    assert (done.code, done.json()["adopted"]) == (0, True)
    after = until_status(region, capsys, lambda status: status["lanes"]["realtime"]["acked"] == 3)
    assert after["epoch"] == 2
    assert after["lanes"]["realtime"]["fenced"] is None


def test_doctor_and_topology_see_the_streams(region: Region, capsys: pytest.CaptureFixture[str]) -> None:
    deliver(region, capsys)
    rows = {
        row["subject"]: row
        for row in entrepot(capsys, "doctor", "--json", "--config", region.config).json()["findings"]
    }
    assert rows["agent"]["found"] == "running"
    assert rows["hub"]["level"] == "ok"
    assert "stream EU-DE_REALTIME" in rows
    streams = entrepot(capsys, "topology", "--json", "--config", region.config).json()
    assert {row["lane"]: row["last"] for row in streams if row["lane"] in {"realtime", "bulk"}} == {
        "realtime": 1,
        "bulk": 0,
    }


def test_topology_apply_makes_the_streams_before_the_first_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    region = Region(tmp_path)
    anyio.run(region.hub.start)
    try:
        missing = entrepot(capsys, "topology", "show", "--json", "--config", region.config)
        assert missing.code == 1
        assert not any(row["exists"] for row in missing.json())
        entrepot(capsys, "topology", "apply", "--config", region.config)
        made = entrepot(capsys, "topology", "show", "--json", "--config", region.config).json()
        assert all(row["exists"] for row in made)
        assert not (tmp_path / "state").exists()
    finally:
        region.stop()
