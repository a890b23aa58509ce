"""What a fuzzing campaign is: so many inputs from a seed, each judged, and what was found with the input that shows it."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

FINDINGS_MAX = 20
Told = Callable[[int], None]
"""Called now and then with the number of inputs tried so far."""
TELL_EVERY = 1_000


@dataclass
class Result:
    """What became of the inputs of one campaign."""

    name: str
    seed: int
    inputs: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    """How often each outcome was seen: a campaign whose inputs all end the same way tries nothing."""
    findings: list[str] = field(default_factory=list)

    def count(self, outcome: str, told: Told) -> None:
        self.inputs += 1
        self.outcomes[outcome] += 1
        if self.inputs % TELL_EVERY == 0:
            told(self.inputs)

    def find(self, what: str, given: object, error: BaseException | None = None) -> None:
        """Keep what was found, with the whole input."""
        if len(self.findings) < FINDINGS_MAX:
            trace = "" if error is None else "".join(traceback.format_exception(error))
            self.findings.append(f"{self.name}, seed {self.seed}, input {self.inputs}: {what}\n{given!r}\n{trace}")

    @property
    def said(self) -> str:
        shares = ", ".join(f"{outcome} {count:,}" for outcome, count in self.outcomes.most_common())
        return f"{self.name}: {self.inputs:,} inputs, seed {self.seed}, {len(self.findings)} findings ({shares})"
