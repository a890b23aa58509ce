"""What targets that speak HTTP share: the keys that say how far they may reach, and what an answer's status means."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

from msgspec import Meta, Struct

from adapters.sdk.answers import Answer as TokenAnswer
from adapters.sdk.filters import Matches, compile_filters
from adapters.sdk.pin import Pin
from adapters.sdk.tokens import TOKEN_BYTES_MAX
from runtime.errors import ConfigError, Retryable
from runtime.outgoing import Answer, Outgoing
from runtime.policy.addresses import Origin, Reach, read_reach, split_origin
from runtime.policy.answers import retry_after_seconds
from runtime.ports import TargetContext

SecretName = Annotated[str, Meta(pattern=r"^secret://[A-Za-z0-9._-]{1,100}$")]
HeaderName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$")]
Filters = Annotated[list[dict[str, Any]], Meta(max_length=100)]
OWN_HEADERS = frozenset(
    {
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "expect",
        "te",
        "trailer",
        "upgrade",
        "proxy-authorization",
    }
)
"""Written by the connection itself: somebody else's word would make one request look like two."""

FORM = "application/x-www-form-urlencoded"
PLAIN = re.compile(r"[!-\"$-~]*")
"""Printable ASCII without blanks, and without the fragment, which is never sent."""


class OutboundSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every target that speaks HTTP has."""

    url: Annotated[str, Meta(min_length=1, max_length=2_000)]
    """https, or http to an address of the site. Redirects are not followed, names that lead into the site are refused."""
    filters: Filters = []
    """Which events: CloudEvents filters (`exact`, `prefix`, `suffix`, `all`, `any`, `not`); all must hold, none: every event."""
    answer_seconds_max: Annotated[float, Meta(ge=1, le=120)] = 20.0
    """For one try, from the name to the end of the answer; `timeout_seconds` cuts off whatever takes longer."""
    allow_private: bool = False
    """Whether addresses of this machine and its site may be connected to (127.0.0.0/8, 10.0.0.0/8, fc00::/7, …)."""
    allow_networks: Annotated[list[str], Meta(max_length=50)] = []
    """Networks in CIDR form that may be connected to, whatever they are."""
    ca_file: str = ""
    """Certificates (PEM) of a private authority, to be trusted instead of the system's; beside them for a `token_url`."""


class Door(Struct, frozen=True):
    """Where a target's requests go."""

    origin: Origin
    rest: str
    """Path and query as they are written."""
    reach: Reach
    matches: Matches


def read_door(settings: OutboundSettings) -> Door:
    """Raises `ConfigError` with the key."""
    reach = read_reach(settings.allow_private, settings.allow_networks)
    origin, rest = split_origin(settings.url, reach)
    return Door(origin, rest, reach, compile_filters(settings.filters))


def plain_target(text: str) -> str:
    """A path and query as they may stand in a request. Raises `ConfigError`."""
    if not PLAIN.fullmatch(text):
        raise ConfigError("url holds a blank, a # or a sign that is not ASCII", hint="percent-encode it")
    return text


def open_door(door: Door, settings: OutboundSettings, context: TargetContext) -> Outgoing:
    """Raises `ConfigError` for a `ca_file` that cannot be read."""
    return Outgoing(
        door.origin,
        reach=door.reach,
        timeout_seconds=settings.answer_seconds_max,
        ca_file=_ca_file(settings, context),
    )


class TokenDoor:
    """A client of whoever gives the tokens for a target: one host as well, and no further than the target may reach."""

    def __init__(self, pin: Pin, settings: OutboundSettings, context: TargetContext) -> None:
        """Raises `ConfigError` for a `ca_file` that cannot be read."""
        self._pin = pin
        self._client = Outgoing(
            pin.origin,
            reach=pin.reach,
            timeout_seconds=settings.answer_seconds_max,
            ca_file=_ca_file(settings, context),
            system_too=True,  # a private system often takes tokens of a public authority
        )

    async def ask(self, url: str, headers: Mapping[str, str], *, form: Mapping[str, str]) -> TokenAnswer:
        """See `adapters.sdk.credentials.TokenServer`."""
        target = self._pin.within(url).removeprefix(str(self._pin.origin))
        answer = await self._client.send(
            "POST",
            target,
            headers={**headers, "Content-Type": FORM},
            body=urlencode(form).encode(),
            answer_bytes_max=TOKEN_BYTES_MAX,
        )
        known = {name.lower(): value for name, value in answer.headers.items()}
        return TokenAnswer(status=answer.status, headers=known, body=answer.body)

    async def close(self) -> None:
        await self._client.close()


def _ca_file(settings: OutboundSettings, context: TargetContext) -> str:
    return str(Path(context.directory) / settings.ca_file) if settings.ca_file else ""


def wanted(door: Door, type: str, attributes: Mapping[str, str]) -> bool:
    """Whether the filters let an event through."""
    return door.matches({**attributes, "type": type})


def warnings(settings: OutboundSettings, door: Door) -> list[str]:
    """What a person should know before the start."""
    found = []
    if door.origin.plain:
        found.append(f"it sends to {door.origin} without TLS: everybody on the way can read and change it")
    if settings.allow_private and not door.origin.literal:
        found.append("allow_private lets the name of its url lead to any address of this machine and its site")
    return found


def try_later(origin: Origin, answer: Answer, now_us: Callable[[], int], *, hint: str = "") -> Retryable:
    """The error of an answer that may be another one later; waits as long as the answer asks for."""
    after = retry_after_seconds(answer.headers.get("Retry-After", ""), now_us())
    if 300 <= answer.status < 400:
        hint = "redirects are not followed: if it has moved, write the new address into url"
    return Retryable(f"{origin} answered {answer.status}", hint=hint, after_seconds=after)
