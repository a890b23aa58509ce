"""The uplink's mind against a hub that drops, delays, reorders, rolls back, vanishes and gets ghosts."""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sync.loopback import Answer, MemoryHub, MemoryStream
from sync.reconcile import Go, Make, Rewind, Stop, Wait
from sync.window import Mode
from tests.support.examples import examples
from tests.support.uplinks import STREAM, Agent, is_row, stored_rows

CONFIG: dict[str, Any] = {"name": STREAM, "subjects": ["ev.eu-de.realtime.>"], "allow_batched": True}
MODES = st.sampled_from(["fast", "single"])


def made(first: int = 1) -> MemoryStream:
    return MemoryStream(CONFIG | {"first_seq": first}, first - 1)


class UplinkMachine(RuleBasedStateMachine):
    """One agent, one hub, any number of dead connections whose bytes may still arrive."""

    @initialize(mode=MODES)
    def begin(self, mode: str) -> None:
        self.hub = MemoryHub()
        self.hub.streams[STREAM] = made()
        self.agent = Agent(self.hub, cast("Mode", mode), "a")
        self.wire: list[bytes] = []
        self.ghosts: list[list[bytes]] = []
        self.answers: list[Answer] = []
        self.fences: list[str] = []
        self.highest = 0

    # ------------------------------------------------------------ the agent

    @rule(count=st.integers(1, 12))
    def seal(self, count: int) -> None:
        self.agent.seal(count)

    @precondition(lambda self: self.agent.window is None)
    @rule()
    def look(self) -> None:
        match self.agent.look():
            case Go(position):
                assert position >= self.agent.acked, "acknowledged rows are lost and nobody says so"
                self.agent.open(position)
                self.answers.clear()
            case Rewind(to, _):
                assert to < self.agent.acked
                self.agent.acked = to
            case Stop(fence):
                self.fences.append(fence.kind)
                assert fence.kind == "hub_recreated"
                assert STREAM not in self.hub.streams
            case Make() | Wait():
                assert STREAM not in self.hub.streams
                assert self.agent.acked == 0

    @precondition(lambda self: self.agent.window is not None)
    @rule()
    def send(self) -> None:
        self.wire += self.agent.send()

    @rule()
    def report(self) -> None:
        self.agent.settle()

    @precondition(lambda self: self.agent.window is not None)
    @rule()
    def lose_patience(self) -> None:
        self.agent.window.fail("unknown", "no answer")  # type: ignore[union-attr]
        self.agent.settle()

    @rule()
    def crash(self) -> None:
        """The journal keeps what was reported; the bytes on the wire live on."""
        self.agent.window = None
        self.cut()

    # ------------------------------------------------------------ the network

    @rule()
    def cut(self) -> None:
        self.ghosts.append(self.wire)
        self.wire, self.answers = [], []
        if self.agent.window is not None:
            self.agent.window.fail("unknown", "connection lost")

    @precondition(lambda self: self.wire)
    @rule(count=st.integers(1, 20))
    def arrive(self, count: int) -> None:
        for _ in range(min(count, len(self.wire))):
            self.answers += self._publish(self.wire.pop(0))

    @precondition(lambda self: any(self.ghosts))
    @rule(data=st.data())
    def ghost_arrives(self, data: st.DataObject) -> None:
        living = [ghost for ghost in self.ghosts if ghost]
        self._publish(data.draw(st.sampled_from(living)).pop(0))

    @precondition(lambda self: self.answers)
    @rule(data=st.data())
    def hear(self, data: st.DataObject) -> None:
        place = data.draw(st.integers(0, min(3, len(self.answers) - 1)))
        answer = self.answers.pop(place)
        if self.agent.window is not None:
            self.agent.window.answer(*answer)

    @precondition(lambda self: self.answers)
    @rule()
    def lose_an_answer(self) -> None:
        self.answers.pop(0)

    def _publish(self, frame: bytes) -> list[Answer]:
        said = self.hub.publish(frame)
        stream = self.hub.streams.get(STREAM)
        self.highest = max(self.highest, stream.last if stream else 0)
        return said

    # ------------------------------------------------------------ the hub

    @precondition(lambda self: STREAM in self.hub.streams)
    @rule(data=st.data())
    def roll_back(self, data: st.DataObject) -> None:
        stream = self.hub.streams[STREAM]
        to = data.draw(st.integers(stream.first - 1, stream.last))
        self.hub.restart(lost={STREAM: to})
        self.cut()

    @precondition(lambda self: STREAM in self.hub.streams)
    @rule()
    def delete(self) -> None:
        del self.hub.streams[STREAM]
        self.hub.restart()

    @precondition(lambda self: STREAM not in self.hub.streams)
    @rule()
    def make_again(self) -> None:
        self.hub.streams[STREAM] = made(self.agent.oldest)

    # ------------------------------------------------------------ what always holds

    @invariant()
    def the_hub_holds_nothing_but_our_rows_at_their_places(self) -> None:
        held = stored_rows(self.hub)
        assert sorted(held) == list(range(min(held, default=1), min(held, default=1) + len(held)))
        for seq, stored in held.items():
            assert is_row(stored, self.agent.rows[seq - 1]), f"position {seq} holds something else"

    @invariant()
    def nothing_counts_as_stored_that_the_hub_never_held(self) -> None:
        stream = self.hub.streams.get(STREAM)
        self.highest = max(self.highest, stream.last if stream else 0)
        window = self.agent.window
        assert max(self.agent.acked, window.stored if window else 0) <= self.highest

    def teardown(self) -> None:
        """When faults end, everything sealed is at the hub."""
        if not hasattr(self, "agent"):
            return
        self.cut()
        self.hub.streams.setdefault(STREAM, made(self.agent.oldest))
        for _ in range(200):
            self.agent.settle()
            if self.agent.window is None:
                self.look()
                continue
            written = self.agent.send()
            for frame in written:
                for answer in self.hub.publish(frame):
                    self.agent.window.answer(*answer)
            if not written and self.agent.window.failure is None:
                break
        self.agent.settle()
        assert len(stored_rows(self.hub)) == self.agent.acked == len(self.agent.rows)


TestUplink = pytest.mark.model(UplinkMachine.TestCase)
TestUplink.settings = settings(
    max_examples=examples(150), stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.model
@given(data=st.data(), ours=st.integers(1, 30), theirs=st.integers(1, 30))
@settings(max_examples=examples(150))
def test_two_writers_never_mix_where_fast_ingest_is(data: st.DataObject, ours: int, theirs: int) -> None:
    """Whatever the order in which two agents' frames reach the hub, one agent's rows stand there, and only its."""
    hub = MemoryHub()
    hub.streams[STREAM] = made()
    agents = [Agent(hub, "fast", "a"), Agent(hub, "fast", "b")]
    wires: list[list[bytes]] = [[], []]
    for number, (agent, count) in enumerate(zip(agents, (ours, theirs), strict=True)):
        agent.seal(count, data=b"%d" % number)
        agent.open(0)
    for _ in range(200):
        turn = data.draw(st.integers(0, 1))
        agent, wire = agents[turn], wires[turn]
        assert agent.window is not None
        if agent.window.failure is None:
            wire += agent.send()
        if not wire:
            break
        for answer in hub.publish(wire.pop(0)):
            agent.window.answer(*answer)
    held = stored_rows(hub)
    assert held
    assert [
        all(is_row(stored, agent.rows[seq - 1]) for seq, stored in held.items() if seq <= len(agent.rows))
        and len(held) <= len(agent.rows)
        for agent in agents
    ].count(True) == 1
