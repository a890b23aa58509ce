"""Runs docs/workbench.md: writes its files, runs its commands, and puts the answers under them.

After a change that is meant: `python -m tests.docs.workbench` writes the answers anew; read the difference before it is kept.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import tempfile
from pathlib import Path

from runtime.cli.entry import main

PAGE = Path(__file__).parents[2] / "docs" / "workbench.md"
_BLOCK = re.compile(r"^```(?P<kind>[a-z]+)(?: file=(?P<file>\S+))?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def told(folder: Path) -> str:
    """The page with the answers of today."""
    with contextlib.chdir(folder):
        return _BLOCK.sub(_done, PAGE.read_text("utf-8"))


def _done(block: re.Match[str]) -> str:
    if block["file"]:
        path = Path(block["file"])
        path.parent.mkdir(exist_ok=True)
        path.write_text(block["text"], "utf-8")
    if block["kind"] != "console":
        return block[0]
    command = block["text"].split("\n", 1)[0]
    return f"```console\n{command}\n{_answer(shlex.split(command.removeprefix('$ ')))}```"


def _answer(words: list[str]) -> str:
    if words[0] == "cat":
        return Path(words[1]).read_text("utf-8")
    assert words[0] == "entrepot", words
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        main(words[1:])
    return said.getvalue()


if __name__ == "__main__":
    os.umask(0o022)
    with tempfile.TemporaryDirectory() as place:
        PAGE.write_text(told(Path(place)), "utf-8")
