"""A stream's settings: which make it unusable, and which are only named as weaker."""

from __future__ import annotations

from typing import Any

import pytest

from sync import topology
from tests.support.hubs import scope

V215, V210, V209 = (2, 15, 1), (2, 10, 0), (2, 9, 25)
MARKS = {"entrepot-environment": "test", "entrepot-region": "eu-de", "entrepot-lane": "realtime"}


def config(**change: Any) -> dict[str, Any]:
    """The recommended settings, changed."""
    return topology.desired(scope(), "realtime", first=1, replicas=1, version=V215) | change


def test_the_recommended_settings_are_usable_and_weaker_only_in_copies_and_syncing() -> None:
    assert topology.wrong(config(), scope(), "realtime") == ""
    (note,) = topology.weaker(config(), scope(), "realtime", V215)
    assert note.startswith("one copy, not synced")
    (note,) = topology.weaker(config(num_replicas=3), scope(), "realtime", V215)
    assert note.startswith("replicated, not synced")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"metadata": MARKS | {"entrepot-environment": "prod"}}, "says entrepot-environment is `prod`"),
        ({"metadata": MARKS | {"entrepot-region": "eu-fr"}}, "says entrepot-region is `eu-fr`"),
        ({"metadata": MARKS | {"entrepot-lane": "bulk"}}, "says entrepot-lane is `bulk`"),
        ({"metadata": None}, "says entrepot-environment is ``"),
        ({"subjects": ["ev.>"]}, "must listen on"),
        ({"subjects": None}, "listens on nothing"),
        ({"persist_mode": "async"}, "persist_mode async"),
        ({"retention": "workqueue"}, "retention workqueue"),
        ({"retention": "interest"}, "retention interest"),
        ({"mirror": {"name": "OTHER"}}, "mirrors another stream"),
        ({"sources": [{"name": "OTHER"}]}, "collects from other streams"),
        ({"subject_transform": {"src": ">", "dest": "x.>"}}, "rewrites subjects"),
        ({"sealed": True}, "is sealed"),
        ({"no_ack": True}, "does not acknowledge"),
        ({"allow_msg_counter": True}, "is a counter stream"),
    ],
)
def test_a_setting_that_could_break_a_promise_makes_the_stream_unusable(change: dict[str, Any], says: str) -> None:
    reason = topology.wrong(config(**change), scope(), "realtime")
    assert says in reason


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"storage": "memory"}, "kept in memory"),
        ({"max_age": 1}, "age out"),
        ({"discard": "old", "max_msgs": 10}, "discard old"),
        ({"discard": "old", "max_bytes": 10}, "discard old"),
        ({"max_msgs_per_subject": 1}, "per subject"),
        ({"deny_delete": False}, "can be deleted"),
        ({"deny_purge": False}, "can be deleted"),
        ({"allow_batched": False}, "fast ingest is off"),
    ],
)
def test_a_weaker_setting_is_named_and_still_usable(change: dict[str, Any], says: str) -> None:
    assert topology.wrong(config(**change), scope(), "realtime") == ""
    notes = topology.weaker(config(**change), scope(), "realtime", V215)
    assert [note for note in notes if says in note] == notes[1:]
    assert len(notes) == 2


def test_discarding_the_oldest_is_no_weakness_where_no_limit_is() -> None:
    assert len(topology.weaker(config(discard="old"), scope(), "realtime", V215)) == 1


def test_a_server_without_fast_ingest_is_not_blamed_for_it() -> None:
    old = topology.desired(scope(), "realtime", first=7, replicas=1, version=V210)
    assert "allow_batched" not in old
    assert len(topology.weaker(old, scope(), "realtime", V210)) == 1


@pytest.mark.parametrize(
    ("version", "first", "expected"), [(V215, 1, None), (V215, 7, 7), (V210, 7, 7), (V209, 7, None)]
)
def test_a_stream_begins_where_refill_begins(version: tuple[int, int, int], first: int, expected: int | None) -> None:
    wanted = topology.desired(scope(), "realtime", first=first, replicas=1, version=version)
    assert wanted.get("first_seq") == expected


def test_the_checkpoints_have_a_subject_of_their_own() -> None:
    assert topology.subjects("eu-de", "checkpoints") == ["cp.eu-de"]
    assert topology.subjects("eu-de", "realtime") == ["ev.eu-de.realtime.>"]
