"""Partners that send at a steady rate and never give a message up: run in any network, says what became of each.

`python -m tests.support.senders URL RATE SECONDS [--keep-alive]` prints one JSON object when all have a receipt.
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

SENDERS = 16
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


async def send(url: str, rate: float, seconds: float, *, keep_alive: bool) -> dict[str, Any]:
    """Messages leave at their time, whether or not those before were answered."""
    ledger = Ledger()
    connector = aiohttp.TCPConnector(limit=0, force_close=not keep_alive)
    patience = aiohttp.ClientTimeout(total=ATTEMPT_SECONDS_MAX)
    begun = time.monotonic()
    async with aiohttp.ClientSession(connector=connector, timeout=patience) as http, asyncio.TaskGroup() as tasks:
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, begun + number / rate - time.monotonic()))
            tasks.create_task(deliver(http, url, number, ledger))
    return {
        "sent": int(rate * seconds),
        "receipts": ledger.receipts,
        "refused": dict(ledger.refused),
        "lost": ledger.lost,
        "slowest_seconds": round(ledger.slowest_seconds, 3),
    }


if __name__ == "__main__":
    address, rate, seconds = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
    sys.stdout.write(json.dumps(asyncio.run(send(address, rate, seconds, keep_alive="--keep-alive" in sys.argv))))
