"""What the doctor thinks of a hub: each weakness has its row and its next step."""

from __future__ import annotations

from typing import Any

import pytest

from sync import profile
from sync.stream import StreamInfo, StreamState

V215 = (2, 15, 1)
GOOD: dict[str, Any] = {
    "num_replicas": 3,
    "deny_delete": True,
    "deny_purge": True,
    "allow_batched": True,
    "discard": "new",
    "max_age": 0,
}
DAY_NS = 24 * 3_600 * 1_000_000_000


def info(cluster: dict[str, Any] | None = None, **change: Any) -> StreamInfo:
    return StreamInfo(config=GOOD | change, state=StreamState(messages=7), cluster=cluster or {})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"deny_purge": False}, "deny_purge"),
        ({"deny_delete": False}, "deny_delete"),
        ({"discard": "old", "max_msgs": 5}, "discard old"),
        ({"max_age": DAY_NS}, "24 h is shorter than this region's refill_hours of 72 h"),
        ({"max_msgs_per_subject": 1}, "per subject"),
        ({"storage": "memory"}, "memory"),
    ],
)
def test_a_weaker_stream_is_a_warning(change: dict[str, Any], told: str) -> None:
    found = profile.stream("S", info(**change), wrong="", server=V215, refill_hours=72)
    assert (found.level, told in found.found, bool(found.next_step)) == ("warning", True, True)


def test_a_stream_as_recommended_is_fine() -> None:
    assert profile.stream("S", info(), wrong="", server=V215, refill_hours=72).level == "ok"


def test_a_missing_stream_is_a_warning_and_one_of_somebody_else_critical() -> None:
    assert profile.stream("S", None, wrong="", server=V215, refill_hours=72).level == "warning"
    assert profile.stream("S", info(), wrong="stream S is x", server=V215, refill_hours=72).level == "critical"


def test_a_copy_that_is_away_or_behind_is_named() -> None:
    followers = [
        {"name": "b", "current": True},
        {"name": "c", "current": False},
        {"name": "d", "current": True, "offline": True},
    ]
    found = profile.stream("S", info({"leader": "a", "replicas": followers}), wrong="", server=V215, refill_hours=72)
    assert (found.level, "away or behind: c, d" in found.found) == ("warning", True)


@pytest.mark.parametrize(
    ("copies", "environment", "level"),
    [(1, "prod", "warning"), (3, "prod", "ok"), (1, "test", "ok"), (5, "prod", "ok")],
)
def test_production_needs_three_copies(copies: int, environment: str, level: str) -> None:
    found = profile.synced([info(num_replicas=copies), info(num_replicas=5)], environment)
    assert (found.level, "sync_interval" in found.found) == (level, True)


@pytest.mark.parametrize(
    ("version", "level"), [((2, 15, 1), "ok"), ((2, 16, 0), "ok"), ((2, 14, 3), "warning"), ((2, 13, 9), "critical")]
)
def test_the_servers_version_has_a_floor(version: tuple[int, int, int], level: str) -> None:
    assert profile.version(version).level == level


@pytest.mark.parametrize(("left", "level"), [(-1, "critical"), (1, "warning"), (2, "warning"), (3, "ok"), (7, "ok")])
def test_a_login_of_a_week_is_a_worry_only_when_it_was_not_renewed_at_half(left: float, level: str) -> None:
    assert profile.login(0, 7 * 86_400, (7 - left) * 86_400).level == level


@pytest.mark.parametrize(
    ("lacks", "beyond", "level", "told"),
    [
        ([], [], "ok", "exactly"),
        (["a"], [], "warning", "lacks a"),
        ([], ["a", "b", "c", "d"], "warning", "more than an agent needs: a, b, c and 1 more"),
    ],
)
def test_subjects_that_a_login_lacks_or_has_too_many_are_named(
    lacks: list[str], beyond: list[str], level: str, told: str
) -> None:
    found = profile.subjects(lacks, beyond)
    assert (found.level, told in found.found) == (level, True)


@pytest.mark.parametrize(("days", "level"), [(-1, "critical"), (3, "warning"), (90, "ok")])
def test_what_expires_is_told_in_time(days: int, level: str) -> None:
    assert profile.life("TLS", 1e9 + days * 86_400 + 60, 1e9).level == level


@pytest.mark.parametrize(
    ("reason", "step"),
    [
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired", "renewed"),
        ("certificate verify failed: Hostname mismatch, certificate is not valid for 'x'", "the name that stands in"),
        ("certificate verify failed: unable to get local issuer certificate", "tls_ca"),
        ("nats: 'Authorization Violation'", "credentials"),
        ("[Errno 111] Connection refused", "running"),
        ("no answer in time", "firewall"),
        ("something else", "network"),
    ],
)
def test_every_kind_of_failure_has_its_next_step(reason: str, step: str) -> None:
    assert step in profile.next_step(reason)


@pytest.mark.parametrize(
    ("allowed", "wanted", "level"),
    [(True, True, "ok"), (False, False, "ok"), (False, True, "critical"), (True, False, "warning")],
)
def test_a_permission_that_lacks_or_is_too_many_is_told(allowed: bool, wanted: bool, level: str) -> None:
    assert profile.permission("write", allowed=allowed, wanted=wanted).level == level


@pytest.mark.parametrize(
    ("there", "wrong", "level"),
    [(False, "", "warning"), (True, "", "ok"), (True, "it says environment prod", "critical")],
)
def test_headquarters_stream_is_headquarters_to_make_and_to_mend(there: bool, wrong: str, level: str) -> None:
    found = profile.headquarters_stream("HQ_EU-DE", info() if there else None, wrong=wrong)
    assert found.level == level
    assert wrong in found.found
    assert ("downlink" in found.next_step) == (level != "ok")
