"""A clock that jumps an hour back and ten years forward: the order stays, and the same key gets the same receipt."""

from __future__ import annotations

from pathlib import Path

import anyio

from runtime import clock
from runtime.certify import scratch, subject
from runtime.certify.ground import Finding, Ground, Told, judged, problems, receipts
from runtime.kernel import open_kernel

HOUR_US = 3_600_000_000
JUMPS_US = (0, -HOUR_US, 10 * 365 * 24 * HOUR_US, 0)
MESSAGES = 10
SHOWS_NOT = "The program's clock is moved, not the host's: other programs on this host must not feel it."


def run(ground: Ground) -> Finding:
    """Messages under each clock, every one of them sent again under the next."""
    home = ground.folder / "clock"
    home.mkdir()
    rounds = anyio.run(_rounds, home)
    told = [receipt for fresh, _ in rounds for receipt in fresh]
    wrong = problems(home, told)
    if [receipt.seq for receipt in told] != list(range(1, len(told) + 1)):
        wrong.append("the order of acceptance followed the clock")
    for number, (_, again) in enumerate(rounds):
        if again != told[: len(again)]:
            wrong.append(f"after jump {number} a repeated message got another receipt")
    return judged(
        "clock",
        wrong,
        f"through {len(JUMPS_US) - 1} jumps the order stayed, and each of {len(told)} messages kept its receipt",
        figures={"jumps": len(JUMPS_US) - 1, "receipts": len(told)},
        shows_not=SHOWS_NOT,
    )


async def _rounds(home: Path) -> list[tuple[list[Told], list[Told]]]:
    """(new receipts, those of everything sent before, sent again) under each clock."""
    true_now = clock.now_us
    rounds = []
    async with open_kernel(scratch.configuration(home, subject.REGION)) as kernel:
        try:
            for number, jump in enumerate(JUMPS_US):
                clock.now_us = lambda jump=jump: true_now() + jump  # type: ignore[misc]
                again: list[str] = []
                for known in range(1, number * MESSAGES + 1):
                    await subject.accept(kernel, known, again.append)
                fresh: list[str] = []
                for new in range(number * MESSAGES + 1, (number + 1) * MESSAGES + 1):
                    await subject.accept(kernel, new, fresh.append)
                rounds.append((receipts(fresh), receipts(again)))
        finally:
            clock.now_us = true_now
    return rounds
