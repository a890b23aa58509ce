"""`kill -9` at random moments: every receipt that was told before is there after the next start."""

from __future__ import annotations

from runtime.certify.ground import Finding, Ground, judged, listen, now, problems, receipts

KILLS_MIN, KILLS_MAX = 3, 100
LINES_MAX = 120


def run(ground: Ground, seconds: float) -> Finding:
    """At least `KILLS_MIN` kills, as many as fit into the time."""
    home = ground.folder / "kill"
    told = []
    wrong: list[str] = []
    kills, until, first = 0, now() + seconds, 1
    while not wrong and kills < KILLS_MAX and (kills < KILLS_MIN or now() < until):
        limit = ground.chance.randint(2, LINES_MAX)
        fresh = receipts(listen(ground.start(home, "busy", first, 10**6), lambda lines, limit=limit: lines >= limit))  # type: ignore[misc]
        if not fresh:
            wrong = ["the subject gave no receipt: it could not work here"]
            break
        told += fresh
        first = fresh[-1].number + LINES_MAX  # what was under way at the kill keeps its number
        kills += 1
        wrong = problems(home, told)
        ground.say(f"kill -9: {kills} kills, {len(told)} receipts")
    return judged(
        "kill",
        wrong,
        f"after each of {kills} kills every one of {len(told)} receipts was there, and the journal was whole",
        figures={"kills": kills, "receipts": len(told)},
        shows_not="A kill does not lose what the operating system has been told: it shows nothing about the disk.",
    )
