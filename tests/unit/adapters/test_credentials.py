"""A token is renewed before its end, and one that still holds is used while no other is to be had."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from msgspec import Struct

from adapters.sdk.answers import Answer
from adapters.sdk.credentials import AGAIN_SECONDS_MIN, RENEW_SHARE, Credentials
from adapters.sdk.login import Login
from runtime.errors import Permanent, Retryable

pytestmark = pytest.mark.anyio
SECONDS = 1_000.0


class Said(Struct):
    status: int


class Site:
    """A partner, whoever gives tokens for it, and a clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.asked = 0
        self.ill: Answer | None = None
        self.shown: list[str] = []
        login = Login(kind="oauth2", token_url="https://login.example/token", client_id="me", secret="secret://id")
        self.credentials = Credentials(login, self, lambda _name: b"s3cret", lambda: 0, lambda: self.now)

    async def ask(self, url: str, headers: Mapping[str, str], *, form: Mapping[str, str]) -> Answer:
        self.asked += 1
        return self.ill or Answer(status=200, body=b'{"access_token": "t-%d", "expires_in": 1000}' % self.asked)

    async def take(self, login: dict[str, str]) -> Said:
        self.shown.append(login["Authorization"].removeprefix("Bearer "))
        return Said(200)

    async def at(self, seconds: float) -> str:
        """Ask at this moment; the token that the partner was shown."""
        self.now = seconds
        await self.credentials.prove(self.take)
        return self.shown[-1]


async def test_a_token_is_kept_until_shortly_before_its_end() -> None:
    site = Site()
    before = SECONDS * RENEW_SHARE
    assert [await site.at(at) for at in (0, 1, before - 1, before, before + 1)] == ["t-1", "t-1", "t-1", "t-2", "t-2"]


async def test_a_token_that_still_holds_is_used_while_no_other_is_to_be_had_and_not_asked_for_each_time() -> None:
    site = Site()
    await site.at(0)
    site.ill = Answer(status=503)
    shown = [await site.at(at) for at in range(int(SECONDS * RENEW_SHARE), int(SECONDS - AGAIN_SECONDS_MIN))]
    assert set(shown) == {"t-1"}
    assert 2 <= site.asked <= 10
    with pytest.raises(Retryable, match="gives no token"):
        await site.at(SECONDS)
    site.ill = None
    assert await site.at(SECONDS) == f"t-{site.asked}" != "t-1"


async def test_a_token_that_still_holds_is_not_used_after_the_login_was_refused() -> None:
    site = Site()
    await site.at(0)
    site.ill = Answer(status=401, body=b'{"error": "invalid_client"}')
    with pytest.raises(Permanent, match="invalid_client"):
        await site.at(SECONDS * RENEW_SHARE)


async def test_a_date_to_come_back_counts_from_our_clock_where_no_other_is_shown() -> None:
    site = Site()
    site.ill = Answer(status=503, headers={"retry-after": "Thu, 01 Jan 1970 00:01:00 GMT"})
    with pytest.raises(Retryable) as caught:
        await site.at(0)
    assert caught.value.after_seconds == 60
