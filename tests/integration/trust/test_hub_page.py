"""docs/hub.md, typed line by line: every command that the page shows is run here, against the hub that it describes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from tests.support.madehub import MadeHub
from tests.support.region import Region
from tests.tidy import tree

FENCED = re.compile(r"^ *```[a-z]*\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
FINGERPRINT = re.compile(r"\b[0-9a-f]{4}(?:-[0-9a-f]{4}){5}\b")


def shown() -> list[str]:
    """The commands of the page, in order."""
    page = Path(tree.ROOT, "docs", "hub.md").read_text()
    lines = (line.strip() for block in FENCED.findall(page) for line in block.splitlines())
    return [line for line in lines if line.startswith("entrepot ")]


async def typed(line: str, folder: Path) -> tuple[int, str]:
    words = [sys.executable, "-m", "runtime.cli", *line.split()[1:]]
    done = await anyio.to_thread.run_sync(
        lambda: subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.anyio
async def test_every_command_of_the_page_does_what_the_page_says(tmp_path: Path) -> None:
    hub = MadeHub(tmp_path, 3)
    commands = shown()
    write, *rest = commands
    assert write.startswith("entrepot topology hub-config --plan hub-plan.toml --out hub")
    async with hub:
        await hub.make_fleet_streams("prod")
        region = Region(tmp_path / "region", hub.urls[0], manage=False, environment="prod")
        fingerprint, done = "", []
        for command in rest:
            line = FINGERPRINT.sub(fingerprint, command)
            if command.startswith("entrepot enrol "):
                line += f" --wait 0 --json --config {region.config}"
            code, said = await typed(line, hub.files)
            if command.startswith("entrepot enrol "):
                assert code == 1, said
                fingerprint = json.loads(said)["fingerprint"]
            else:
                assert code == 0, (line, said)
            if " list " in command:
                assert fingerprint in said
            if " approve " in command:
                code, again = await typed(f"entrepot enrol eu-de.token --config {region.config}", hub.files)
                assert (code, "credentials =" in again) == (0, True), again
            done.append(command.split()[1:4])
        assert (tmp_path / "made" / "ada.creds").stat().st_mode & 0o777 == 0o600
    verbs = {words[2] for words in done if words[:2] == ["fleet", "enrol"]}
    assert verbs == {"new", "list", "approve", "renew", "revoke", "issue"}


def test_the_page_names_no_command_that_does_not_exist() -> None:
    from runtime.cli.parser import build

    for line in shown():
        words = FINGERPRINT.sub("x", line).split()[1:]
        assert build(words[0]).parse_args(words).verb == words[0]
