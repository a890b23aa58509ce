"""The polling adapter conforms, loses and doubles nothing whatever the partner does, and never goes elsewhere."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from aiohttp import web

from adapters.rest_poll import ADAPTER
from adapters.rest_poll.adapter import RestPollSource
from adapters.rest_poll.cursor import Position, read_position
from adapters.sdk.conformance import Check, FetchCase, conformance
from adapters.sdk.recording import RecordingIntake
from runtime.errors import ConfigError, EntrepotError, Permanent, Retryable
from runtime.ports import SourceContext
from tests.support.partner import Partner, answer, item, partner

pytestmark = pytest.mark.anyio
NOW_US = 1_772_323_200_000_000
"""2026-03-01."""
CURSOR = {"path": "updated_at", "start": "2026-01-01T00:00:00Z", "overlap_seconds": 60}
QUICK: dict[str, Any] = {
    "networks": ["loopback"], "items": "data.items", "id": "id", "every_seconds": 0.05, "backoff_seconds_min": 0.001,
    "backoff_seconds_max": 0.01, "open_seconds": 0.05, "requests_per_hour_max": 1_000_000, "pages": {"by": "link"},
    "cursor": CURSOR,
}  # fmt: skip
SEEN: list[Partner] = []
"""The partner of the check that runs: checks know it by its settings alone."""


def bodies(*numbers: int) -> list[bytes]:
    return [json.dumps(item(number)).encode() for number in numbers]


def giving(*numbers: int) -> Callable[[str], None]:
    def arrange(_directory: str) -> None:
        SEEN[-1].items = [item(number) for number in numbers]

    return arrange


def adding(number: int) -> Callable[[str], None]:
    return lambda _directory: SEEN[-1].items.append(item(number))


NOWHERE = "https://partner.example"
CASES = [
    FetchCase(
        name="pages by link",
        settings={**QUICK, "url": f"{NOWHERE}/items?since={{cursor}}"},
        arrange=giving(1, 2, 3, 4, 5, 6, 7),
        expected=bodies(1, 2, 3, 4, 5, 6, 7),
        arrange_last=adding(8),
        expected_last=bodies(8),
        invalid_settings=(
            {},
            {**QUICK, "url": "ftp://partner.example/{cursor}"},
            {**QUICK, "url": "http://partner.example/{cursor}"},
            {**QUICK, "url": "https://user:word@partner.example/{cursor}"},
            {**QUICK, "url": "https://169.254.169.254/{cursor}"},
            {**QUICK, "url": "https://10.0.0.1/{cursor}"},
            {**QUICK, "url": "https://{cursor}.example/"},
            {**QUICK, "url": "http://127.0.0.1/{cursor}", "networks": []},
            {**QUICK, "url": "https://partner.example/items"},
            {**QUICK, "url": "https://partner.example/{cursor}", "cursor": {"path": "at"}},
            {**QUICK, "url": "https://partner.example/{cursor}", "cursor": {"path": "at", "start": "yesterday"}},
            {**QUICK, "url": "https://partner.example/{cursor}", "pages": {"by": "body"}},
            {**QUICK, "url": "https://partner.example/{cursor}", "items": "data..items"},
            {**QUICK, "url": "https://partner.example/{cursor}", "login": {"kind": "bearer"}},
            {**QUICK, "url": "https://partner.example/{cursor}", "login": {"kind": "bearer", "secret": "the word"}},
        ),
    ),
    FetchCase(
        name="pages by a token in the body, with a bearer token",
        settings={
            **QUICK, "url": f"{NOWHERE}/items?since={{cursor}}",
            "pages": {"by": "body", "path": "next", "parameter": "page"},
            "login": {"kind": "bearer", "secret": "secret://carrier"},
        },
        arrange=giving(1, 2, 3, 4),
        expected=bodies(1, 2, 3, 4),
        arrange_last=adding(5),
        expected_last=bodies(5),
        secrets={"secret://carrier": b"word"},
    ),
    FetchCase(
        name="keyset",
        settings={**QUICK, "url": f"{NOWHERE}/items?since={{cursor}}", "pages": {"by": "keyset"}},
        arrange=giving(1, 2, 3, 4, 5),
        expected=bodies(1, 2, 3, 4, 5),
        arrange_last=adding(6),
        expected_last=bodies(6),
    ),
    FetchCase(
        name="no cursor and no pages",
        settings={**{k: v for k, v in QUICK.items() if k not in {"cursor", "pages"}}, "url": f"{NOWHERE}/items"},
        arrange=giving(1, 2),
        expected=bodies(1, 2),
        arrange_last=adding(3),
        expected_last=bodies(3),
    ),
]  # fmt: skip


@pytest.mark.parametrize("check", conformance(ADAPTER, CASES), ids=str)
async def test_the_polling_adapter_conforms(check: Check, tmp_path: Path) -> None:
    async with partner() as served:
        if "token in the body" in check.name:
            served.by = "body"
        SEEN.append(served)
        case = next((case for case in CASES if check.name.startswith(f"{case.name}: ")), None)
        if case is None:
            await check.run(str(tmp_path))
            return
        written = case.settings["url"]
        case.settings["url"] = written.replace(NOWHERE, served.url)
        try:
            await check.run(str(tmp_path))
        finally:
            case.settings["url"] = written
            SEEN.remove(served)


class Site:
    """One source, its intake, and its partner."""

    def __init__(self, served: Partner, **settings: Any) -> None:
        self.partner = served
        self.intake = RecordingIntake()
        self.log: list[tuple[str, dict[str, Any]]] = []
        self.logged = anyio.Event()
        self.settings = {**QUICK, "url": f"{served.url}/items?since={{cursor}}", **settings}
        self.key: Callable[..., str | None] = lambda body, kind, headers: None

    def source(self) -> RestPollSource:
        settings = msgspec.convert(self.settings, ADAPTER.settings)
        ADAPTER.check(settings, loopback=True)
        context = SourceContext(
            name="carrier",
            intake=self.intake,
            secret=lambda name: f"the secret of {name}".encode(),
            directory="",
            log=self._log,
            now_us=lambda: NOW_US,
            key=lambda body, kind, headers: self.key(body, kind, headers),
        )
        return ADAPTER.source(settings, context)

    def _log(self, event: str, **fields: Any) -> None:
        self.log.append((event, fields))
        self.logged.set()

    async def until_stored(self, count: int, source: RestPollSource | None = None) -> None:
        """Run until so many facts are stored; errors restart it, as the supervisor does."""
        polling = source or self.source()

        async def run() -> None:
            while True:
                try:
                    await polling.run()
                except EntrepotError as error:
                    self.log.append(("raised", {"error": str(error)}))
                    await anyio.sleep(0.01)

        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                group.start_soon(run)
                await self.intake.stored(count)
                group.cancel_scope.cancel()

    async def until_asked(self, count: int) -> None:
        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                group.start_soon(self.source().run)
                await self.partner.asks(count)
                group.cancel_scope.cancel()

    async def failure(self) -> EntrepotError:
        """What ends a run that can never succeed."""
        with anyio.fail_after(20):
            try:
                await self.source().run()
            except EntrepotError as error:
                return error
        raise AssertionError("it ended without an error")

    @property
    async def position(self) -> Position:
        return read_position(await self.intake.cursor())


@asynccontextmanager
async def site(*numbers: int, **settings: Any) -> AsyncIterator[Site]:
    async with partner() as served:
        served.items = [item(number) for number in numbers]
        yield Site(served, **settings)


async def test_an_item_is_kept_byte_for_byte_under_its_id_and_digest() -> None:
    async with site() as here:
        raw = b'{ "id" : 7,\t"name":"Stra\\u00dfe", "n": 1.50 }'
        here.partner.faults.append(answer(body=b'{"data": {"items": [' + raw + b"]}}"))
        await here.until_stored(1)
        (message,) = here.intake.messages
        assert message.body == raw
        assert message.key is not None
        assert message.key.startswith("7#")


async def test_the_mappings_key_outranks_and_a_changed_item_is_still_a_fact_of_its_own() -> None:
    async with site(1, 2) as here:
        here.key = lambda body, kind, headers: json.loads(body)["id"]
        await here.until_stored(2)
        assert [message.key for message in here.intake.messages] == ["s-1", "s-2"]
        here.partner.items.append(item(1, "2026-03-01T00:00:30Z", n=11))
        await here.until_stored(3)
        here.partner.items.append(item(9))
        await here.until_stored(4)
        assert len({message.key for message in here.intake.messages}) == 4
        assert ("poll_item_changed" in {event for event, _ in here.log}) is True


@pytest.mark.parametrize(
    "fault",
    [
        answer(500), answer(503, retry_after="0"), answer(429, retry_after="0"), answer(200, b"<html>busy</html>"),
        answer(200, b'{"error": "later"}'), answer(200, b'{"data": {"items": 7}}'), answer(200, b'{"data": {"it'),
        answer(200, b"{}", content_encoding="gzip"), answer(200, b"x" * 3_000),
    ],
    ids=["500", "503", "429", "html", "another shape", "no list", "cut off", "compressed", "huge"],
)  # fmt: skip
async def test_a_fault_on_any_page_loses_and_doubles_nothing(fault: Any) -> None:
    async with site(1, 2, 3, 4, 5, 6, 7, body_bytes_max=2_000) as here:
        here.partner.faults += [fault, None, fault, fault, None, fault]
        await here.until_stored(7)
        assert here.intake.bodies == bodies(1, 2, 3, 4, 5, 6, 7)
        assert "poll_failed" in {event for event, _ in here.log}


async def test_a_body_that_never_ends_is_given_up_and_asked_for_again() -> None:
    gone = anyio.Event()

    async def drips(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"data":')
        await gone.wait()
        return response

    async with site(1, request_seconds_max=0.2) as here:
        here.partner.faults.append(drips)
        await here.until_stored(1)
        assert ("poll_failed", "did not answer in time") in {
            (event, fields["reason"].partition(" ")[2]) for event, fields in here.log if event == "poll_failed"
        }
        gone.set()


@pytest.mark.parametrize("place", ["http://169.254.169.254/latest/meta-data", "/elsewhere", "https://evil.example/"])
async def test_no_redirect_is_followed_not_even_on_the_same_host(place: str) -> None:
    async with site(1) as here:
        here.partner.faults.append(answer(302, location=place))
        error = await here.failure()
        assert isinstance(error, Permanent)
        assert "redirects are not followed" in error.hint
        assert [asked.path for asked in here.partner.asked] == ["/items"]


@pytest.mark.parametrize(
    "place",
    [
        "http://169.254.169.254/latest", "//evil.example/items", "http://127.0.0.1:1/items", "https:///x",
        "http://127.0.0.1.evil.example/", "http://user@127.0.0.1/", "http://[::1/", "javascript:alert(1)",
    ],
)  # fmt: skip
async def test_a_next_page_on_another_host_is_never_asked_for(place: str) -> None:
    async with site(1) as here:
        here.partner.faults.append(answer(body=b'{"data": {"items": []}}', link=f'<{place}>; rel="next"'))
        error = await here.failure()
        assert "does not lie on" in str(error)
        assert len(here.partner.asked) == 1
        assert await here.intake.cursor() is None, "it would go on there for ever"


async def test_an_item_with_half_a_character_stops_no_other() -> None:
    async with site() as here:
        raw = b'{"id": 1, "text": "\\ud83d"}, {"id": 2, "text": "\\\\ud83d \\ud83d\\ude00"}'
        here.partner.faults.append(answer(body=b'{"data": {"items": [' + raw + b"]}}"))
        await here.until_stored(2)
        assert here.intake.bodies[0] == b'{"id": 1, "text": "\\ufffd"}'
        assert here.intake.bodies[1] == raw.partition(b"}, ")[2]


async def test_the_next_poll_begins_before_the_cursor_and_finds_what_was_committed_late() -> None:
    async with site(100, 110) as here:
        await here.until_stored(2)
        assert (await here.position).since == "2026-03-01T00:01:50Z"
        here.partner.items.insert(0, item(60))
        await here.until_stored(3)
        assert here.partner.asked[-1].query["since"] == "2026-03-01T00:00:50Z"
        assert here.intake.bodies == bodies(100, 110, 60)


async def test_pages_that_change_under_our_feet_lose_nothing_within_the_overlap() -> None:
    """While the second page is asked for, an item of the first moves behind: the one that took its place would be missed."""
    async with site(1, 2, 3, 4, 5) as here:

        async def moving(request: web.Request) -> web.StreamResponse:
            here.partner.items = [item(2), item(3), item(4), item(5), item(1, "2026-03-01T00:00:20Z")]
            return await here.partner.serve(request)

        here.partner.faults += [None, moving]
        await here.until_stored(6)
        assert sorted(here.intake.bodies) == sorted(
            [*bodies(1, 2, 3, 4, 5), json.dumps(item(1, "2026-03-01T00:00:20Z")).encode()]
        )


async def test_an_instant_in_the_partners_future_does_not_carry_the_cursor_away() -> None:
    async with site(1) as here:
        here.partner.headers["Date"] = "Sun, 01 Mar 2026 00:00:40 GMT"
        here.partner.items.append(item(2, "2099-01-01T00:00:00Z"))
        await here.until_stored(2)
        assert (await here.position).since == "2026-03-01T00:00:40Z"
        here.partner.items.append(item(50))
        await here.until_stored(3)


async def test_an_unchanged_answer_is_not_sent_again_and_a_new_validator_for_old_items_doubles_nothing() -> None:
    async with site(1, 2) as here:
        await here.until_stored(2)
        tag = (await here.position).etag
        assert tag
        del here.partner.asked[:]
        await here.until_asked(2)
        assert here.partner.asked[0].headers.get("If-None-Match") is None, "the URL has moved on with the cursor"
        assert here.partner.asked[1].headers["If-None-Match"] == (await here.position).etag
        calls = here.intake.calls
        here.partner.headers["X-Padding"] = "1"
        here.partner.etag = False
        await here.until_asked(len(here.partner.asked) + 2)
        assert len(here.intake.messages) == 2
        assert here.intake.calls <= calls + 1


async def test_a_first_page_of_several_sends_no_validator() -> None:
    """Unchanged, it would say nothing about the pages behind it."""
    async with site(1, 2, 3, 4) as here:
        await here.until_stored(4)
        assert (await here.position).etag == ""


async def test_a_bookmark_that_has_ended_begins_the_poll_again() -> None:
    async with site(1, 2, 3, 4, 5) as here:
        here.partner.faults += [None, answer(410)]
        await here.until_stored(5)
        assert here.intake.bodies == bodies(1, 2, 3, 4, 5)
        assert ("poll_begins_again", 1) in {(event, fields.get("pages")) for event, fields in here.log}


async def test_pages_in_a_circle_are_a_failure() -> None:
    async with site(1, pages={"by": "link", "pages_max": 4}) as here:
        for number in range(1, 9):
            link = f'<{here.partner.url}/items?page={number % 2}>; rel="next"'
            here.partner.faults.append(answer(body=b'{"data": {"items": []}}', link=link))
        assert "circle" in str(await here.failure())


async def test_retry_after_is_kept_to() -> None:
    async with site(1) as here:
        here.partner.faults.append(answer(429, retry_after="3600"))
        source = here.source()
        async with anyio.create_task_group() as group:
            group.start_soon(source.run)
            await here.partner.asks(1)
            await here.logged.wait()
            assert 3_500 < source._fetcher.pace.take(anyio.current_time()) < 3_601
            group.cancel_scope.cancel()
        assert len(here.partner.asked) == 1


async def test_a_partner_that_stays_ill_is_left_alone_and_a_person_is_told() -> None:
    async with site(1, failures_max=3, open_seconds=600) as here:
        here.partner.faults += [answer(500)] * 9
        error = await here.failure()
        assert isinstance(error, Retryable)
        assert "answered 500" in str(error)
        assert len(here.partner.asked) == 3


LOGIN = {"kind": "oauth2", "client_id": "me", "secret": "secret://id", "scope": "read"}


async def test_a_token_is_fetched_once_and_a_refused_one_is_renewed_once() -> None:
    async with site(1, 2, 3, 4, 5, 6, 7) as here:
        here.partner.wants_token = True
        here.settings["login"] = LOGIN | {"token_url": f"{here.partner.url}/token"}
        await here.until_stored(7)
        (form,) = here.partner.tokens
        assert (form["grant_type"], form["scope"]) == ("client_credentials", "read")
        assert form["authorization"].startswith("Basic ")
        here.partner.revoke()
        here.partner.items.append(item(8))
        source = here.source()
        await here.until_stored(8, source)
        here.partner.revoke()
        here.partner.items.append(item(9))
        await here.until_stored(9, source)
        refused = [1 for event, _ in here.log if event in {"poll_failed", "raised"}]
        assert not refused, "a token that has ended is no failure"


async def test_a_token_is_renewed_before_its_end() -> None:
    async with site(1) as here:
        here.partner.wants_token = True
        here.partner.token_seconds = "0"
        here.settings["login"] = LOGIN | {"token_url": f"{here.partner.url}/token", "send": "body"}
        await here.until_stored(1)
        here.partner.items.append(item(2))
        await here.until_stored(2)
        assert len(here.partner.tokens) >= 2
        assert here.partner.tokens[0]["client_secret"] == "the secret of secret://id"
        assert not here.partner.tokens[0]["authorization"]


async def test_a_token_for_a_refresh_token_stands_where_the_partner_wants_it() -> None:
    async with site(1) as here:
        more = {"token_url": f"{here.partner.url}/token", "refresh": "secret://refresh", "header": "x-access-token"}
        here.settings["login"] = LOGIN | more
        await here.until_stored(1)
        (form,) = here.partner.tokens
        assert (form["grant_type"], form["refresh_token"]) == ("refresh_token", "the secret of secret://refresh")
        headers = {name.lower(): value for name, value in here.partner.asked[0].headers.items()}
        assert headers["x-access-token"] == "t-1"
        assert "authorization" not in headers


@pytest.mark.parametrize(
    ("login", "header", "value"),
    [
        ({"kind": "basic", "user": "me"}, "authorization", "Basic bWU6dGhlIHNlY3JldCBvZiBzZWNyZXQ6Ly94"),
        ({"kind": "header", "header": "X-Api-Key"}, "x-api-key", "the secret of secret://x"),
        ({"kind": "bearer"}, "authorization", "Bearer the secret of secret://x"),
    ],
)
async def test_a_secret_goes_where_the_partner_wants_it(login: dict[str, str], header: str, value: str) -> None:
    async with site(1, login=login | {"secret": "secret://x"}) as here:
        await here.until_stored(1)
        assert {n.lower(): v for n, v in here.partner.asked[0].headers.items()}[header] == value


async def test_a_login_that_is_not_accepted_is_said_without_the_secret() -> None:
    async with site(1) as here:
        here.settings["login"] = LOGIN | {"token_url": f"{here.partner.url}/token"}
        here.partner.faults += [answer(401), answer(401)]
        error = await here.failure()
        assert "does not accept our login" in str(error)
        assert len(here.partner.tokens) == 2, "one refresh, no more"
        said = f"{error} {error.hint} {here.log}"
        assert "the secret of" not in said
        assert "t-1" not in said


async def test_whoever_gives_no_tokens_is_not_taken_for_a_page_that_is_not_there() -> None:
    async with site(1) as here:
        here.settings["login"] = LOGIN | {"token_url": f"{here.partner.url}/nowhere"}
        error = await here.failure()
        assert type(error) is Permanent
        assert str(error) == f"{here.partner.url} gives no token (404)"
        assert "token_url" in error.hint


async def test_a_secret_that_cannot_stand_in_a_header_is_refused_at_once() -> None:
    async with site(1, login={"kind": "bearer", "secret": "secret://x\n"}) as here:
        here.settings["login"] = {"kind": "bearer", "secret": "secret://x"}
        settings = msgspec.convert(here.settings, ADAPTER.settings)
        context = SourceContext(
            name="c", intake=here.intake, secret=lambda _: b"a\nb", directory="", log=print, now_us=lambda: 0
        )
        with pytest.raises(ConfigError, match="cannot stand in a header"):
            ADAPTER.source(settings, context)
