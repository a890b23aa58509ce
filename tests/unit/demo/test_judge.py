"""The judge of the demo is not blind: every kind of loss, surplus and confusion changes the verdict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from runtime.demo.judge import Evidence, HubLane, Place, compare
from runtime.demo.ledger import Ledger
from runtime.ports import LaneVerdict, Verdict


class Case:
    """Two events, one ignored message and one letter, all as it should be."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.ledger.accept("wms", 1, 1, events=1, letter=False)
        self.ledger.accept("wms", 1, 2, events=1, letter=False)
        self.ledger.accept("wms", 1, 3, events=0, letter=False)
        self.ledger.accept("wms", 1, 4, events=0, letter=True)
        self.letters: list[Place] = [(1, 4)]
        self.status: dict[str, Any] = {
            "balanced": True, "pending": 0, "untranslated": 0, "facts": 4, "lanes": {"realtime": {"acked": 2}},
        }  # fmt: skip
        self.evidence = Evidence(
            lanes={"realtime": HubLane(origins=["1.1.0", "1.2.0"], last=2)},
            verdict=Verdict(region="eu-de", ok=True, lanes=[self.lane()], checkpoints=1),
            sealed={"realtime": (2, "c2")},
            journal_problems=[],
        )

    def lane(self, **changed: Any) -> LaneVerdict:
        whole = {"lane": "realtime", "first": 1, "last": 2, "records": 2, "withheld": 0, "epochs": [1], "chain": "c2"}
        return LaneVerdict(**(whole | changed))

    def see(self, **changed: Any) -> None:
        self.evidence = msgspec.structs.replace(self.evidence, **changed)

    def at_hub(self, *origins: str, last: int = 2) -> None:
        self.see(lanes={"realtime": HubLane(origins=list(origins), last=last)})

    def verdict(self, *, others: bool = False) -> list[str]:
        return compare(self.ledger, self.status, self.letters, self.evidence, others=others)


def test_everything_as_it_should_be_has_no_problem() -> None:
    assert Case().verdict() == []


DEFECTS: dict[str, Callable[[Case], None]] = {
    "an event is lost": lambda c: c.at_hub("1.1.0", last=1),
    "an event stands twice": lambda c: c.at_hub("1.1.0", "1.1.0"),
    "an event is replaced by a stranger": lambda c: c.at_hub("1.1.0", "1.9.0"),
    "an ignored message arrived": lambda c: c.at_hub("1.1.0", "1.2.0", "1.3.0", last=3),
    "one output of another message is too many": lambda c: c.at_hub("1.1.0", "1.1.1"),
    "a hole in the stream": lambda c: c.at_hub("1.1.0", "1.2.0", last=3),
    "a letter is missing": lambda c: c.letters.clear(),
    "an accepted message became a letter": lambda c: c.letters.append((1, 3)),
    "a letter nobody knows": lambda c: c.letters.append((1, 9)),
    "the books do not balance": lambda c: c.status.update(balanced=False),
    "something is pending": lambda c: c.status.update(pending=1),
    "a message nobody has a receipt for": lambda c: c.status.update(facts=5),
    "a receipt without a message": lambda c: c.ledger.accept("wms", 1, 5, events=0, letter=False),
    "one receipt for two messages": lambda c: c.ledger.accept("wms", 1, 1, events=1, letter=False),
    "acknowledged less than sealed": lambda c: c.status["lanes"]["realtime"].update(acked=1),
    "another chain at the hub": lambda c: c.see(sealed={"realtime": (2, "xx")}),
    "the reader found a problem": lambda c: c.see(
        verdict=Verdict(region="eu-de", ok=False, lanes=[c.lane(problems=["record 2 was changed"])], checkpoints=1)
    ),
    "the reader is not satisfied": lambda c: c.see(
        verdict=Verdict(region="eu-de", ok=False, lanes=[c.lane()], checkpoints=0)
    ),
    "the reader did not see the lane": lambda c: c.see(
        verdict=Verdict(region="eu-de", ok=True, lanes=[], checkpoints=1)
    ),
    "the journal is damaged": lambda c: c.see(journal_problems=["record 1 is missing"]),
    "a partner complained": lambda c: c.ledger.complain("a repeat became another receipt"),
}  # fmt: skip


@pytest.mark.parametrize("spoil", DEFECTS.values(), ids=DEFECTS.keys())
def test_a_defect_is_seen(spoil: Callable[[Case], None]) -> None:
    case = Case()
    spoil(case)
    assert case.verdict()


def test_messages_that_people_sent_by_hand_are_no_problem_but_losses_still_are() -> None:
    case = Case()
    case.status["facts"] = 5
    case.status["lanes"]["realtime"]["acked"] = 3
    case.see(
        lanes={"realtime": HubLane(origins=["1.1.0", "1.2.0", "1.5.0"], last=3)},
        sealed={"realtime": (3, "c2")},
    )
    assert case.verdict(others=True) == []
    del case.ledger.receipts[1, 1]
    case.ledger.accept("wms", 1, 6, events=1, letter=False)
    assert case.verdict(others=True)


def test_an_epoch_record_is_nobodys_message() -> None:
    case = Case()
    case.at_hub("1.1.0", "1.2.0", "2.0.0", last=3)
    case.status["lanes"]["realtime"]["acked"] = 3
    case.see(sealed={"realtime": (3, "c2")})
    assert case.verdict() == []
