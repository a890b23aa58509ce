"""Targets for tests: one that posts to a URL, found by a real agent through an entry point, and one in memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import anyio.lowlevel
from msgspec import Struct

from runtime.errors import Permanent, Refused, Retryable
from runtime.ports import Delivered, Delivery, Target, TargetContext

ROOT = Path(__file__).resolve().parents[2]


class ProbeSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys of `adapter = "probe"`."""

    url: str
    types: str = ""
    """Only types that contain this."""


class Probe:
    """Posts each delivery with its id as the idempotency key."""

    idempotent = True

    def __init__(self, settings: ProbeSettings) -> None:
        self._settings = settings

    def wants(self, type: str, attributes: Mapping[str, str]) -> bool:
        return self._settings.types in type

    async def deliver(self, delivery: Delivery) -> Delivered:
        headers = {"idempotency-key": delivery.id, "x-type": delivery.type, "content-type": "application/json"}
        try:
            async with (
                aiohttp.ClientSession() as http,
                http.post(self._settings.url, data=delivery.data, headers=headers) as answer,
            ):
                said = await answer.text()
        except (aiohttp.ClientError, OSError) as error:
            raise Retryable(f"the target is away ({type(error).__name__})") from error
        if answer.status == 410:
            raise Refused("the address is gone for good")
        if answer.status >= 500:
            raise Retryable(f"the target answered {answer.status}")
        if answer.status >= 400:
            raise Permanent(f"the target answered {answer.status}")
        return Delivered(reference=said)

    async def close(self) -> None:
        await anyio.lowlevel.checkpoint()


class ProbeAdapter:
    """Behind the entry point."""

    name = "probe"
    settings = ProbeSettings

    def target(self, settings: Any, context: TargetContext) -> Target:
        return Probe(settings)

    def check(self, settings: Any, *, loopback: bool) -> Sequence[str]:
        return []


TARGET = ProbeAdapter()


def installed(directory: Path) -> dict[str, str]:
    """The variables that let a process find the probe as an installed target adapter."""
    about = directory / "entrepot_probe-1.0.dist-info"
    about.mkdir(parents=True, exist_ok=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: entrepot-probe\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[entrepot.targets]\nprobe = tests.support.probes:TARGET\n")
    return {"PYTHONPATH": os.pathsep.join([str(directory), str(ROOT)])}


class MemoryTarget:
    """Says what `answer` says; keeps every attempt. A hanging attempt waits for `go`."""

    idempotent = True

    def __init__(self, answer: Callable[[Delivery], Delivered | Exception] | None = None) -> None:
        self.answer = answer or (lambda delivery: Delivered(reference=f"ok {delivery.id}"))
        self.attempts: list[Delivery] = []
        self.taken: list[str] = []
        self.unwanted: set[str] = set()
        self.changed = anyio.Event()
        self.closed = False

    def wants(self, type: str, attributes: Mapping[str, str]) -> bool:
        return attributes.get("subject", "") not in self.unwanted

    async def deliver(self, delivery: Delivery) -> Delivered:
        await anyio.lowlevel.checkpoint()
        self.attempts.append(delivery)
        said = self.answer(delivery)
        if isinstance(said, Exception):
            self._tell()
            raise said
        self.taken.append(delivery.id)
        self._tell()
        return said

    def _tell(self) -> None:
        self.changed.set()
        self.changed = anyio.Event()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when the attempts so far make this true."""
        while not condition():
            await self.changed.wait()

    async def close(self) -> None:
        await anyio.lowlevel.checkpoint()
        self.closed = True
