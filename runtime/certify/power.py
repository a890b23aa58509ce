"""Power cuts, replayed: the recorded writes and flushes of a busy journal, cut at random moments and wrecked at random.

What was flushed is taken as certain. Whether this disk keeps that word only a real power cut can show.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec

from runtime.certify.ground import Finding, Ground, Told, judged, listen, not_tried, now, problems, receipts
from runtime.certify.powercut import Files
from runtime.certify.recorder import Step
from runtime.journal.file import FILE

MESSAGES = 120
STATES_MIN, STATES_MAX = 12, 1_000
KEEPS = (0.0, 0.5, 1.0)
"""How likely an unflushed sector is found after the cut: all lost, torn, all kept."""
SHOWS_NOT = (
    "It replays what SQLite told the disk, on this file system. That the disk keeps what it says it has flushed is "
    "taken on trust: a controller that lies about flushes passes this trial, and only a real power cut finds it."
)


def run(ground: Ground, seconds: float) -> Finding:
    """Record once, then replay as many states as fit into the time."""
    home = ground.folder / "power"
    process = ground.start(home, "recorded", 1, MESSAGES)
    listen(process, lambda _: False)
    recording = home / "steps"
    if not recording.exists():
        return not_tried("power", "SQLite's writes and flushes cannot be recorded on this host")
    steps = [
        Step(*step) for step in msgspec.msgpack.decode(recording.read_bytes(), type=list[tuple[str, str, int, bytes]])
    ]
    wrong: list[str] = []
    states, until = 0, now() + seconds
    while not wrong and states < STATES_MAX and (states < STATES_MIN or now() < until):
        moment = ground.chance.randrange(len(steps))
        wrong = _state(ground, home, steps[: moment + 1], KEEPS[states % len(KEEPS)])
        states += 1
        if states % 10 == 0:
            ground.say(f"power cut: {states} states replayed")
    flushes = sum(step.kind == "sync" for step in steps)
    told = receipts(step.name for step in steps if step.kind == "mark")
    return judged(
        "power",
        wrong,
        f"in each of {states} states that a power cut could leave, every receipt given before it was there",
        figures={"states_replayed": states, "writes": len(steps) - flushes, "flushes": flushes, "receipts": len(told)},
        shows_not=SHOWS_NOT,
    )


def _state(ground: Ground, home: Path, steps: list[Step], keeps: float) -> list[str]:
    """Wreck, open, ask; the folder is removed again."""
    files, told = Files({FILE: (home / "before").read_bytes()}), list[Told]()
    for step in steps:
        files.play(step)
        if step.kind == "mark":
            told += receipts([step.name])
    place = ground.folder / "state"
    (place / "state").mkdir(parents=True)
    try:
        shutil.copytree(home / "state" / "identity", place / "state" / "identity")
        files.wreck(place / "state", ground.chance, keeps)
        return problems(place, told)
    finally:
        shutil.rmtree(place)
