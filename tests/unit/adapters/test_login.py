"""What a login may say is the same for whoever asks and whoever sends, and a sentence names the key that is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from adapters.http_target import TARGET as HTTP
from adapters.http_target.login import read_login
from adapters.http_target.settings import TargetAuth
from adapters.rest_poll import ADAPTER as REST_POLL
from adapters.sdk.follower import FollowSettings, check_following
from adapters.sdk.login import Login
from runtime.errors import ConfigError
from runtime.policy.addresses import PUBLIC

OAUTH2 = {"client_id": "me", "secret": "secret://id", "token_url": "https://login.example/token"}
FORMS: tuple[tuple[dict[str, Any], Login], ...] = (
    ({"bearer": "secret://a"}, Login(kind="bearer", secret="secret://a")),
    ({"username": "me", "password": "secret://a"}, Login(kind="basic", user="me", secret="secret://a")),
    ({"header": "X-Key", "secret": "secret://a"}, Login(kind="header", header="X-Key", secret="secret://a")),
    (OAUTH2, Login(kind="oauth2", **OAUTH2)),
    ({**OAUTH2, "header": "X-Token"}, Login(kind="oauth2", header="X-Token", **OAUTH2)),
    (
        {**OAUTH2, "scope": "a b", "audience": "c", "refresh": "secret://r", "send": "body"},
        Login(kind="oauth2", scope="a b", audience="c", refresh="secret://r", send="body", **OAUTH2),
    ),
)


def check(kind: str, login: Mapping[str, Any]) -> None:
    """The settings of a source, of a followed message or of a target with this login."""
    if kind == "rest_poll":
        REST_POLL.check(
            convert({"url": "https://a.example/", "login": {"kind": "oauth2", **login}}, REST_POLL), loopback=False
        )
    elif kind == "follow":
        settings = {"url": "https://a.example/{id}", "login": {"kind": "oauth2", **login}}
        check_following(msgspec.convert(settings, FollowSettings))
    else:
        HTTP.check(convert({"url": "https://a.example/", "auth": login}, HTTP), loopback=False)


def convert(settings: Mapping[str, Any], adapter: Any) -> Any:
    return msgspec.convert(settings, adapter.settings)


@pytest.mark.parametrize(("kind", "key"), [
    ("rest_poll", "login.token_url"), ("follow", "follow.login.token_url"), ("http", "auth.token_url"),
])  # fmt: skip
@pytest.mark.parametrize(
    "url",
    [
        "ftp://login.example/token", "login.example/token", "http://login.example/token", "http://10.0.0.1/token",
        "https://10.0.0.1/token", "https://169.254.169.254/token", "https://localhost/token", "https://0x7f000001/token",
        "https://login.example:99999/token", "https://login.example/token#x", "https://login.example/to ken",
        "https://me@login.example/token",
    ],
)  # fmt: skip
def test_the_key_that_is_wrong_is_named(kind: str, key: str, url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check(kind, {**OAUTH2, "token_url": url})
    assert str(caught.value).startswith(key)
    check(kind, OAUTH2)


def test_a_followed_address_is_named_as_it_is_written() -> None:
    with pytest.raises(ConfigError, match=r"^follow\.url leads to 10\.0\.0\.1"):
        check_following(msgspec.convert({"url": "https://10.0.0.1/{id}"}, FollowSettings))


@pytest.mark.parametrize(("auth", "login"), FORMS)
def test_each_form_of_auth_is_one_login(auth: dict[str, Any], login: Login) -> None:
    assert read_login(msgspec.convert(auth, TargetAuth), PUBLIC) == login


def test_without_auth_there_is_no_login() -> None:
    assert read_login(None, PUBLIC) == Login()


@pytest.mark.parametrize(
    ("auth", "says"),
    [
        ({}, "auth is one of"),
        ({"token_url": "https://login.example/"}, "token_url needs client_id"),
        ({"token_url": "https://login.example/", "client_id": "me"}, "token_url needs secret"),
        ({**OAUTH2, "bearer": "secret://a"}, "auth is one of"),
        ({**OAUTH2, "username": "me", "password": "secret://a"}, "auth is one of"),
        ({"bearer": "secret://a", "scope": "x"}, "scope belongs to token_url"),
        ({"header": "X-Key", "secret": "secret://a", "client_id": "me"}, "client_id belongs to token_url"),
        ({**OAUTH2, "header": "Content-Length"}, "Content-Length is written by the connection itself"),
    ],
)
def test_half_a_form_and_two_at_once_are_refused(auth: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        read_login(msgspec.convert(auth, TargetAuth), PUBLIC)
