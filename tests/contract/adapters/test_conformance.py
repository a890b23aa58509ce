"""The suite for adapters can fail: each broken adapter here is caught by the check that is there for it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest
from msgspec import Struct

from adapters.sdk.conformance import Case, FetchCase, HttpCase, conformance
from runtime.envelope import Message
from runtime.errors import Refused, Retryable
from runtime.ports import Request, SourceContext


class Strict(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Loose(Struct, frozen=True, kw_only=True):
    pass


class Doors:
    """A source whose check of the caller is given."""

    def __init__(self, check: Any) -> None:
        self.authenticate = check

    async def run(self) -> None: ...


class Spool:
    """Takes every file of the folder in one message each; `keyed` and `archive_first` are how it may be wrong."""

    def __init__(self, context: SourceContext, *, keyed: bool, archive_first: bool, gives_up: bool) -> None:
        self.context = context
        self.keyed = keyed
        self.archive_first = archive_first
        self.gives_up = gives_up

    def authenticate(self, request: Request) -> None:
        raise Refused("no requests")

    async def run(self) -> None:
        while True:
            for path in sorted(Path(self.context.directory).iterdir()):
                await self.take(path)
            await anyio.sleep(0.01)

    async def take(self, path: Path) -> None:
        message = Message(body=path.read_bytes(), key=path.name if self.keyed else None)
        if self.archive_first:
            path.unlink()
        try:
            await self.context.intake.accept([message])
        except Retryable:
            if not self.gives_up:
                raise
        path.unlink(missing_ok=True)


class Broken:
    """An adapter with one fault, or none."""

    name = "broken"
    accepts_http = True

    def __init__(self, settings: type[Struct] = Strict, make: Any = None, check: Sequence[str] = ()) -> None:
        self.settings = settings
        self._make = make or (lambda _context: Doors(honest))
        self._check = check

    def source(self, settings: Any, context: SourceContext) -> Any:
        return self._make(context)

    def check(self, settings: Any, *, loopback: bool) -> Sequence[str]:
        return list(self._check)


def honest(request: Request) -> None:
    if request.headers.get("token") != f"good {len(request.body)} {request.body[:1]!r}":
        raise Refused("no")


def open_to_all(request: Request) -> None: ...


def ignores_the_body(request: Request) -> None:
    if not request.headers.get("token", "").startswith("good"):
        raise Refused("no")


def chokes(request: Request) -> None:
    request.headers.get("token", "").encode("ascii")
    honest(request)


def spool(*, keyed: bool = True, archive_first: bool = False, gives_up: bool = False) -> Any:
    return lambda context: Spool(context, keyed=keyed, archive_first=archive_first, gives_up=gives_up)


def put(*names: str) -> Any:
    def arrange(directory: str) -> None:
        for name in names:
            Path(directory, f"{name}").write_text(name)
            os.utime(Path(directory, name))

    return arrange


GOOD = Request(headers={"token": "good 1 b'x'"}, body=b"x")
HTTP = HttpCase(name="case", settings={}, passes=[GOOD], refused=[Request(headers={}, body=b"x")])
FETCH = FetchCase(
    name="case",
    settings={},
    arrange=put("a", "b", "c"),
    expected=[b"a", b"b", b"c"],
    arrange_last=put("z"),
    expected_last=[b"z"],
)


async def failing(adapter: Any, case: Case, tmp_path: Path) -> set[str]:
    """Titles of the checks that did not hold."""
    failed = set()
    for number, check in enumerate(conformance(adapter, [case])):
        folder = tmp_path / str(number)
        folder.mkdir()
        try:
            await check.run(str(folder))
        except Exception:
            failed.add(check.name.removeprefix("case: "))
    return failed


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("adapter", "case", "caught"),
    [
        (Broken(), HTTP, set()),
        (Broken(Loose), HTTP, {"the entry object is complete", "wrong settings are refused"}),
        (Broken(check=["  "]), HTTP, {"its settings decode"}),
        (Broken(make=lambda _: Doors(open_to_all)), HTTP, {"others are refused", "a changed body is refused"}),
        (Broken(make=lambda _: Doors(ignores_the_body)), HTTP, {"a changed body is refused"}),
        (Broken(make=lambda _: Doors(chokes)), HTTP, {"hostile headers never raise anything but Refused"}),
        (Broken(make=spool()), FETCH, set()),
        (
            Broken(make=spool(keyed=False)),
            FETCH,
            {
                "a crash after the commit loses and doubles nothing",
                "being cancelled after the commit loses and doubles nothing",
            },
        ),
    ],
    ids=["sound", "loose settings", "empty problem", "open", "body unsigned", "chokes", "sound spool", "no keys"],
)
async def test_a_fault_is_caught_by_its_check(adapter: Any, case: Case, caught: set[str], tmp_path: Path) -> None:
    assert await failing(adapter, case, tmp_path) == caught


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("make", "caught"),
    [
        (spool(archive_first=True), "a crash before the commit loses and doubles nothing"),
        (spool(gives_up=True), "a full disk is waited out"),
    ],
    ids=["archives first", "gives up"],
)
async def test_a_loss_is_caught(make: Any, caught: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What is lost never arrives; the suite must not need its whole patience to say so here.
    monkeypatch.setattr("adapters.sdk.conformance.FETCH_SECONDS_MAX", 0.5)
    assert caught in await failing(Broken(make=make), FETCH, tmp_path)
