"""A person at a terminal, and the agent that starts from what was written."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import pty
import select
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from tests.support.nats import NatsServer
from tests.support.region import Region, until

TYPED = ["EU_DE", "eu-de", "de", "test", "{hub}", "", "{listen}", "wms", "webhook", "", ""]


END = "\x04"
"""Ctrl-D."""


def heard(terminal: int) -> bytes:
    """What the program has written by now; nothing after its end, or when it is silent for too long."""
    if not select.select([terminal], [], [], 60)[0]:
        return b""
    try:
        return os.read(terminal, 4_096)
    except OSError:  # the other side has closed its terminal
        return b""


def typed_in(folder: Path, answers: list[str]) -> tuple[int, str]:
    """Run `entrepot init` on a terminal of its own; (exit code, what the terminal showed)."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "runtime.cli", "init", "--config", str(folder / "entrepot.toml")]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True)
    os.close(theirs)
    shown = b""
    try:
        for answer in answers:
            while not shown.endswith(b"]: "):
                part = heard(ours)
                assert part, shown
                shown += part
            os.write(ours, answer.encode())
            shown += b"\n"
        while part := heard(ours):
            shown += part
        return process.wait(60), shown.decode("utf-8", "replace")
    finally:
        process.kill()
        process.wait()
        os.close(ours)


@pytest.mark.anyio
async def test_what_a_person_typed_starts_takes_in_and_reaches_the_hub(tmp_path: Path) -> None:
    from anyio.to_thread import run_sync

    async with NatsServer(tmp_path) as hub:
        region = Region(tmp_path / "region", hub.url)
        for file in region.directory.iterdir():
            file.unlink()
        listen = f"127.0.0.1:{region.port}"
        answers = [answer.format(hub=hub.url, listen=listen) + "\n" for answer in TYPED]
        code, shown = await run_sync(typed_in, region.directory, answers)
        assert code == 0, shown
        assert "did you mean 'eu-de'?" in shown
        assert "fingerprint" in shown
        assert (await region.run("topology", "apply"))[0] == 1
        async with region:
            body = b'{"kind": "STOCK"}'
            secret = (region.directory / "secrets" / "wms").read_bytes().strip()
            for key, status in ((secret, 202), (b"x" * 64, 401)):
                headers = {"x-signature": hmac.new(key, body, hashlib.sha256).hexdigest()}
                async with aiohttp.ClientSession() as http, http.post(f"{region.url}/in/wms", data=body, headers=headers | {"content-type": "application/json"}) as answer:  # fmt: skip
                    assert answer.status == status, await answer.text()
            letter = await until(lambda: letters(region), "the message waits as a letter")
            assert letter[0]["source"] == "wms"
            assert (await region.status())["hub_connected"]
        _, out, _ = await region.run("doctor", "--json")
        rows = {row["subject"]: row["level"] for row in json.loads(out)["findings"]}
        assert (rows["file permissions"], rows["data folder"], rows["hub"]) == ("ok", "ok", "ok"), out


async def letters(region: Region) -> list[dict[str, str]]:
    return list(await region.ask("letters.list"))


@pytest.mark.anyio
async def test_leaving_in_the_middle_writes_nothing(tmp_path: Path) -> None:
    from anyio.to_thread import run_sync

    folder = tmp_path / "region"
    folder.mkdir()
    code, shown = await run_sync(typed_in, folder, ["eu-de\n", "\n", "nonsense\n", END])
    assert code == 2, shown
    assert "nothing was written" in shown
    assert list(folder.iterdir()) == []
