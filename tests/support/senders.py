"""Partners that send at a steady rate and never give a message up: run in any network, says what became of each.

`python -m tests.support.senders URL RATE [--keep-alive]` sends until its input ends, and prints one JSON object when all
that was sent has a receipt.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from typing import Any

import aiohttp

from tests.support.region import fact

ATTEMPT_SECONDS_MAX = 30.0
GIVE_UP_SECONDS = 60.0


class Ledger:
    """What was sent, how often it was tried, and the receipts."""

    def __init__(self) -> None:
        self.receipts: dict[str, list[int]] = {}
        self.refused: Counter[str] = Counter()
        """Why a first answer was not a receipt: each of these is a webhook that a sender without retries loses."""
        self.lost: list[str] = []
        self.slowest_seconds = 0.0


async def deliver(http: aiohttp.ClientSession, url: str, number: int, ledger: Ledger) -> None:
    """One message, again with the same key until there is a receipt."""
    key, begun = f"w-{number}", time.monotonic()
    headers = {"content-type": "application/json", "idempotency-key": key}
    while time.monotonic() - begun < GIVE_UP_SECONDS:
        try:
            async with http.post(url, data=fact(number, sku=f"S-{number % 50}"), headers=headers) as answer:
                said = await answer.json(content_type=None)
            if answer.status == 202:
                ledger.receipts[key] = [said["epoch"], said["intake_seq"]]
                ledger.slowest_seconds = max(ledger.slowest_seconds, time.monotonic() - begun)
                return
            ledger.refused[str(answer.status)] += 1
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            ledger.refused[type(error).__name__] += 1
        await asyncio.sleep(0.05)
    ledger.lost.append(key)


async def send(url: str, rate: float, *, keep_alive: bool) -> dict[str, Any]:
    """Messages leave at their time, whether or not those before were answered."""
    ledger = Ledger()
    connector = aiohttp.TCPConnector(limit=0, force_close=not keep_alive)
    patience = aiohttp.ClientTimeout(total=ATTEMPT_SECONDS_MAX)
    begun, sent = time.monotonic(), 0
    async with aiohttp.ClientSession(connector=connector, timeout=patience) as http, asyncio.TaskGroup() as tasks:
        told_to_stop = tasks.create_task(asyncio.to_thread(sys.stdin.read))
        while not told_to_stop.done():
            await asyncio.sleep(max(0.0, begun + sent / rate - time.monotonic()))
            tasks.create_task(deliver(http, url, sent, ledger))
            sent += 1
    return {
        "sent": sent,
        "receipts": ledger.receipts,
        "refused": dict(ledger.refused),
        "lost": ledger.lost,
        "slowest_seconds": round(ledger.slowest_seconds, 3),
    }


if __name__ == "__main__":
    sys.stdout.write(
        json.dumps(asyncio.run(send(sys.argv[1], float(sys.argv[2]), keep_alive="--keep-alive" in sys.argv)))
    )
