"""What a power cut leaves behind: what was flushed is there; of the rest each sector is kept or lost. Pure but for `wreck`."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from runtime.certify.recorder import Step

SECTOR = 512


class Files:
    """What the disk holds for certain, and what it has only heard of."""

    def __init__(self, flushed: dict[str, bytes]) -> None:
        self.flushed = {name: bytearray(content) for name, content in flushed.items()}
        self.heard: dict[str, list[Step]] = {}

    def play(self, step: Step) -> None:
        """One more step happened; a flush makes its file's steps certain."""
        if step.kind == "sync":
            for waiting in self.heard.pop(step.name, []):
                _apply(self.flushed.setdefault(step.name, bytearray()), waiting)
        elif step.kind != "mark":
            self.heard.setdefault(step.name, []).append(step)

    def wreck(self, directory: Path, chance: random.Random, keeps: float) -> None:
        """Write the files as they are found after the cut; `keeps`: how likely an unflushed sector is there."""
        for name in {*self.flushed, *self.heard}:
            content = bytearray(self.flushed.get(name, b""))
            for step in self.heard.get(name, []):
                for part in _sectors(step):
                    if chance.random() < keeps:
                        _apply(content, part)
            (directory / name).write_bytes(content)


def _sectors(step: Step) -> Iterator[Step]:
    if step.kind == "truncate":
        yield step
        return
    for start in range(0, len(step.content), SECTOR):
        yield step._replace(at=step.at + start, content=step.content[start : start + SECTOR])


def _apply(content: bytearray, step: Step) -> None:
    if step.kind == "truncate":
        del content[step.at :]
        return
    end = step.at + len(step.content)
    content.extend(bytes(max(0, end - len(content))))
    content[step.at : end] = step.content
