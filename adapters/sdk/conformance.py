"""The suite every adapter must pass, ours and a stranger's: settings, authentication, and nothing lost or doubled.

`conformance(adapter, cases)` gives a list of checks; run each in an empty folder of its own under anyio:
`@pytest.mark.parametrize("check", conformance(ADAPTER, CASES), ids=str)` and `await check.run(str(tmp_path))`.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

import anyio
import msgspec
from anyio.to_thread import run_sync
from msgspec import Struct

from adapters.sdk.recording import Crash, Fault, RecordingIntake
from runtime.errors import ConfigError, Refused, Retryable
from runtime.ports import Adapter, Request, Source, SourceContext, admit_nobody

FETCH_SECONDS_MAX = 30.0
"""A fetching source must have handed over a case within this time, after any fault."""
CRASH_CALLS_MAX = 12
_NOW_US = 1_767_225_600_000_000
_HOSTILE = ("", " ", "\0", "=", ",", "é", "\udcff", "0", "zz", "A" * 70_000, "Bearer", "Bearer \udcff", "{}", "%00")


class HttpCase(Struct, frozen=True, kw_only=True):
    """A configured source that answers HTTP."""

    name: str
    settings: dict[str, Any]
    passes: Sequence[Request]
    """Requests of the true sender."""
    refused: Sequence[Request] = ()
    """Requests of somebody else."""
    signs_body: bool = True
    """A changed body must be refused."""
    secrets: Mapping[str, bytes] = {}
    admit: Callable[[Request], str] = admit_nobody
    """The callers that the kernel knows; see `SourceContext.admit`."""
    invalid_settings: Sequence[dict[str, Any]] = ()


class FetchCase(Struct, frozen=True, kw_only=True):
    """A configured source that fetches by itself."""

    name: str
    settings: dict[str, Any]
    arrange: Callable[[str], None]
    """Put the foreign system into the folder, or point it there. Blocking; runs in a worker thread."""
    expected: Sequence[bytes]
    """The bodies that must be stored, in this order, each once."""
    arrange_last: Callable[[str], None]
    """Something that comes later; once it has arrived, all before it has been dealt with."""
    expected_last: Sequence[bytes]
    secrets: Mapping[str, bytes] = {}
    invalid_settings: Sequence[dict[str, Any]] = ()


Case = HttpCase | FetchCase


class Check(Struct, frozen=True):
    """One thing that must hold."""

    name: str
    run: Callable[[str], Awaitable[None]]
    """Takes an empty folder. Raises `AssertionError` with a sentence when the adapter does not keep the promise."""

    def __str__(self) -> str:
        return self.name


def conformance(adapter: Adapter, cases: Sequence[Case]) -> list[Check]:
    """All checks for an adapter. Every setting and behaviour that matters deserves a case."""
    checks = [Check("the entry object is complete", partial(_entry_is_complete, adapter))]
    for case in cases:
        checks += [Check(f"{case.name}: {title}", partial(do, adapter, case)) for title, do in _COMMON]
        if isinstance(case, HttpCase):
            checks += [Check(f"{case.name}: {title}", partial(do, adapter, case)) for title, do in _HTTP]
        else:
            checks += [Check(f"{case.name}: {title}", partial(do, adapter, case)) for title, do in _FETCH]
    return checks


# ---------------------------------------------------------------- every adapter


async def _entry_is_complete(adapter: Adapter, _directory: str) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]{0,39}", adapter.name), f"name {adapter.name!r} is not a plain identifier"
    config = getattr(adapter.settings, "__struct_config__", None)
    assert config is not None, "settings must be a msgspec Struct"
    assert config.forbid_unknown_fields, "settings must forbid unknown fields"
    assert adapter.accepts_http in {True, False}, "accepts_http must be a bool"


async def _settings_decode(adapter: Adapter, case: Case, _directory: str) -> None:
    settings = _settings(adapter, case.settings)
    problems = adapter.check(settings, loopback=True)
    assert isinstance(problems, list | tuple), "check must return a list of sentences"
    assert all(problem.strip() for problem in problems), "a problem must be a sentence"


async def _wrong_settings_are_refused(adapter: Adapter, case: Case, _directory: str) -> None:
    for wrong in ({**case.settings, "no_such_key": 1}, *case.invalid_settings):
        try:
            settings = _settings(adapter, wrong)
            adapter.check(settings, loopback=True)
        except (msgspec.ValidationError, ConfigError):
            continue
        raise AssertionError(f"these settings were taken: {wrong}")


async def _missing_secret_is_a_config_error(adapter: Adapter, case: Case, directory: str) -> None:
    if not case.secrets:
        return
    bare = msgspec.structs.replace(case, secrets={})
    try:
        _source(adapter, bare, RecordingIntake(), directory)
    except ConfigError:
        return
    raise AssertionError("a source was made although its secret is missing")


# ---------------------------------------------------------------- sources that answer HTTP


async def _true_sender_passes(adapter: Adapter, case: HttpCase, directory: str) -> None:
    source = _source(adapter, case, RecordingIntake(), directory)
    for request in case.passes:
        source.authenticate(request)


async def _others_are_refused(adapter: Adapter, case: HttpCase, directory: str) -> None:
    source = _source(adapter, case, RecordingIntake(), directory)
    for request in case.refused:
        assert not _passes(source, request), f"a stranger passed with {dict(request.headers)}"


async def _changed_body_is_refused(adapter: Adapter, case: HttpCase, directory: str) -> None:
    if not case.signs_body:
        return
    source = _source(adapter, case, RecordingIntake(), directory)
    for request in case.passes:
        for body in (request.body + b" ", request.body[:-1], b"", request.body[::-1] + b"x"):
            assert not _passes(source, msgspec.structs.replace(request, body=body)), "a changed body passed"


async def _hostile_headers_never_raise(adapter: Adapter, case: HttpCase, directory: str) -> None:
    source = _source(adapter, case, RecordingIntake(), directory)
    for request in case.passes:
        for name in request.headers:
            for value in (*_HOSTILE, request.headers[name] + "\n", request.headers[name][:-1]):
                _passes(source, msgspec.structs.replace(request, headers={**request.headers, name: value}))
        _passes(source, msgspec.structs.replace(request, headers={}))


async def _nothing_to_fetch_returns(adapter: Adapter, case: HttpCase, directory: str) -> None:
    intake = RecordingIntake()
    with anyio.fail_after(FETCH_SECONDS_MAX):
        await _source(adapter, case, intake, directory).run()
    assert not intake.messages, "a source that only answers HTTP stored something by itself"


# ---------------------------------------------------------------- sources that fetch


async def _bodies_arrive_exactly(adapter: Adapter, case: FetchCase, directory: str) -> None:
    await run_sync(case.arrange, directory)
    intake = RecordingIntake()
    await _finish(adapter, case, intake, directory)


async def _survives(fault: Fault, adapter: Adapter, case: FetchCase, directory: str) -> None:
    """At every call of `accept`, one after the other, each in a folder of its own."""
    for call in range(1, CRASH_CALLS_MAX + 1):
        folder = anyio.Path(directory, f"{fault} {call}")
        await folder.mkdir()
        await run_sync(case.arrange, str(folder))
        intake = RecordingIntake()
        intake.fault, intake.fault_at = fault, call
        if not await _interrupted(adapter, case, intake, str(folder)):
            return
        await _finish(adapter, case, intake, str(folder))


async def _interrupted(adapter: Adapter, case: FetchCase, intake: RecordingIntake, directory: str) -> bool:
    """Run until the fault struck; False when everything was stored without that many calls."""
    source = _source(adapter, case, intake, directory)
    crashed = False

    async def run() -> None:
        nonlocal crashed
        try:
            await source.run()
        except* Crash:
            crashed = True
        except* Retryable:
            pass  # the supervisor starts it again, as `_finish` does
        group.cancel_scope.cancel()

    async def stop_when_stored() -> None:
        await intake.stored(len(case.expected))
        group.cancel_scope.cancel()

    async def stop_when_hanging() -> None:
        await intake.hanging.wait()
        group.cancel_scope.cancel()

    with anyio.fail_after(FETCH_SECONDS_MAX):
        async with anyio.create_task_group() as group:
            for step in (run, stop_when_stored, stop_when_hanging):
                group.start_soon(step)
    return crashed or intake.hanging.is_set() or (intake.fault == "full" and intake.calls >= intake.fault_at)


async def _finish(adapter: Adapter, case: FetchCase, intake: RecordingIntake, directory: str) -> None:
    """A fresh start must bring the rest, once, in order, and then go on with what comes later."""
    wanted = [*case.expected, *case.expected_last]
    with anyio.move_on_after(FETCH_SECONDS_MAX):
        async with anyio.create_task_group() as group:
            group.start_soon(_source(adapter, case, intake, directory).run)
            await intake.stored(len(case.expected))
            await run_sync(case.arrange_last, directory)
            await intake.stored(len(wanted))
            group.cancel_scope.cancel()
    assert intake.bodies == wanted, f"stored {intake.bodies!r} instead of {wanted!r}"


async def _http_is_refused(adapter: Adapter, case: FetchCase, directory: str) -> None:
    if adapter.accepts_http:
        return
    source = _source(adapter, case, RecordingIntake(), directory)
    assert not _passes(source, Request(headers={}, body=b"{}")), "a request passed although accepts_http is False"


# ---------------------------------------------------------------- means


def _settings(adapter: Adapter, table: dict[str, Any]) -> Any:
    return msgspec.convert(table, adapter.settings)


def _source(adapter: Adapter, case: Case, intake: RecordingIntake, directory: str) -> Source:
    def secret(name: str) -> bytes:
        try:
            return case.secrets[name]
        except KeyError:
            raise ConfigError(f"{name} is missing") from None

    context = SourceContext(
        name="conformance",
        intake=intake,
        secret=secret,
        directory=directory,
        log=lambda _event, **_fields: None,
        now_us=lambda: _NOW_US,
        admit=case.admit if isinstance(case, HttpCase) else admit_nobody,
    )
    return adapter.source(_settings(adapter, case.settings), context)


def _passes(source: Source, request: Request) -> bool:
    """True or False; any other exception than `Refused` fails the check."""
    try:
        source.authenticate(request)
    except Refused:
        return False
    return True


_COMMON: tuple[tuple[str, Callable[[Adapter, Any, str], Awaitable[None]]], ...] = (
    ("its settings decode", _settings_decode),
    ("wrong settings are refused", _wrong_settings_are_refused),
    ("a missing secret is a configuration error", _missing_secret_is_a_config_error),
)
_HTTP: tuple[tuple[str, Callable[[Adapter, Any, str], Awaitable[None]]], ...] = (
    ("the true sender passes", _true_sender_passes),
    ("others are refused", _others_are_refused),
    ("a changed body is refused", _changed_body_is_refused),
    ("hostile headers never raise anything but Refused", _hostile_headers_never_raise),
    ("there is nothing to fetch", _nothing_to_fetch_returns),
)
_FETCH: tuple[tuple[str, Callable[[Adapter, Any, str], Awaitable[None]]], ...] = (
    ("bodies arrive exactly, once and in order", _bodies_arrive_exactly),
    ("a crash before the commit loses and doubles nothing", partial(_survives, "crash before")),
    ("a crash after the commit loses and doubles nothing", partial(_survives, "crash after")),
    ("being cancelled before the commit loses and doubles nothing", partial(_survives, "hang before")),
    ("being cancelled after the commit loses and doubles nothing", partial(_survives, "hang after")),
    ("a full disk is waited out", partial(_survives, "full")),
    ("requests are refused", _http_is_refused),
)
