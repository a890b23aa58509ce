"""Following thin messages: governed GETs to the one host, tried again by schedule, and then a letter."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import msgspec
import pytest

from adapters.sdk.recording import RecordingIntake
from adapters.webhook import ADAPTER
from runtime.envelope import Message
from runtime.errors import ConfigError, EntrepotError
from runtime.ports import Notice, SourceContext
from tests.support.partner import Partner, answer, partner

pytestmark = pytest.mark.anyio
QUICK: dict[str, Any] = {
    "networks": ["loopback"], "backoff_seconds_min": 0.0, "backoff_seconds_max": 0.01, "open_seconds": 0.05,
    "again_seconds_min": 0.0, "again_seconds_max": 0.01, "requests_per_hour_max": 1_000_000, "attempts_max": 3,
}  # fmt: skip


class Waiting:
    """Notices in memory; ends the run when all are settled."""

    def __init__(self, *urls: str) -> None:
        self.waiting = [
            Notice(intake_seq=n, url=url, document_key=f"document of n-{n}", correlation_id=f"{n:032x}")
            for n, url in enumerate(urls, 1)
        ]
        self.documents: list[Message | None] = []
        self.letters: list[tuple[int, str, str]] = []
        self.waits: list[float] = []
        self.done = anyio.Event()

    async def next(self) -> Notice:
        if not self.waiting:
            self.done.set()
            await anyio.sleep_forever()
        return self.waiting[0]

    async def followed(self, notice: Notice, document: Message | None) -> None:
        self._settle(notice)
        self.documents.append(document)

    async def postpone(self, notice: Notice, seconds: float) -> None:
        self.waits.append(seconds)
        self._settle(notice)
        self.waiting.append(msgspec.structs.replace(notice, attempts=notice.attempts + 1))

    async def give_up(self, notice: Notice, reason: str, hint: str = "") -> None:
        self._settle(notice)
        self.letters.append((notice.intake_seq, reason, hint))

    def _settle(self, notice: Notice) -> None:
        self.waiting = [each for each in self.waiting if each.intake_seq != notice.intake_seq]


def source(served: Partner, notices: Waiting | None, **more: Any) -> Any:
    follow = {**QUICK, "url": f"{served.url}/doc/{{id}}", **more}
    settings = msgspec.convert({"auth": {"scheme": "none"}, "follow": follow}, ADAPTER.settings)
    ADAPTER.check(settings, loopback=True)
    context = SourceContext(
        name="ship",
        intake=RecordingIntake(),
        secret=lambda name: b"word",
        directory="",
        log=lambda *_, **__: None,
        now_us=lambda: 0,
        notices=notices,
    )
    return ADAPTER.source(settings, context)


async def follow(served: Partner, notices: Waiting, **more: Any) -> list[EntrepotError]:
    """Until every notice is settled; what was raised on the way."""
    following, raised = source(served, notices, **more), list[EntrepotError]()

    async def run() -> None:
        while True:
            try:
                await following.run()
            except EntrepotError as error:
                raised.append(error)

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(run)
            await notices.done.wait()
            group.cancel_scope.cancel()
    return raised


@asynccontextmanager
async def site(*paths: str) -> AsyncIterator[tuple[Partner, Waiting]]:
    async with partner() as served:
        yield served, Waiting(*(f"{served.url}{path}" if path.startswith("/") else path for path in paths))


async def test_a_document_is_kept_as_it_came_with_the_trace_and_key_of_its_notice() -> None:
    async with site("/doc/1", "/doc/2") as (served, notices):
        served.documents["/doc/1"] = answer(body=b'{ "n": 1 }', etag='"v1"')
        served.documents["/doc/2"] = answer(body=b"<a/>", content_type="application/xml")
        await follow(served, notices, headers_kept={"x-topic": "doc"}, headers={"Accept": "application/json"})
        first, second = notices.documents
        assert first is not None
        assert second is not None
        assert (first.body, first.content_type, first.correlation_id) == (
            b'{ "n": 1 }',
            "application/json",
            f"{1:032x}",
        )
        assert (second.body, second.content_type, second.headers) == (b"<a/>", "application/xml", {"x-topic": "doc"})
        assert str(first.key).startswith("document of n-1#")
        assert served.asked[0].headers["Accept"] == "application/json"


async def test_the_key_of_a_document_changes_with_its_validator_alone() -> None:
    keys = []
    for tag, body in (('"v1"', b"1"), ('"v1"', b"2"), ('"v2"', b"2"), ("", b"2"), ("", b"3")):
        async with site("/doc/1") as (served, notices):
            served.documents["/doc/1"] = answer(body=body, **({"etag": tag} if tag else {}))
            await follow(served, notices)
            (document,) = notices.documents
            assert document is not None
            keys.append(document.key)
    assert keys[0] == keys[1]
    assert len(set(keys)) == 4


@pytest.mark.parametrize("status", [404, 500, 403, 429])
async def test_what_comes_late_is_waited_for_and_holds_up_no_other(status: int) -> None:
    async with site("/doc/1", "/doc/2") as (served, notices):
        served.documents = {"/doc/1": answer(body=b"1"), "/doc/2": answer(body=b"2")}
        served.faults += [answer(status), None, answer(status)]
        await follow(served, notices)
        assert [document.body for document in notices.documents if document] == [b"2", b"1"]
        assert [asked.path for asked in served.asked] == ["/doc/1", "/doc/2", "/doc/1", "/doc/1"]


async def test_after_the_last_attempt_it_is_a_letter_that_says_why() -> None:
    async with site("/doc/1", "/doc/2") as (served, notices):
        served.documents["/doc/2"] = answer(body=b"2")
        assert await follow(served, notices) == []
        ((seq, reason, hint),) = notices.letters
        assert seq == 1
        assert "not given in 3 attempts" in reason
        assert "answered 404" in reason
        assert "letters retry" in hint
        assert len(notices.documents) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_to_the_metadata_service_is_not_followed(status: int) -> None:
    async with site("/doc/1") as (served, notices):
        served.faults += [answer(status, location="http://169.254.169.254/latest/meta-data")] * 3
        await follow(served, notices)
        assert "wants us elsewhere" in notices.letters[0][1]
        assert {asked.path for asked in served.asked} == {"/doc/1"}


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/", "https://evil.example/doc/1", "http://127.0.0.1:1/doc/1", "file:///etc/passwd"]
)
async def test_whatever_address_a_notice_may_say_only_the_configured_host_is_asked(url: str) -> None:
    async with site(url) as (served, notices):
        await follow(served, notices)
        assert "does not lie on" in notices.letters[0][1]
        assert served.asked == []


async def test_no_content_settles_the_notice_without_a_fact() -> None:
    async with site("/doc/1") as (served, notices):
        served.documents["/doc/1"] = answer(204, body=b"")
        await follow(served, notices)
        assert notices.documents == [None]


async def test_a_partner_that_stays_away_is_told_to_a_person() -> None:
    async with site("/doc/1") as (served, notices):
        served.faults += [answer(500)] * 3
        raised = await follow(served, notices, failures_max=2)
        assert "answered 500" in str(raised[0])
        assert "answered 500" in notices.letters[0][1]


async def test_a_source_without_follow_has_nothing_to_fetch() -> None:
    settings = msgspec.convert({"auth": {"scheme": "none"}}, ADAPTER.settings)
    assert ADAPTER.follow(settings) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "http://partner.example/{id}"}, {"url": "https://10.0.0.1/{id}"}, {"login": {"kind": "bearer"}},
        {"login": {"kind": "oauth2", "client_id": "a", "secret": "secret://x", "token_url": "http://partner.example/t"}},
    ],
)  # fmt: skip
async def test_settings_that_could_lead_elsewhere_are_refused(wrong: dict[str, Any]) -> None:
    async with partner() as served:
        with pytest.raises(ConfigError):
            source(served, None, **wrong)
