"""A business system as its own process: it changes once per idempotency key, on disk, and can be killed at any moment.

`python -m tests.support.ledger PORT FILE`: each effect is one line of FILE, flushed before the answer.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

import anyio
from aiohttp import web

from tests.support.nats import free_port

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS_MAX = 15
MOOD = "mood"


class Ledger:
    """The process under the test's control, and what it has done."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.file = directory / "effects"
        self.file.touch()
        self.port = free_port()
        self._log = directory / "ledger.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/commands"

    @property
    def effects(self) -> list[dict[str, Any]]:
        """What was changed, in order; a line that a kill cut off was never answered."""
        lines = self.file.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    @property
    def keys(self) -> list[str]:
        return [effect["key"] for effect in self.effects]

    async def start(self) -> Self:
        command = [sys.executable, "-m", "tests.support.ledger", str(self.port), str(self.file)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        try:
            with anyio.fail_after(READY_SECONDS_MAX):
                while not await self._listens():  # noqa: ASYNC110 - another process: there is no event to await
                    await anyio.sleep(0.02)
        except BaseException:
            self.kill()  # nobody leaves a context that was not entered
            raise
        return self

    async def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()[-2000:]
        try:
            await (await anyio.connect_tcp("127.0.0.1", self.port)).aclose()
        except OSError:
            return False
        return True

    def answer(self, status: int | None) -> None:
        """Say this to everything from now on and change nothing; None: work again."""
        mood = self.file.with_name(MOOD)
        if status is None:
            mood.unlink()
        else:
            mood.write_text(str(status))

    def kill(self) -> None:
        """`kill -9`."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(10)
            self._process = None

    async def restart(self) -> None:
        self.kill()
        await self.start()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        self.kill()


def serve(port: int, file: Path) -> None:
    """Answer until killed."""
    text = file.read_text()
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        file.write_text(whole)
    known = {json.loads(line)["key"]: number for number, line in enumerate(whole.splitlines(), 1)}
    handle = os.open(file, os.O_WRONLY | os.O_APPEND)

    async def take(request: web.Request) -> web.Response:
        key = request.headers["idempotency-key"]
        if (mood := file.with_name(MOOD)).exists():
            return web.Response(status=int(mood.read_text()))
        if key not in known:
            effect = {"key": key, "type": request.headers["x-type"], "said": await request.json()}
            os.write(handle, (json.dumps(effect) + "\n").encode())
            os.fsync(handle)
            known[key] = len(known) + 1
        return web.json_response({"number": known[key]})

    application = web.Application()
    application.router.add_post("/commands", take)
    web.run_app(application, host="127.0.0.1", port=port, print=None, handle_signals=False)


if __name__ == "__main__":
    serve(int(sys.argv[1]), Path(sys.argv[2]))
