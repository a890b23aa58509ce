"""Three partners at work. Each sends, waits for its receipt, and tries again with the same key until it has one."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import anyio
from aiohttp import ClientError, ClientSession
from anyio.to_thread import run_sync

from runtime import clock
from runtime.demo.ledger import Ledger
from runtime.demo.messages import Carrier, Legacy, Line, Outgoing, Warehouse

RETRY_SECONDS = 0.2
REPEAT_SHARE = 0.03
"""Messages that a partner sends again although it had the answer."""
SENDER_RATE_MAX = 50.0
"""Messages a second of one sender, which waits for each answer; more rate takes more senders."""
REPORT_SECONDS = 1.5
LOOK_SECONDS = 0.1
WAREHOUSE_SHARE = 0.65


def local_time() -> str:
    """`2026-03-02T08:14:09`, as the warehouse system and the carrier write it."""
    return clock.rfc3339(clock.now_us())[:19]


def report_time() -> str:
    """`02.03.2026 06:15`, as the legacy system writes it."""
    year, month, rest = local_time().split("-")
    return f"{rest[:2]}.{month}.{year} {rest[3:8]}"


class Sender:
    """One connection of a partner that calls webhooks, one message after the other."""

    def __init__(self, source: str, url: str, following: Callable[[], Outgoing], ledger: Ledger, draw: Random) -> None:
        self._source = source
        self._url = f"{url}/in/{source}"
        self._following = following
        self._ledger = ledger
        self._draw = draw

    async def run(self, rate: float, stopping: anyio.Event) -> None:
        """About `rate` messages a second until told to stop; then to the end of the message in hand."""
        async with ClientSession() as session:
            while not stopping.is_set():
                message = self._following()
                receipt = await self._send(session, message, stopping)
                if receipt is not None:
                    self._note(message, receipt)
                    if self._draw.random() < REPEAT_SHARE:
                        await self._repeat(session, message, receipt, stopping)
                with anyio.move_on_after(self._draw.expovariate(rate)):
                    await stopping.wait()

    def _note(self, message: Outgoing, receipt: dict[str, Any]) -> None:
        if receipt["sha256"] != sha256(message.body).hexdigest():
            self._ledger.complain(f"{self._source}: receipt {receipt['intake_seq']} is for other bytes")
        self._ledger.accept(
            self._source, receipt["epoch"], receipt["intake_seq"], events=message.events, letter=message.letter
        )

    async def _repeat(
        self, session: ClientSession, message: Outgoing, receipt: dict[str, Any], stopping: anyio.Event
    ) -> None:
        again = await self._send(session, message, stopping)
        if again is None:
            return
        self._ledger.repeats += 1
        if not again["duplicate"] or again["intake_seq"] != receipt["intake_seq"]:
            self._ledger.complain(f"{self._source}: a repeat of {receipt['intake_seq']} became {again['intake_seq']}")

    async def _send(self, session: ClientSession, message: Outgoing, stopping: anyio.Event) -> dict[str, Any] | None:
        """The receipt, after as many tries as it takes. None: refused for good, or cancelled by the end of the demo."""
        headers = {"content-type": "application/json"}
        if message.key is not None:
            headers["idempotency-key"] = message.key
        answered = False
        try:
            while True:
                status, answer = await self._post(session, message.body, headers)
                if status == 202:
                    answered = True
                    return answer
                if status < 500 and status not in {0, 408, 429}:
                    answered = True
                    self._ledger.complain(f"{self._source}: refused with {status}: {answer.get('detail') or answer}")
                    return None
                self._ledger.retries += 1
                await anyio.sleep(RETRY_SECONDS)
        finally:
            if not answered:
                self._ledger.unanswered.append(self._source)

    async def _post(self, session: ClientSession, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """(status, answer); status 0 when no answer came."""
        try:
            with anyio.fail_after(10):
                async with session.post(self._url, data=body, headers=headers) as response:
                    text = await response.text()
                    return response.status, json.loads(text) if text.startswith("{") else {"detail": text[:200]}
        except (ClientError, OSError, TimeoutError):
            return 0, {}


class Dropper:
    """The legacy system: writes a report, and waits until it lies in done/ with a result beside."""

    def __init__(self, folder: Path, legacy: Legacy, ledger: Ledger) -> None:
        self._folder = folder
        self._legacy = legacy
        self._ledger = ledger

    async def run(self, stopping: anyio.Event) -> None:
        """A report every now and then until told to stop; then to the end of the one in hand."""
        while not stopping.is_set():
            name, content, lines = self._legacy.next()
            await run_sync(self._write, name, content)
            result = await self._result(name)
            self._note(name, content, lines, result)
            with anyio.move_on_after(REPORT_SECONDS):
                await stopping.wait()

    def _write(self, name: str, content: bytes) -> None:
        """Under another name until it is complete."""
        self._folder.mkdir(parents=True, exist_ok=True)
        unfinished = self._folder / f"{name}.part"
        unfinished.write_bytes(content)
        unfinished.rename(self._folder / name)

    async def _result(self, name: str) -> dict[str, Any]:
        known = False
        try:
            while True:
                found = await run_sync(self._read_result, name)
                if found is not None:
                    known = True
                    return found
                await anyio.sleep(LOOK_SECONDS)
        finally:
            if not known:
                self._ledger.unanswered.append(f"legacy {name}")

    def _read_result(self, name: str) -> dict[str, Any] | None:
        for folder in ("done", "failed"):
            # The result is written before the file is moved: only both together mean that it is finished.
            path = self._folder / folder / f"{name}.result.json"
            if path.exists() and (self._folder / folder / name).exists():
                result: dict[str, Any] = json.loads(path.read_bytes())
                return result
        return None

    def _note(self, name: str, content: bytes, lines: list[Line], result: dict[str, Any]) -> None:
        first, last = result["first_intake_seq"], result["last_intake_seq"]
        if result["error"] is not None:
            self._ledger.complain(f"legacy: {name} failed: {result['error']}")
            return
        if result["sha256"] != sha256(content).hexdigest() or result["facts"] != len(lines):
            self._ledger.complain(f"legacy: the result of {name} does not fit the file")
            return
        if last - first + 1 != len(lines):
            self._ledger.complain(f"legacy: the lines of {name} do not lie together ({first} to {last})")
            return
        for seq, line in enumerate(lines, first):
            self._ledger.accept("legacy", 1, seq, events=line.events, letter=line.letter)


class Partners:
    """All three. `run` returns when each has its last receipt."""

    def __init__(self, url: str, folder: Path, rate: float, ledger: Ledger, seed: int) -> None:
        self._url = url
        self._rate = rate
        self._ledger = ledger
        self._seed = seed
        self._dropper = Dropper(folder, Legacy(Random(seed), report_time), ledger)

    async def run(self, stopping: anyio.Event) -> None:
        """Work until `stopping` is set, then finish what is in hand. Cancel it when that takes too long."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._dropper.run, stopping)
            for source, share, kind in (
                ("wms", WAREHOUSE_SHARE, Warehouse),
                ("carrier", 1 - WAREHOUSE_SHARE, Carrier),
            ):
                rate = self._rate * share
                count = max(1, round(rate / SENDER_RATE_MAX))
                for number in range(count):
                    draw = Random(f"{self._seed} {source} {number}")
                    following = kind(draw, f"{number}", local_time).next
                    sender = Sender(source, self._url, following, self._ledger, draw)
                    tasks.start_soon(sender.run, rate / count, stopping)
