"""The suite every target must pass, ours and a stranger's: settings, effects, faults, and what errors may say.

`conformance(adapter, cases)` gives a list of checks; run each in an empty folder of its own under anyio:
`@pytest.mark.parametrize("check", conformance(TARGET, CASES), ids=str)` and `await check.run(str(tmp_path))`.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, Literal, Protocol

import anyio
import msgspec
from anyio.to_thread import run_sync
from msgspec import Struct

from adapters.sdk.conformance import Check
from runtime.errors import ConfigError, EntrepotError, Permanent, Refused, Retryable
from runtime.ports import Delivery, Target, TargetAdapter, TargetContext

SECONDS_MAX = 30.0
"""A delivery must have come to an end within this time, whatever the foreign system does."""
PERSON = "Ingeborg Geheimnisträger"
"""Stands in the data of every delivery of the suite, and must stand in no error and no line of a log."""
_NOW_US = 1_767_225_600_000_000

Fault = Literal["away", "failing", "refuses", "gone", "hangs"]
"""away: cannot be reached · failing: says that it cannot now · refuses: will never take this one · gone: wants no more ·
hangs: takes what is sent and does not answer."""


class Foreign(Protocol):
    """The system on the other side, real or played."""

    settings: Mapping[str, Any]
    """What the target's settings need of it, e.g. its address."""

    def effects(self) -> Sequence[str]:
        """What it holds now: one text for each thing that a delivery has changed, in order."""
        ...

    def fault(self, fault: Fault | None) -> None:
        """Behave like this from now on; None: well."""
        ...

    async def reached(self) -> None:
        """Return when a delivery has come to it since the fault `hangs`."""
        ...


class TargetCase(Struct, frozen=True, kw_only=True):
    """A configured target and its foreign system."""

    name: str
    settings: dict[str, Any]
    foreign: Callable[[str], AbstractAsyncContextManager[Foreign]]
    """Starts the foreign system in a folder."""
    faults: Sequence[Fault] = ("away", "failing")
    """Those that this kind of system can have."""
    secrets: Mapping[str, bytes] = {}
    invalid_settings: Sequence[dict[str, Any]] = ()


def delivery(number: int = 1, *, data: bytes | None = None) -> Delivery:
    """One delivery of the suite; the same number is the same delivery."""
    body = {
        "order_id": f"A-{number}",
        "lines": [{"sku": "S-1", "quantity": {"value": "2", "unit": "H87"}}],
        "note": PERSON,
    }
    return Delivery(
        id=f"hq.orders.1.{number}",
        type="io.entrepot.order.created.v1",
        key=f"A-{number}",
        attributes={
            "specversion": "1.0",
            "id": f"1.{number}.0",
            "source": "entrepot/hq",
            "subject": f"A-{number}",
            "time": "2026-01-01T00:00:00+00:00",
        },
        data=msgspec.json.encode(body) if data is None else data,
        attempt=1,
        first_us=_NOW_US,
    )


def conformance(adapter: TargetAdapter, cases: Sequence[TargetCase]) -> list[Check]:
    """All checks for a target adapter. Every setting and behaviour that matters deserves a case."""
    checks = [Check("the entry object is complete", partial(_entry_is_complete, adapter))]
    for case in cases:
        checks += [Check(f"{case.name}: {title}", partial(do, adapter, case)) for title, do in _SETTINGS]
        checks += [Check(f"{case.name}: {title}", partial(_with_target, do, adapter, case)) for title, do in _EFFECTS]
        for fault in case.faults:
            title, do = _FAULTS[fault]
            checks.append(Check(f"{case.name}: {title}", partial(_with_target, do, adapter, case)))
    return checks


# ---------------------------------------------------------------- settings


async def _entry_is_complete(adapter: TargetAdapter, _directory: str) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]{0,39}", adapter.name), f"name {adapter.name!r} is not a plain identifier"
    config = getattr(adapter.settings, "__struct_config__", None)
    assert config is not None, "settings must be a msgspec Struct"
    assert config.forbid_unknown_fields, "settings must forbid unknown fields"


async def _settings_are_checked(adapter: TargetAdapter, case: TargetCase, directory: str) -> None:
    async with case.foreign(directory) as foreign:
        settings = {**case.settings, **foreign.settings}
        problems = adapter.check(_settings(adapter, settings), loopback=True)
        assert isinstance(problems, list | tuple), "check must return a list of sentences"
        assert all(problem.strip() for problem in problems), "a problem must be a sentence"
        for wrong in ({"no_such_key": 1}, *case.invalid_settings):
            try:
                adapter.check(_settings(adapter, {**settings, **wrong}), loopback=True)
            except (msgspec.ValidationError, ConfigError):
                continue
            raise AssertionError(f"these settings were taken: {wrong}")


async def _missing_secret_is_a_config_error(adapter: TargetAdapter, case: TargetCase, directory: str) -> None:
    if not case.secrets:
        return
    async with case.foreign(directory) as foreign:
        try:
            await _target(adapter, msgspec.structs.replace(case, secrets={}), foreign, directory, [])
        except ConfigError:
            return
    raise AssertionError("a target was made although its secret is missing")


# ---------------------------------------------------------------- effects and faults


class _Stage(Struct, frozen=True):
    """A target in front of its foreign system, and what it has said."""

    target: Target
    foreign: Foreign
    said: list[str]
    secrets: Sequence[bytes]

    async def fails(self, given: Delivery, kind: type[EntrepotError]) -> EntrepotError:
        """Deliver, and expect just this error."""
        error: EntrepotError | None = None
        try:
            await self.target.deliver(given)
        except EntrepotError as raised:
            error = raised
        assert error is not None, f"{kind.__name__} was expected, and the delivery counts as made"
        assert isinstance(error, kind), f"{type(error).__name__} instead of {kind.__name__}: {error}"
        assert str(error).strip(), "an error must be a sentence"
        self.said.extend([str(error), error.hint, repr(error)])
        return error

    def says_nothing_secret(self) -> None:
        """Whatever was said so far holds neither data nor secrets."""
        for text in self.said:
            assert PERSON not in text, f"an error or a log line repeats data: {text}"
            for secret in self.secrets:
                assert secret.decode("utf-8", "replace") not in text, "an error or a log line shows a secret"


async def _with_target(
    do: Callable[[_Stage], Awaitable[None]], adapter: TargetAdapter, case: TargetCase, directory: str
) -> None:
    async with case.foreign(directory) as foreign:
        said: list[str] = []
        target = await _target(adapter, case, foreign, directory, said)
        stage = _Stage(target, foreign, said, list(case.secrets.values()))
        try:
            with anyio.fail_after(SECONDS_MAX):
                await do(stage)
        finally:
            await target.close()
        stage.says_nothing_secret()


async def _arrives(stage: _Stage) -> None:
    for number in (1, 2, 3):
        made = await stage.target.deliver(delivery(number))
        assert PERSON not in made.reference, "a reference holds personal data"
    assert len(stage.foreign.effects()) == 3, f"3 deliveries had the effects {list(stage.foreign.effects())}"


async def _second_try(stage: _Stage) -> None:
    await stage.target.deliver(delivery())
    before = list(stage.foreign.effects())
    await stage.target.deliver(msgspec.structs.replace(delivery(), attempt=2))
    if stage.target.idempotent:
        assert list(stage.foreign.effects()) == before, (
            "it says that it is idempotent, and a second try changed something"
        )


async def _wants_is_pure(stage: _Stage) -> None:
    for attributes in ({}, {"subject": ""}, {"\udcff": "\udcff"}, {"subject": "x" * 70_000}):
        first = stage.target.wants("io.entrepot.order.created.v1", attributes)
        assert first in {True, False}, "wants must give a bool"
        assert stage.target.wants("io.entrepot.order.created.v1", attributes) == first, "wants changes its mind"


async def _broken_data(stage: _Stage) -> None:
    for data in (b"", b"{", b"\xff\xfe", b'"' + PERSON.encode() + b'"', b"[" * 5_000, b"null"):
        try:
            await stage.target.deliver(delivery(data=data))
        except EntrepotError as error:
            stage.said.append(str(error))


async def _cancelled(stage: _Stage) -> None:
    """A stop in the middle; the next try brings it to its end."""
    with anyio.CancelScope() as scope:
        scope.cancel()
        await stage.target.deliver(delivery())
    await stage.target.deliver(delivery())
    if stage.target.idempotent:
        assert len(stage.foreign.effects()) == 1, (
            "a delivery that was cancelled and tried again had other effects than one"
        )


async def _closes_twice(stage: _Stage) -> None:
    await stage.target.deliver(delivery())
    await stage.target.close()
    await stage.target.close()


async def _comes_back(fault: Fault, stage: _Stage) -> None:
    stage.foreign.fault(fault)
    before = list(stage.foreign.effects())
    error = await stage.fails(delivery(), Retryable)
    after = error.after_seconds if isinstance(error, Retryable) else None
    assert after is None or after >= 0, "after_seconds is a duration"
    stage.foreign.fault(None)
    await stage.target.deliver(msgspec.structs.replace(delivery(), attempt=2))
    assert len(stage.foreign.effects()) == len(before) + 1, "the delivery did not arrive after the fault"


async def _refused(stage: _Stage) -> None:
    stage.foreign.fault("refuses")
    await stage.fails(delivery(), Permanent)
    stage.foreign.fault(None)
    await stage.target.deliver(delivery(2))


async def _gone(stage: _Stage) -> None:
    stage.foreign.fault("gone")
    await stage.fails(delivery(), Refused)


async def _hangs(stage: _Stage) -> None:
    """Somebody else's delivery is not held up by one that hangs, and a cancelled one leaves no wreck."""
    stage.foreign.fault("hangs")
    async with anyio.create_task_group() as group:
        group.start_soon(stage.target.deliver, delivery())
        await stage.foreign.reached()
        group.cancel_scope.cancel()
    stage.foreign.fault(None)
    await stage.target.deliver(delivery(2))


_SETTINGS: tuple[tuple[str, Callable[[TargetAdapter, TargetCase, str], Awaitable[None]]], ...] = (
    ("its settings are checked, wrong ones refused", _settings_are_checked),
    ("a missing secret is a configuration error", _missing_secret_is_a_config_error),
)
_EFFECTS: tuple[tuple[str, Callable[[_Stage], Awaitable[None]]], ...] = (
    ("each delivery has its effect", _arrives),
    ("a second try of a delivery changes nothing where it says so", _second_try),
    ("what it wants depends on the event alone", _wants_is_pure),
    ("data that is broken ends in an error of ours, if in any", _broken_data),
    ("being cancelled leaves nothing half done", _cancelled),
    ("it closes, and closes again", _closes_twice),
)
_FAULTS: Mapping[Fault, tuple[str, Callable[[_Stage], Awaitable[None]]]] = {
    "away": ("a system that is away is tried again", partial(_comes_back, "away")),
    "failing": ("a system that cannot now is tried again", partial(_comes_back, "failing")),
    "refuses": ("what is refused for good becomes a letter, and the next one goes on", _refused),
    "gone": ("a system that wants no more is left alone", _gone),
    "hangs": ("a system that does not answer holds up nothing", _hangs),
}


# ---------------------------------------------------------------- means


def _settings(adapter: TargetAdapter, table: Mapping[str, Any]) -> Any:
    return msgspec.convert(dict(table), adapter.settings)


async def _target(
    adapter: TargetAdapter, case: TargetCase, foreign: Foreign, directory: str, said: list[str]
) -> Target:
    def secret(name: str) -> bytes:
        try:
            return case.secrets[name]
        except KeyError:
            raise ConfigError(f"{name} is missing") from None

    def log(event: str, **fields: Any) -> None:
        said.append(f"{event} {fields}")

    context = TargetContext(
        name="conformance",
        region="eu-de",
        secret=secret,
        directory=directory,
        log=log,
        now_us=lambda: _NOW_US,
    )
    # It reads files, so it is made where that may take its time.
    settings = _settings(adapter, {**case.settings, **foreign.settings})
    return await run_sync(partial(adapter.target, settings, context))
