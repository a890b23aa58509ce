"""A step that failed is told, and told to work again only once it has."""

from __future__ import annotations

import io

import pytest

from runtime import clock
from runtime.errors import Permanent
from runtime.observe.alert_sender import AlertSender, Origin
from runtime.observe.alerts import AlertSettings
from runtime.observe.clockwatch import Reading
from runtime.observe.log import open_log
from runtime.observe.metrics import Counters
from runtime.supervise import HEALTHY_SECONDS
from runtime.watchpost import Watchpost


class Post:
    """A watchpost whose clock stands still unless the test moves it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at = 1_000.0
        monkeypatch.setattr(clock, "monotonic", lambda: self.at)
        self.stream = io.StringIO()
        counters = Counters()
        log = open_log(now_us=lambda: 0, monotonic=lambda: self.at, stream=self.stream, counters=counters)
        sender = AlertSender(
            AlertSettings(),
            origin=Origin("eu-de", "test"),
            log=log,
            counters=counters,
            read_clocks=lambda: Reading(0, self.at),
        )
        self.watchpost = Watchpost(sender, log, counters)

    def look(self) -> list[tuple[str, str]]:
        self.watchpost._look_at_steps()
        return [(alert.name, alert.subject) for alert in self.watchpost.alerts.active()]


def test_a_failing_step_is_an_alert_until_it_has_worked_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    post = Post(monkeypatch)
    post.watchpost.step_failed("source/wms", Permanent("the folder is away"))
    for _ in range(3):
        post.at += HEALTHY_SECONDS - 1
        assert post.look() == [("step_failing", "source/wms")]
        post.watchpost.step_failed("source/wms", Permanent("the folder is away"))
    post.at += HEALTHY_SECONDS
    assert post.look() == []
    assert "recovered" in post.stream.getvalue()


def test_a_step_that_is_no_longer_wanted_is_no_alert(monkeypatch: pytest.MonkeyPatch) -> None:
    post = Post(monkeypatch)
    post.watchpost.step_failed("source/wms", Permanent("the folder is away"))
    post.watchpost.step_ended("source/wms")
    assert post.look() == []


def test_the_reason_of_an_outage_brings_its_own_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    post = Post(monkeypatch)
    post.watchpost.disconnected("certificate has expired", "Ask for a new one.")
    (alert,) = post.watchpost.alerts.active()
    assert alert.action == "Ask for a new one."
    post.watchpost.connected("nats://hub:4222", "2.15.1")
    assert post.look() == []


def test_a_record_that_the_hub_refuses_is_an_alert_until_the_lane_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    post = Post(monkeypatch)
    post.watchpost.lane("bulk", hub_last=4, notes=[])
    post.watchpost.refused("bulk", "maximum messages exceeded")
    post.watchpost.lane("bulk", hub_last=4, notes=["one copy"])
    refused, weak = post.watchpost.alerts.active()
    assert (refused.name, refused.subject) == ("lane_refused", "bulk")
    assert "maximum messages exceeded" in refused.sentence
    assert weak.sentence == "Lane bulk: one copy."
    post.watchpost.lane("bulk", hub_last=5, notes=["one copy"])
    assert post.look() == [("hub_weak", "bulk")]
