"""The agents' dry run as `entrepot fleet plan|apply|rollout` ask for it and show it."""

from __future__ import annotations

from argparse import ArgumentParser
from collections import Counter
from typing import TYPE_CHECKING

from runtime.errors import Refused

if TYPE_CHECKING:
    from runtime.headquarters.office import Office
    from runtime.headquarters.proposal import Proposal
    from runtime.headquarters.rehearsal import Rehearsed

WAIT_SECONDS = 30.0
WORDS = {
    "ready": ("would take it", "ok"),
    "waits": ("not now", "warning"),
    "silent": ("no answer", "warning"),
    "older": ("cannot say", "warning"),
    "refused": ("refused", "critical"),
    "not believed": ("not believed", "critical"),
}
"""State → how it is told, and how bad that is."""
_ANYWAY = "mend it, or leave the region out; --no-rehearsal offers it without asking"


def wait_argument(parser: ArgumentParser) -> None:
    """--wait."""
    parser.add_argument(
        "--wait", type=float, default=WAIT_SECONDS, metavar="SECONDS", help="for each agent's dry run (default 30)"
    )


def pass_argument(parser: ArgumentParser) -> None:
    """--no-rehearsal, of what asks the agents by itself."""
    parser.add_argument("--no-rehearsal", action="store_true", help="do not ask the agents for a dry run before")
    wait_argument(parser)


async def rehearsed(office: Office, proposals: list[Proposal], *, seconds_max: float) -> list[Rehearsed]:
    """Of all that may go."""
    from runtime.headquarters.rehearsal import rehearse

    return await rehearse(office, proposals, seconds_max=seconds_max)


def show(found: list[Rehearsed]) -> None:
    """A region a row, and what it comes to."""
    from runtime.cli import screen

    if not found:
        return
    screen.table(("region", "dry run", "what its agent says"), [(r.region, WORDS[r.state][0], r.reason) for r in found])
    for state, count in Counter(one.state for one in found).items():
        word, level_of = WORDS[state]
        screen.say(f"{count} of {len(found)}: {word}", level_of)


def as_plain(found: list[Rehearsed]) -> dict[str, dict[str, str]]:
    """For programs: region → what came of it."""
    return {one.region: {"state": one.state, "reason": one.reason} for one in found}


def level(found: list[Rehearsed]) -> int:
    """0, 1 or 2, as an exit code."""
    levels = {WORDS[one.state][1] for one in found}
    return 2 if "critical" in levels else 1 if "warning" in levels else 0


def check(found: list[Rehearsed]) -> None:
    """Who does not answer is asked again by the offer itself. Raises `Refused` for who says no, or is not believed."""
    against = [one for one in found if WORDS[one.state][1] == "critical"]
    if against:
        first, more = against[0], len(against) - 1
        others = f" (and {more} more)" if more else ""
        raise Refused(f"{first.region}: {WORDS[first.state][0]}: {first.reason}{others}", hint=_ANYWAY)
