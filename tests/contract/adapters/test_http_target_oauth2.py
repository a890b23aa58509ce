"""An HTTP target that gets tokens keeps what the suite asks, asks for no token in vain, and says nothing secret."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from adapters.http_target import TARGET
from adapters.http_target.target import NO_TOKEN_SECONDS, HttpTarget
from adapters.sdk.conformance import Check
from adapters.sdk.target_conformance import Foreign, TargetCase, conformance, delivery
from runtime.errors import EntrepotError, Retryable
from runtime.ports import TargetContext
from tests.support.receivers import receiver
from tests.support.tokens import SECRET, SECRET_NAME, Guarded, guarded

ONCE = {"idempotency_header": "Idempotency-Key"}
SECRETS = {SECRET_NAME: SECRET, "secret://refresh": b"refresh-of-the-test"}
API_ILL: Callable[[str], AbstractAsyncContextManager[Foreign]] = lambda _directory: guarded("api")  # noqa: E731
TOKENS_ILL: Callable[[str], AbstractAsyncContextManager[Foreign]] = lambda _directory: guarded("tokens")  # noqa: E731
CASES = [
    TargetCase(
        name="oauth2",
        settings={**ONCE, "gone": [410]},
        secrets={SECRET_NAME: SECRET},
        foreign=API_ILL,
        faults=("away", "failing", "refuses", "gone", "hangs"),
        invalid_settings=[{"auth": {"token_url": "https://login.example/"}}],
    ),
    TargetCase(
        name="oauth2, no token to be had",
        settings=ONCE,
        secrets={SECRET_NAME: SECRET},
        foreign=TOKENS_ILL,
        faults=("away", "failing", "hangs"),
    ),
]


@pytest.mark.anyio
@pytest.mark.parametrize("check", conformance(TARGET, CASES), ids=str)
async def test_the_target_conforms(check: Check, tmp_path: Path) -> None:
    await check.run(str(tmp_path))


@asynccontextmanager
async def target(there: Guarded, **auth: Any) -> AsyncIterator[HttpTarget]:
    settings = {**there.settings, **ONCE, "auth": {**there.tokens.auth, **auth}}
    context = TargetContext(
        name="erp", region="eu-de", secret=SECRETS.__getitem__, directory=".", log=lambda *_, **__: None,
        now_us=lambda: 1_767_225_600_000_000,
    )  # fmt: skip
    made = TARGET.target(msgspec.convert(settings, TARGET.settings), context)
    try:
        yield made
    finally:
        await made.close()


async def fails(out: HttpTarget, number: int = 1) -> Retryable:
    """Deliver, and expect to be told to come back, without a word of what is secret."""
    with pytest.raises(EntrepotError) as caught:
        await out.deliver(delivery(number))
    error = caught.value
    assert isinstance(error, Retryable), "a login is no fault of a delivery"
    for word in (SECRET.decode(), "tok-", "Ingeborg", "refresh-of"):
        assert word not in f"{error!r} {error} {error.hint}"
    return error


async def all_fail(out: HttpTarget, there: Guarded, count: int = 8) -> list[Retryable]:
    """So many at once, none of them answered before all have begun."""
    found: list[Retryable] = []

    async def one(number: int) -> None:
        found.append(await fails(out, number))

    there.tokens.held = anyio.Event()
    async with anyio.create_task_group() as group:
        for number in range(count):
            group.start_soon(one, number)
        await there.tokens.reached()
        await anyio.wait_all_tasks_blocked()
        there.tokens.held.set()
    there.tokens.held = None
    return found


# ---------------------------------------------------------------- one token for all


@pytest.mark.anyio
async def test_many_deliveries_at_once_and_later_ones_share_one_token() -> None:
    async with guarded() as there, target(there) as out:
        there.tokens.held = anyio.Event()
        async with anyio.create_task_group() as group:
            for number in range(16):
                group.start_soon(out.deliver, delivery(number))
            await there.tokens.reached()
            await anyio.wait_all_tasks_blocked()
            there.tokens.held.set()
        await out.deliver(delivery(99))
        assert len(there.effects()) == 17
        assert (len(there.tokens.asked), len(there.api.received)) == (1, 17)
        assert {each.headers["Authorization"] for each in there.api.received} == {f"Bearer {there.tokens.given[0]}"}


@pytest.mark.anyio
async def test_a_token_that_is_not_taken_any_more_is_replaced_once_for_all_and_nobody_fails() -> None:
    async with guarded() as there, target(there) as out:
        await out.deliver(delivery(0))
        there.tokens.revoke()
        async with anyio.create_task_group() as group:
            for number in range(1, 9):
                group.start_soon(out.deliver, delivery(number))
        assert len(there.effects()) == 9
        assert len(there.tokens.given) == 2


@pytest.mark.anyio
async def test_a_new_token_that_is_not_taken_either_is_a_refused_login() -> None:
    async with guarded() as there, target(there) as out:
        there.api.guard = lambda _headers: False
        error = await fails(out)
        assert "answered 401" in str(error)
        assert "scope" in error.hint
        assert (len(there.tokens.given), len(there.api.received)) == (2, 2)


@pytest.mark.anyio
async def test_a_token_without_time_is_asked_for_anew_each_time() -> None:
    async with guarded() as there, target(there) as out:
        there.tokens.seconds = "0"
        for number in range(3):
            await out.deliver(delivery(number))
        assert len(there.tokens.given) == 3


# ---------------------------------------------------------------- how it is asked for


@pytest.mark.anyio
async def test_id_and_secret_go_in_the_header_each_encoded_for_itself_or_in_the_form() -> None:
    async with guarded() as there:
        there.tokens.scope = "https://api.example/.default"
        async with target(there, scope="https://api.example/.default", audience="erp") as out:
            await out.deliver(delivery(1))
        async with target(there, scope="https://api.example/.default", send="body") as out:
            await out.deliver(delivery(2))
        in_header, in_form = there.tokens.asked
    assert in_header["Authorization"].startswith("Basic ")
    assert (in_header["grant_type"], in_header["audience"]) == ("client_credentials", "erp")
    assert "client_secret" not in in_header
    assert (in_form["Authorization"], in_form["client_secret"]) == ("", SECRET.decode())
    assert in_form["Content-Type"] == "application/x-www-form-urlencoded"


@pytest.mark.anyio
async def test_a_refresh_token_is_good_for_a_token_that_stands_where_the_partner_wants_it() -> None:
    async with guarded() as there, target(there, refresh="secret://refresh", header="X-Access-Token") as out:
        there.api.guard = lambda _headers: True
        await out.deliver(delivery())
        [form], [got] = there.tokens.asked, there.api.received
        assert (form["grant_type"], form["refresh_token"]) == ("refresh_token", "refresh-of-the-test")
        assert got.headers["X-Access-Token"] == there.tokens.given[0]
        assert "Authorization" not in got.headers


# ---------------------------------------------------------------- no token to be had


@pytest.mark.anyio
async def test_a_wrong_secret_is_said_once_for_all_and_rests_the_target() -> None:
    async with guarded() as there, target(there) as out:
        there.tokens.secret = "another one"
        found = await all_fail(out, there)
        assert {str(error) for error in found} == {f"{there.tokens.url} gives no token (401 invalid_client)"}
        assert {error.after_seconds for error in found} == {NO_TOKEN_SECONDS}
        assert "compare client_id and secret" in found[0].hint
        assert (len(there.tokens.asked), len(there.api.received)) == (1, 0), "asked for once, and nothing was sent"
        there.tokens.secret = SECRET.decode()
        await out.deliver(delivery())
        assert len(there.effects()) == 1


@pytest.mark.anyio
async def test_whoever_gives_tokens_says_when_to_come_back_and_all_who_waited_have_heard_it() -> None:
    async with guarded() as there, target(there) as out:
        there.tokens.answers = [(503, {"Retry-After": "11"}, b"")] * 8
        found = await all_fail(out, there)
        assert {(str(error), error.after_seconds) for error in found} == {
            (f"{there.tokens.url} gives no token (503)", 11.0)
        }
        assert len(there.tokens.asked) == 1


@pytest.mark.anyio
async def test_whoever_gives_tokens_and_is_not_there_is_named_and_not_the_api() -> None:
    async with receiver() as gone:
        closed = gone.url
    async with guarded() as there, target(there, token_url=f"{closed}/token") as out:
        assert str(await fails(out)).startswith(f"{closed} cannot be reached")
        assert there.api.received == []


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("status", "body", "says", "after"),
    [
        (400, b'{"error": "invalid_scope"}', "gives no token (400 invalid_scope)", NO_TOKEN_SECONDS),
        (400, b'{"error": "cl1ent+s3cret/of=the%region"}', "gives no token (400)", NO_TOKEN_SECONDS),
        (400, b'{"error": {"code": "Ingeborg"}}', "gives no token (400)", NO_TOKEN_SECONDS),
        (400, b'{"error": "temporarily_unavailable"}', "gives no token (400 temporarily_unavailable)", None),
        (404, b"", "gives no token (404)", NO_TOKEN_SECONDS),
        (302, b"", "gives no token (302)", NO_TOKEN_SECONDS),
        (429, b"", "gives no token (429)", None),
        (200, b"<html>Ingeborg</html>", "something that is no token", None),
        (200, b'{"access_token": ""}', "cannot stand in a header", None),
        (200, b'{"access_token": "a\\r\\nX-Admin: 1"}', "cannot stand in a header", None),
        (200, b'{"access_token": 7}', "something that is no token", None),
        (200, b'{"access_token": "' + b"x" * 70_000 + b'"}', "something that is no token", None),
        (200, b"[" * 5_000, "something that is no token", None),
    ],
)
async def test_an_answer_without_a_token_is_a_sentence_that_repeats_nothing(
    status: int, body: bytes, says: str, after: float | None
) -> None:
    async with guarded() as there, target(there) as out:
        there.tokens.answers = [(status, {"Location": "https://evil.example/"} if status == 302 else {}, body)]
        error = await fails(out)
        assert str(error) == f"{there.tokens.url} {says}" or says in str(error)
        assert error.after_seconds == after
        assert there.api.received == []
        await out.deliver(delivery())


@pytest.mark.anyio
async def test_a_delivery_that_is_cancelled_while_it_waits_for_a_token_leaves_the_others_their_turn() -> None:
    async with guarded() as there, target(there) as out:
        there.tokens.held = anyio.Event()
        async with anyio.create_task_group() as group:
            first = anyio.CancelScope()

            async def cancelled() -> None:
                with first:
                    await out.deliver(delivery(1))

            group.start_soon(cancelled)
            await there.tokens.reached()
            group.start_soon(partial(out.deliver, delivery(2)))
            await anyio.wait_all_tasks_blocked()
            first.cancel()
            there.tokens.held.set()
        assert there.effects() == ["hq.orders.1.2"]


@pytest.mark.anyio
@pytest.mark.parametrize("broken", [b"two\nlines", b"", "ümlaut".encode()])
async def test_a_secret_that_no_header_can_carry_is_said_before_the_start(
    broken: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SECRETS, "secret://broken", broken)
    async with guarded() as there:
        with pytest.raises(EntrepotError, match="secret://broken is empty or holds what cannot stand in a header"):
            async with target(there, secret="secret://broken"):
                pass
