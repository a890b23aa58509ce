"""No sequence of documents, crashes and decisions makes an agent go back, or run what nobody has signed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import Refused
from runtime.fleet import lifecycle, signing
from runtime.fleet.documents import REVISION, TIMESTAMP, Revision, Timestamp
from runtime.fleet.lifecycle import Failed, Limits, Override, Passed, Reading, State, Trial
from tests.support import fleet

RELEASE, REGIONAL, STRANGER = fleet.new_key(), fleet.new_key(), fleet.new_key()
SIGNERS = {"release": RELEASE, "regional": REGIONAL, "stranger": STRANGER}
NOW_US = lifecycle.instant_us(fleet.at())
LIMITS = Limits(intake_seconds_max=20.0, hub_seconds_max=540.0, soak_seconds=60.0)
WELL, DEAF, BROKEN = Reading(), Reading(hub="away"), Reading(intake="broken")


class Agent:
    """What the steward does with documents, without its disk and network: the state alone survives a crash."""

    def __init__(self) -> None:
        self.state = State()
        self.ran: list[int] = []
        """Every version that was ever in force, in order."""
        self.authentic: set[int] = {0}
        """Versions of which a signed revision was seen."""

    def timestamp(self, version: int, signer: str, seconds: float, content: int) -> None:
        document = signing.sign(RELEASE, REVISION, _revision(version, content))
        said = fleet.timestamp(version, document, seconds=seconds)
        signed = signing.sign(SIGNERS[signer], TIMESTAMP, said)
        try:
            known = signing.read(signed, TIMESTAMP, Timestamp, keys=[RELEASE.public_key], **_HERE)
            expires_us = lifecycle.instant_us(known.expires_at)
            self.state = lifecycle.offer(self.state, known, expires_us=expires_us, now_us=NOW_US)
        except Refused as error:
            self.state = lifecycle.complain(self.state, str(error))

    def revision(self, version: int, signer: str, content: int) -> None:
        if self.state.stage != "offered":
            return
        document = signing.sign(SIGNERS[signer], REVISION, _revision(version, content))
        try:
            known = signing.read(document, REVISION, Revision, keys=[RELEASE.public_key, REGIONAL.public_key], **_HERE)
            digest = signing.digest(document)
            self.state = lifecycle.verify(self.state, known, digest, regional=signer == "regional")
        except Refused:
            return
        self.authentic.add(version)

    def step(self) -> None:
        if self.state.stage == "verified":
            self.state = lifecycle.stage(self.state, "changes nothing")
        elif self.state.stage == "staged":
            try:
                self.state = lifecycle.begin(self.state, now_us=NOW_US)
            except Refused as error:
                self.state = lifecycle.postpone(self.state, str(error))

    def judge(self, well: bool) -> None:
        if self.state.stage == "provisional":
            self.state = lifecycle.confirm(self.state) if well else lifecycle.revert(self.state, "broken")

    def restart(self, orderly: bool) -> None:
        if orderly:
            self.state = lifecycle.leave(self.state, 1.0)
        self.state = lifecycle.start(self.state, hub_seconds_max=540.0, now_us=NOW_US)

    def look(self) -> None:
        self.ran.append(lifecycle.in_force(self.state))


_HERE: dict[str, Any] = {"environment": "test", "region": fleet.REGION}


def _revision(version: int, content: int) -> Revision:
    return Revision(
        environment="test", region=fleet.REGION, issued_at="2026-03-02T08:14:09+00:00", version=version,
        settings={"gateway": {"burst": content}}, by="ada",
    )  # fmt: skip


VERSIONS, CONTENTS = st.integers(1, 6), st.integers(1, 2)
EVENTS = st.one_of(
    st.tuples(st.just("timestamp"), VERSIONS, st.sampled_from(list(SIGNERS)), st.sampled_from([-60.0, 60.0]), CONTENTS),
    st.tuples(st.just("timestamp"), VERSIONS, st.just("release"), st.just(60.0), st.just(1)),
    st.tuples(st.just("revision"), VERSIONS, st.sampled_from(list(SIGNERS)), CONTENTS),
    st.tuples(st.just("revision"), VERSIONS, st.just("release"), st.just(1)),
    st.tuples(st.just("step")),
    st.tuples(st.just("judge"), st.booleans()),
    st.tuples(st.just("restart"), st.booleans()),
)


@given(st.lists(EVENTS, max_size=60))
def test_no_sequence_makes_an_agent_go_back_or_run_an_unsigned_one(events: list[tuple[Any, ...]]) -> None:
    agent = Agent()
    for name, *arguments in events:
        before = agent.state
        getattr(agent, name)(*arguments)
        agent.look()
        state = agent.state
        assert lifecycle.in_force(state) in agent.authentic, "what nobody has signed is in force"
        assert state.seen >= before.seen, "the high-water mark fell"
        assert state.version >= before.version, "an older version was taken up"
        assert state.confirmed >= before.confirmed, "the last known good went back"
        assert not (state.stage == "provisional" and state.version in state.failed), "a failed version is tried again"
        if lifecycle.in_force(state) < lifecycle.in_force(before):
            assert before.version in state.failed, "it went back without a failed trial"


@given(st.lists(EVENTS, max_size=60), st.sampled_from([True, False]))
def test_whatever_happened_a_higher_version_gets_through(events: list[tuple[Any, ...]], orderly: bool) -> None:
    agent = Agent()
    for name, *arguments in events:
        getattr(agent, name)(*arguments)
    agent.judge(well=False)
    agent.restart(orderly)
    agent.timestamp(7, "release", 60.0, 1)
    agent.revision(7, "release", 1)
    agent.step()
    agent.step()
    agent.judge(well=True)
    assert (agent.state.stage, lifecycle.in_force(agent.state), agent.state.complaint) == ("confirmed", 7, "")


def staged(version: int = 1, **more: Any) -> State:
    return State(
        seen=version, expires_us=NOW_US + 1, stage="staged", version=version, digest="d", digests={version: "d"}, **more
    )


@pytest.mark.parametrize(
    ("readings", "verdict"),
    [
        ([(0, WELL), (59, WELL)], Trial),
        ([(0, WELL), (60, WELL)], Passed),
        ([(0, WELL), (50, DEAF), (61, WELL), (120, WELL)], Trial),
        ([(0, WELL), (50, DEAF), (61, WELL), (121, WELL)], Passed),
        ([(0, BROKEN), (19, BROKEN)], Trial),
        ([(0, BROKEN), (20, BROKEN)], Failed),
        ([(0, BROKEN), (19, WELL), (25, BROKEN), (44, BROKEN)], Trial),
        ([(5, DEAF), (539, DEAF)], Trial),
        ([(5, DEAF), (540, DEAF)], Failed),
        ([(500, WELL), (540, WELL)], Failed),
    ],
)
def test_a_trial_passes_after_a_soak_without_a_break_and_fails_in_time(
    readings: list[tuple[float, Reading]], verdict: type
) -> None:
    found: Any = Trial()
    for now, reading in readings:
        assert isinstance(found, Trial)
        found = lifecycle.judge(found, reading, LIMITS, now=1_000 + now, spent=now)
    assert type(found) is verdict


def test_what_is_not_confirmed_says_what_was_missing() -> None:
    found = lifecycle.judge(Trial(), DEAF, LIMITS, now=0, spent=540)
    assert isinstance(found, Failed)
    assert found.reason == "not confirmed within 540 s: away"


def test_a_trial_that_ended_its_process_is_taken_back_and_an_orderly_stop_goes_on() -> None:
    state = lifecycle.begin(staged(), now_us=NOW_US)
    crashed = lifecycle.start(state, hub_seconds_max=540.0, now_us=NOW_US)
    assert (crashed.stage, crashed.failed, lifecycle.in_force(crashed)) == ("reverted", [1], 0)
    stopped = lifecycle.start(lifecycle.leave(state, 100.0), hub_seconds_max=540.0, now_us=NOW_US)
    assert (stopped.stage, stopped.clean, lifecycle.in_force(stopped)) == ("provisional", False, 1)
    late = lifecycle.start(lifecycle.leave(state, 540.0), hub_seconds_max=540.0, now_us=NOW_US)
    assert late.stage == "reverted"


def test_an_expired_word_begins_no_trial() -> None:
    with pytest.raises(Refused, match="frozen"):
        lifecycle.begin(staged(), now_us=NOW_US + 2)


def test_an_override_holds_back_a_trial_ends_one_and_is_over_in_time() -> None:
    wanted = Override(until_us=NOW_US + 10, reason="stocktaking")
    with pytest.raises(Refused, match="override"):
        lifecycle.begin(lifecycle.override(staged(), wanted), now_us=NOW_US)
    begun = lifecycle.begin(staged(), now_us=NOW_US)
    ended = lifecycle.override(begun, wanted)
    assert (ended.stage, ended.failed, lifecycle.in_force(ended)) == ("reverted", [1], 0)
    assert lifecycle.start(ended, hub_seconds_max=540.0, now_us=NOW_US + 10).override is None


def test_only_a_version_with_a_slot_can_be_pinned() -> None:
    first = lifecycle.confirm(lifecycle.begin(staged(1), now_us=NOW_US))
    second = lifecycle.confirm(lifecycle.begin(staged(2, confirmed=first.confirmed), now_us=NOW_US))
    pinned = lifecycle.override(second, Override(until_us=NOW_US + 10, reason="r", version=1))
    assert lifecycle.in_force(pinned) == 1
    assert lifecycle.kept(pinned) == {1, 2}
    with pytest.raises(Refused, match="no slot with version 9"):
        lifecycle.override(second, Override(until_us=NOW_US + 10, reason="r", version=9))


def test_an_instant_without_offset_is_refused() -> None:
    with pytest.raises(Refused, match="no instant with an offset"):
        lifecycle.instant_us("2026-03-02T08:14:09")
