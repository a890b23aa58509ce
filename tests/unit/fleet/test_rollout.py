"""Waves: whatever regions report and in whatever order, nothing grows past a broken one, and going back is always possible."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from runtime.fleet.judgement import Limits
from runtime.fleet.rollout import (
    OPEN,
    Freeze,
    Rollout,
    Step,
    abort,
    advance,
    find_orders,
    judge_all,
    make_waves,
    offered,
    pause,
    resume,
)
from runtime.fleet.sight import Sight
from tests.support.sights import NOW, SECOND, sight, status

LIMITS = Limits(soak_seconds=600)


def regions(count: int) -> list[str]:
    return [f"r-{number:02}" for number in range(count)]


def rollout(count: int = 10, *, limits: Limits = LIMITS, **more: Any) -> Rollout:
    names = regions(count)
    said = {"id": "one", "state": "running", "waves": make_waves(names, [1, 10, 50, 100])}
    return Rollout(**(said | more), target=dict.fromkeys(names, 2), before=dict.fromkeys(names, 1), limits=limits)


def everybody(count: int = 10, **more: Any) -> dict[str, Sight]:
    shown: dict[str, Any] = {"offered": 1, "highest": 2, "status": status("confirmed", 1, confirmed=1)}
    return {name: sight(name, **(shown | more)) for name in regions(count)}


def confirm(sights: dict[str, Sight], names: list[str], version: int = 2) -> dict[str, Sight]:
    confirmed = status("confirmed", version, confirmed=version)
    done = {name: msgspec.structs.replace(sights[name], offered=version, status=confirmed) for name in names}
    return sights | done


@given(st.integers(1, 300), st.lists(st.floats(0.1, 100), max_size=6))
def test_waves_hold_everybody_once_in_order_and_none_is_empty(count: int, percents: list[float]) -> None:
    waves = make_waves(regions(count), percents)
    assert [region for wave in waves for region in wave] == regions(count)
    assert all(waves)


@pytest.mark.parametrize(
    ("count", "sizes"), [(1, [1]), (3, [1, 1, 1]), (50, [1, 4, 20, 25]), (200, [2, 18, 80, 100]), (4, [1, 1, 1, 1])]
)
def test_the_usual_waves(count: int, sizes: list[int]) -> None:
    assert [len(wave) for wave in make_waves(regions(count), [1, 10, 50, 100])] == sizes


def test_a_good_change_goes_through_all_waves_and_soaks_in_each() -> None:
    state, sights, now, said = rollout(), everybody(), NOW, []
    for _ in range(40):
        sights = {name: msgspec.structs.replace(one, heard_us=now) for name, one in sights.items()}
        step = advance(state, sights, [], now)
        state, now = step.rollout, now + 300 * SECOND
        said += [step.what] if step.what else []
        sights = confirm(sights, [order.region for order in find_orders(state, sights)])
    assert state.state == "done"
    waves = len(state.waves)
    assert said == ["rollout.wave", "rollout.soak"] * waves + ["rollout.done"]
    assert all(one.confirmed == 2 for one in sights.values())


def begun(count: int = 10, **more: Any) -> tuple[Rollout, dict[str, Sight]]:
    """The first wave is offered."""
    step = advance(rollout(count, **more), everybody(count), [], NOW)
    assert step.what == "rollout.wave"
    return step.rollout, confirm(everybody(count), [])


def test_a_reverted_region_stops_everything_and_gets_its_old_content_under_a_higher_version() -> None:
    state, sights = begun()
    first = state.waves[0][0]
    sights[first] = sight(first, offered=2, highest=7, status=status("reverted", 2, confirmed=1, reason="no intake"))
    step = advance(state, sights, [], NOW)
    assert (step.what, step.rollout.state, step.rollout.wave) == ("rollout.abort", "aborting", 0)
    assert "no intake" in step.rollout.reason
    assert step.rollout.fates == {first: "broken: reverted: no intake"}
    (order,) = find_orders(step.rollout, sights)
    assert (order.region, order.version, order.content_of) == (first, 8, 1)
    meanwhile = status("verified", 8, confirmed=1, failed=[2])
    on_its_way = sights | {first: sight(first, offered=8, highest=8, status=meanwhile)}
    assert advance(step.rollout, on_its_way, [], NOW).fates[first].reason == "reverted: no intake", "why it broke stays"
    ended = advance(step.rollout, sights | {first: sight(first, offered=8)}, [], NOW)
    assert (ended.what, ended.rollout.state) == ("rollout.aborted", "aborted")


def test_a_wave_may_bear_some_broken_ones_if_it_was_told_so() -> None:
    limits = Limits(soak_seconds=0, broken_percent_max=50)
    state = rollout(4, limits=limits, waves=[regions(4)], wave_since_us=NOW)
    sights = confirm(everybody(4), regions(4))
    bad = status("rejected", 2, confirmed=1, reason="x")
    for name in regions(4)[:2]:
        sights[name] = msgspec.structs.replace(sights[name], status=bad)
    assert advance(state, sights, [], NOW).what == "rollout.soak"
    sights["r-02"] = msgspec.structs.replace(sights["r-02"], status=bad)
    assert advance(state, sights, [], NOW).what == "rollout.abort"


def test_a_region_of_an_earlier_wave_that_breaks_later_stops_it_too() -> None:
    state = rollout(wave=2, wave_since_us=NOW)
    early = state.waves[0][0]
    sights = everybody() | {early: sight(early, offered=2, status=status("reverted", 2, confirmed=1, reason="late"))}
    step = advance(state, sights, [], NOW)
    assert step.what == "rollout.abort"
    assert set(step.rollout.back) == {early, *state.waves[2]}


def test_a_wave_that_nobody_can_be_reached_in_is_not_followed_by_another() -> None:
    state, _ = begun(limits=Limits(soak_seconds=0, unreachable_percent_max=100))
    away = everybody(heard_us=1)
    for seconds in range(0, 100_000, 10_000):
        step = advance(state, away, [], NOW + seconds * SECOND)
        assert (step.what, step.rollout.wave) == ("", 0)
        assert "nobody has confirmed" in step.says


def test_regions_out_of_reach_are_counted_apart_and_a_wave_waits_for_too_many() -> None:
    state = rollout(4, waves=[regions(3), regions(4)[3:]], limits=Limits(soak_seconds=0), wave_since_us=NOW)
    sights = confirm(everybody(4, heard_us=1), regions(2)) | {"r-02": sight("r-02", heard_us=1)}
    sights |= {name: msgspec.structs.replace(sights[name], heard_us=NOW) for name in regions(2)}
    assert advance(state, sights, [], NOW).what == "rollout.soak"
    sights["r-01"] = sight("r-01", heard_us=1)
    step = advance(state, sights, [], NOW)
    assert (step.what, step.says) == ("", "2 of 3 cannot be reached: the wave waits for them")


def test_a_vetoed_region_is_offered_nothing_and_holds_nobody_up() -> None:
    state = rollout(2, waves=[["r-00"], ["r-01"]], limits=Limits(soak_seconds=0))
    sights = everybody(2) | {"r-00": sight("r-00", offered=1, veto="stocktaking")}
    begun_ = advance(state, sights, [], NOW).rollout
    assert find_orders(begun_, sights) == []
    soaking = advance(begun_, sights, [], NOW).rollout
    assert advance(soaking, sights, [], NOW).rollout.wave == 1


def test_a_freeze_holds_new_waves_and_no_going_back() -> None:
    freeze = Freeze(since_us=NOW, until_us=NOW + SECOND, reason="peak", regions=frozenset({"r-00"}), until="later")
    step = advance(rollout(), everybody(), [freeze], NOW)
    assert (step.what, step.says) == ("", "wave 1 of 4 waits: frozen until later (peak)")
    assert advance(rollout(), everybody(), [freeze], NOW + SECOND).what == "rollout.wave"
    state, sights = begun()
    sights["r-00"] = sight("r-00", offered=2, status=status("reverted", 2, confirmed=1))
    everything = Freeze(since_us=0, until_us=NOW * 2, reason="peak")
    assert find_orders(advance(state, sights, [everything], NOW).rollout, sights) != []


def test_a_pause_holds_the_next_wave_and_a_broken_one_still_stops_it() -> None:
    state, sights = begun()
    held = pause(state, "lunch").rollout
    assert find_orders(held, sights) == []
    assert advance(held, confirm(sights, state.waves[0]), [], NOW + 1_000 * SECOND).what == ""
    broken = sights | {"r-00": sight("r-00", offered=2, status=status("rejected", 2, reason="x"))}
    assert advance(held, broken, [], NOW).what == "rollout.abort"
    assert resume(held).rollout.state == "running"


def test_an_order_that_was_carried_out_is_not_given_again() -> None:
    state, sights = begun()
    assert [order.region for order in find_orders(state, sights)] == state.waves[0]
    assert find_orders(state, confirm(sights, state.waves[0])) == []


def test_going_back_leaves_alone_what_has_something_newer_since() -> None:
    done = rollout(2, state="done", waves=[regions(2)], wave_since_us=NOW)
    sights = confirm(everybody(2), regions(2)) | {"r-01": sight("r-01", offered=5, highest=5)}
    assert abort(done, sights, "x", NOW, whole=True).rollout.back == {"r-00": 3}


def test_the_state_survives_the_audit() -> None:
    state, sights = begun()
    stopped = abort(state, sights, "x", NOW, whole=True).rollout
    for one in (state, stopped):
        assert msgspec.convert(msgspec.json.decode(msgspec.json.encode(one)), Rollout) == one


STAGES = ("offered", "verified", "staged", "provisional", "confirmed", "reverted", "rejected")


class AnySchedule(RuleBasedStateMachine):
    """Regions report what they like, when they like; people and freezes come and go; orders are done late or twice."""

    @initialize(count=st.integers(1, 30), soak=st.sampled_from([0, 300]), borne=st.sampled_from([0.0, 0.0, 20.0]))
    def begin(self, count: int, soak: int, borne: float) -> None:
        self.now = NOW
        self.state = rollout(count, limits=Limits(soak_seconds=soak, broken_percent_max=borne))
        self.sights = everybody(count)
        self.freezes: list[Freeze] = []
        self.history: dict[str, list[int]] = {name: [1] for name in regions(count)}

    @rule(seconds=st.integers(0, 2_000))
    def wait(self, seconds: int) -> None:
        self.now += seconds * SECOND

    @rule(data=st.data())
    def report(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.sights)))
        stage = data.draw(st.sampled_from(STAGES))
        one = self.sights[name]
        version = data.draw(st.sampled_from([one.offered, *self.history[name]]))
        confirmed = version if stage == "confirmed" else one.confirmed
        said = status(
            stage, version, confirmed=confirmed, reason=data.draw(st.sampled_from(["", "x", "regional veto:"]))
        )
        self.sights[name] = msgspec.structs.replace(one, status=said, heard_us=self.now)

    @rule()
    def all_that_were_offered_it_confirm(self) -> None:
        for name, one in self.sights.items():
            if one.offered >= 2:
                said = status("confirmed", one.offered, confirmed=one.offered)
                self.sights[name] = msgspec.structs.replace(one, status=said, heard_us=self.now)

    @rule()
    def the_wave_goes_well(self) -> None:
        for _ in range(3):
            self.all_that_were_offered_it_confirm()
            self.step(obeys=True)
            self.wait(700)

    @precondition(lambda self: offered(self.state))
    @rule(data=st.data(), stage=st.sampled_from(["reverted", "rejected"]))
    def one_that_was_offered_it_breaks(self, data: st.DataObject, stage: str) -> None:
        name = data.draw(st.sampled_from(offered(self.state)))
        said = status(stage, self.state.target[name], confirmed=1, reason="x")
        self.sights[name] = msgspec.structs.replace(self.sights[name], status=said, heard_us=self.now)

    @rule(data=st.data(), veto=st.sampled_from(["", "no"]))
    def veto(self, data: st.DataObject, veto: str) -> None:
        name = data.draw(st.sampled_from(sorted(self.sights)))
        self.sights[name] = msgspec.structs.replace(self.sights[name], veto=veto)

    @rule(frozen=st.booleans())
    def freeze(self, frozen: bool) -> None:
        self.freezes = [Freeze(since_us=0, until_us=NOW * 2, reason="x")] if frozen else []

    @precondition(lambda self: self.state.state == "running")
    @rule()
    def pause(self) -> None:
        self.state = pause(self.state, "x").rollout

    @precondition(lambda self: self.state.state == "paused")
    @rule()
    def resume(self) -> None:
        self.state = resume(self.state).rollout

    @rule(obeys=st.booleans())
    def step(self, obeys: bool) -> None:
        before, fates = self.state, judge_all(self.state, self.sights, self.now)
        step = advance(before, self.sights, self.freezes, self.now)
        self._grew_past_nothing_broken(before, step, {name: fate.word for name, fate in fates.items()})
        if obeys:
            self.state = step.rollout  # else: the desk died before it wrote that down
        for order in find_orders(self.state, self.sights):
            assert order.region in offered(self.state)
            self.history[order.region].append(order.version)
            one = self.sights[order.region]
            self.sights[order.region] = msgspec.structs.replace(
                one, offered=order.version, highest=max(one.highest, order.version)
            )

    def _grew_past_nothing_broken(self, before: Rollout, step: Step, words: dict[str, str]) -> None:
        bad = [name for name, word in words.items() if word == "broken"]
        more = set(offered(step.rollout)) - set(offered(before))
        if before.limits.broken_percent_max == 0 and bad:
            assert not more
            assert before.state not in {"running", "paused"} or step.rollout.state == "aborting"
        if more:
            assert not self.freezes
            assert before.state == "running"
            assert "pending" not in [words[name] for name in before.waves[before.wave] if name in words]

    @invariant()
    def versions_only_grow(self) -> None:
        for versions in getattr(self, "history", {}).values():
            assert all(later > earlier for earlier, later in pairwise(versions)), versions

    @invariant()
    def stopping_is_always_possible_and_brings_everybody_back(self) -> None:
        state = getattr(self, "state", None)
        if state is None or state.state not in OPEN or state.state == "aborting":
            return
        stopped, sights = abort(state, self.sights, "x", self.now, whole=True).rollout, dict(self.sights)
        for order in find_orders(stopped, sights):
            assert order.content_of == 1
            sights[order.region] = msgspec.structs.replace(sights[order.region], offered=order.version)
        assert advance(stopped, sights, self.freezes, self.now).rollout.state == "aborted"
        left = [name for name in offered(stopped) if sights[name].offered == 2]
        assert left == []


TestAnySchedule = pytest.mark.model(AnySchedule.TestCase)
TestAnySchedule.settings = settings(max_examples=60, stateful_step_count=25)
