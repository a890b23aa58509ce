"""One line an event, redacted and limited; a log that fails never stops the agent."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from runtime.observe.libraries import capture_libraries
from runtime.observe.log import Log, open_log
from runtime.observe.metrics import Counters

CANARY = "Erika Mustermann"


class Desk:
    """A log on a string, with a clock that the test moves."""

    def __init__(self, **options: Any) -> None:
        self.at = 0.0
        self.stream = io.StringIO()
        self.counters = Counters()
        self.log: Log = open_log(
            now_us=lambda: 1_750_000_000_000_001,
            monotonic=lambda: self.at,
            stream=self.stream,
            counters=self.counters,
            **options,
        )

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


def test_a_line_is_json_with_a_utc_time_that_carries_its_offset() -> None:
    desk = Desk(region="eu-de")
    desk.log.info("started", version="0.1")
    assert desk.stream.getvalue() == (
        '{"time":"2025-06-15T15:06:40.000001+00:00","level":"info","event":"started","region":"eu-de","version":"0.1"}\n'
    )


@pytest.mark.parametrize("say", [lambda log: log.info, lambda log: log.error, lambda log: log.limited])
def test_no_level_lets_a_partners_text_through(say: Callable[[Log], Callable[..., None]]) -> None:
    desk = Desk()
    say(desk.log)("refused", remark=CANARY, error=ValueError(CANARY), body=CANARY.encode(), deep={"x": [CANARY]})
    assert len(desk.lines()) == 1
    assert CANARY not in desk.stream.getvalue()


def test_fields_cannot_forge_the_time_the_level_or_the_event() -> None:
    desk = Desk()
    desk.log.info("started", time="2001", level="debug")
    assert desk.lines()[0]["level"] == "info"
    assert desk.lines()[0]["time"].startswith("2025")


def test_a_line_break_in_a_value_does_not_make_a_second_line() -> None:
    desk = Desk()
    desk.log.info("one\ntwo", reason="a\nb")
    assert len(desk.stream.getvalue().splitlines()) == 1


def test_repeated_errors_are_limited_and_their_end_is_told() -> None:
    desk = Desk()
    for desk.at in (0.0, 1.0, 2.0, 31.0):
        desk.log.error("hub unreachable", server="nats://hub:4222")
    desk.log.recovered("hub unreachable")
    lines = desk.lines()
    assert [line["event"] for line in lines] == [
        "hub unreachable",
        "hub unreachable",
        "hub unreachable: recovered after 4 errors",
    ]
    assert lines[1]["repeated_count"] == 2
    assert desk.counters.log_lines_suppressed == 2


def test_two_lanes_with_the_same_error_both_speak() -> None:
    desk = Desk()
    for lane in ("realtime", "bulk"):
        desk.log.bind(lane=lane).error("publish refused")
    assert [line["lane"] for line in desk.lines()] == ["realtime", "bulk"]


def test_recovery_without_an_error_is_silent() -> None:
    desk = Desk()
    desk.log.recovered("hub unreachable")
    assert desk.lines() == []


def test_the_last_silent_errors_of_a_burst_are_told_by_the_tick() -> None:
    desk = Desk()
    desk.log.error("bad signature", source="wms")
    desk.log.error("bad signature", source="wms")
    desk.at = 30.0
    desk.log.tick()
    assert desk.lines()[-1] == desk.lines()[0] | {"repeated_count": 1}


def test_the_door_for_adapters_limits_every_level_and_knows_recovery() -> None:
    desk = Desk()
    door = desk.log.door(source="legacy")
    for _ in range(3):
        door("no files", level="info")
    door("files again", recovered_from="no files")
    assert [line["event"] for line in desk.lines()] == ["no files", "no files: recovered after 3 errors"]


def test_a_level_that_does_not_exist_is_info() -> None:
    desk = Desk()
    desk.log.limited("hello", level="__class__")
    assert desk.lines()[0]["level"] == "info"


def test_lines_below_the_level_are_left_out_and_bind_keeps_the_level() -> None:
    desk = Desk(level_min="warning")
    desk.log.bind(lane="bulk").info("quiet")
    desk.log.bind(lane="bulk").warning("loud")
    assert [line["event"] for line in desk.lines()] == ["loud"]


def test_a_full_disk_behind_stderr_does_not_stop_the_agent_and_is_counted() -> None:
    class Full(io.StringIO):
        def write(self, text: str, /) -> int:
            raise OSError(28, "No space left on device")

    counters = Counters()
    log = open_log(now_us=lambda: 0, monotonic=lambda: 0.0, stream=Full(), counters=counters)
    log.info("started")
    assert counters.log_lines_lost == 1


def test_integers_and_text_that_json_libraries_refuse_are_still_written() -> None:
    desk = Desk()
    desk.log.info("odd", big=2**80, reason="\ud800")
    assert desk.lines()[0]["big"] == 2**80


def test_the_console_form_is_readable_and_redacted() -> None:
    desk = Desk(console=True)
    desk.log.warning("hub away", lane="bulk", remark=CANARY)
    assert "hub away" in desk.stream.getvalue()
    assert CANARY not in desk.stream.getvalue()


def test_what_libraries_log_arrives_without_their_arguments() -> None:
    desk = Desk()
    root = logging.getLogger()
    before = root.handlers[:], root.level
    with capture_libraries(desk.log):
        logging.getLogger("aiohttp.server").error("request from %s failed", CANARY, exc_info=ValueError(CANARY))
        logging.getLogger("nats").warning("slow consumer " + CANARY)
    assert (root.handlers[:], root.level) == before
    assert [line["library"] for line in desk.lines()] == ["aiohttp.server", "nats"]
    assert desk.lines()[0]["template"] == "request from %s failed"
    assert desk.lines()[0]["error_class"] == "ValueError"
    assert CANARY not in desk.stream.getvalue()


def test_importing_the_log_does_not_import_structlog() -> None:
    code = "import sys, runtime.observe.log, runtime.observe.metrics, runtime.observe.alerts; print('structlog' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.strip() == "False"
