"""The suite for targets can fail: each broken target here is caught by the check that is there for it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from msgspec import Struct

from adapters.sdk.target_conformance import Fault, Foreign, TargetCase, conformance
from runtime.errors import ConfigError, Permanent, Refused, Retryable
from runtime.ports import Delivered, Delivery, TargetContext


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    token: str


class Loose(Struct, frozen=True, kw_only=True):
    token: str


class System:
    """A foreign system in memory."""

    settings: Mapping[str, Any] = {}

    def __init__(self) -> None:
        self.held: list[str] = []
        self.now: Fault | None = None
        self.came = anyio.Event()

    def effects(self) -> Sequence[str]:
        return self.held

    def fault(self, fault: Fault | None) -> None:
        self.now = fault

    async def reached(self) -> None:
        await self.came.wait()

    async def take(self, id: str) -> None:
        if self.now == "hangs":
            self.came.set()
            await anyio.sleep_forever()
        self.held.append(id)


THERE = System()


@asynccontextmanager
async def system(_directory: str) -> AsyncIterator[Foreign]:
    THERE.__init__()  # type: ignore[misc]
    yield THERE


class Outlet:
    """A target of `System`; `how` is the way in which it is broken."""

    idempotent = True

    def __init__(self, how: str, context: TargetContext, token: bytes) -> None:
        self.how, self.context, self.token = how, context, token
        self.stuck = False
        self.closed = 0
        self.calls = 0

    def wants(self, type: str, attributes: Mapping[str, str]) -> bool:
        if self.how == "raises in wants":
            return attributes["subject"] == type
        self.calls += 1
        return self.how != "changes its mind" or self.calls % 2 == 0

    async def deliver(self, delivery: Delivery) -> Delivered:
        try:
            json.loads(delivery.data)
        except (ValueError, RecursionError) as error:
            if self.how != "lets broken data through":
                said = " after all" if self.how != "repeats data" else delivery.data.decode("utf-8", "replace")
                raise Permanent(f"the data is no JSON{said}") from None
            raise ValueError("no JSON") from error
        if self.how == "repeats data" and not delivery.data.startswith(b"{"):
            raise Permanent(f"cannot use {delivery.data.decode()}")
        self._fail()
        if self.how == "is stuck after a cancel" and self.stuck:
            raise Retryable("still busy")
        self.stuck = True
        await anyio.lowlevel.checkpoint()
        if delivery.id not in THERE.held or self.how == "does it twice":
            await THERE.take(delivery.id)
        self.stuck = False
        return Delivered(reference=json.loads(delivery.data)["note"] if self.how == "tells a person" else "")

    def _fail(self) -> None:
        fault = THERE.now if self.how != "notices no fault" else None
        if fault in ("away", "failing"):
            secret = self.token.decode() if self.how == "shows its secret" else ""
            if self.how == "logs its secret":
                self.context.log("failed", token=self.token.decode())
            if self.how == "gives up at once":
                raise Permanent("it is away")
            if self.how == "raises something else":
                raise OSError("away")
            raise Retryable(f"it is away{secret}", after_seconds=-1 if self.how == "waits backwards" else None)
        if fault == "refuses":
            raise Permanent("" if self.how == "says nothing" else "it does not take this one")
        if fault == "gone":
            raise (Retryable if self.how == "never lets go" else Refused)("it wants no more")

    async def close(self) -> None:
        self.closed += 1
        if self.how == "closes once" and self.closed > 1:
            raise RuntimeError("closed")


class Adapter:
    name = "outlet"
    settings: type[Struct] = Settings

    def __init__(self, how: str = "") -> None:
        self.how = how
        if how == "has a bad name":
            self.name = "Out let"
        if how == "takes unknown keys":
            self.settings = Loose

    def target(self, settings: Any, context: TargetContext) -> Outlet:
        try:
            token = context.secret(settings.token)
        except ConfigError:
            if self.how != "does without its secret":
                raise
            token = b""
        return Outlet(self.how, context, token)

    def check(self, settings: Any, *, loopback: bool) -> Sequence[str]:
        return [""] if self.how == "warns of nothing" else []


CASE = TargetCase(
    name="c",
    settings={"token": "secret://t"},
    foreign=system,
    faults=("away", "failing", "refuses", "gone", "hangs"),
    secrets={"secret://t": b"the-token-of-the-test"},
    invalid_settings=[{"token": 1}],
)


async def failing(how: str, directory: Path) -> set[str]:
    found = set()
    for number, check in enumerate(conformance(Adapter(how), [CASE])):
        place = directory / str(number)
        place.mkdir()
        try:
            await check.run(str(place))
        except (Exception, BaseExceptionGroup):
            found.add(check.name.removeprefix("c: "))
    return found


@pytest.mark.anyio
async def test_a_good_target_passes_everything(tmp_path: Path) -> None:
    assert await failing("", tmp_path) == set()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("how", "check"),
    [
        ("has a bad name", "the entry object is complete"),
        ("takes unknown keys", "its settings are checked, wrong ones refused"),
        ("warns of nothing", "its settings are checked, wrong ones refused"),
        ("does without its secret", "a missing secret is a configuration error"),
        ("tells a person", "each delivery has its effect"),
        ("does it twice", "a second try of a delivery changes nothing where it says so"),
        ("raises in wants", "what it wants depends on the event alone"),
        ("changes its mind", "what it wants depends on the event alone"),
        ("lets broken data through", "data that is broken ends in an error of ours, if in any"),
        ("repeats data", "data that is broken ends in an error of ours, if in any"),
        ("is stuck after a cancel", "being cancelled leaves nothing half done"),
        ("closes once", "it closes, and closes again"),
        ("notices no fault", "a system that is away is tried again"),
        ("gives up at once", "a system that cannot now is tried again"),
        ("raises something else", "a system that is away is tried again"),
        ("waits backwards", "a system that is away is tried again"),
        ("shows its secret", "a system that is away is tried again"),
        ("logs its secret", "a system that cannot now is tried again"),
        ("says nothing", "what is refused for good becomes a letter, and the next one goes on"),
        ("never lets go", "a system that wants no more is left alone"),
        ("is stuck after a cancel", "a system that does not answer holds up nothing"),
    ],
)
async def test_a_broken_target_is_caught(how: str, check: str, tmp_path: Path) -> None:
    assert check in await failing(how, tmp_path)
