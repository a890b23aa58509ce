"""A copy of the example region for one test, to be spoilt or run, and the command line called in this process."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import pytest

from runtime.cli.entry import main
from runtime.config.assemble import load_configuration
from runtime.envelope import Message
from runtime.identity import load_or_create
from runtime.kernel import open_kernel
from tests.support.kernel import intake_of

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "eu-de"


def copy_example(folder: Path) -> Path:
    """The entrepot.toml of a fresh copy."""
    for part in ("entrepot.toml", "policy.toml"):
        shutil.copy(EXAMPLE / part, folder / part)
    for part in ("mappings", "samples"):
        shutil.copytree(EXAMPLE / part, folder / part)
    return folder / "entrepot.toml"


def change(file: Path, old: str, new: str) -> None:
    """Replace what must be there."""
    text = file.read_text("utf-8")
    assert old in text, f"{old!r} is not in {file}"
    file.write_text(text.replace(old, new), "utf-8")


class Said(NamedTuple):
    """What a command answered."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


def entrepot(capsys: pytest.CaptureFixture[str], *words: str | Path) -> Said:
    """Run one command."""
    capsys.readouterr()
    code = main([str(word) for word in words])
    captured = capsys.readouterr()
    return Said(code, captured.out, captured.err)


def take_in(config: Path, source: str, *bodies: bytes) -> None:
    """Accept and translate messages without an agent; leaves a journal behind."""

    async def work() -> None:
        async with open_kernel(load_configuration(config)) as kernel:
            door = intake_of(kernel, source)
            await door.accept([Message(body=body) for body in bodies])
            while (await kernel.journal.write(kernel.translate.batch)).facts:
                pass

    # Making the keys flushes them to disk; the first start may wait for that, the detector of blocking calls may not.
    load_or_create(load_configuration(config).data_dir / "identity", journal_is_new=True)
    anyio.run(work)
