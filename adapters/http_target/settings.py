"""The keys of an HTTP target: what is asked of whom, with which credential, and what its answers mean."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from adapters.sdk.login import Text, TokenUrl
from adapters.sdk.outbound import HeaderName, OutboundSettings, SecretName

Status = Annotated[int, Meta(ge=200, le=599)]
Statuses = Annotated[tuple[Status, ...], Meta(max_length=50)]


class TargetAuth(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`auth = { … }`: one of `bearer`, `username` with `password`, `header` with `secret`, or OAuth2: `token_url` with `client_id` and `secret`."""

    bearer: SecretName | None = None
    """Token for `Authorization: Bearer …`."""
    username: Annotated[str, Meta(max_length=200)] | None = None
    """For `Authorization: Basic …` (RFC 7617)."""
    password: SecretName | None = None
    """Belongs to username."""
    header: HeaderName | None = None
    """Name of the header that takes the secret as it is, e.g. `X-Api-Key`. With token_url: where the token stands by itself; else `Authorization: Bearer`."""
    secret: SecretName | None = None
    """Belongs to header, or is the client secret."""
    token_url: TokenUrl | None = None
    """OAuth2: where tokens are given for client credentials (RFC 6749, 4.4), or for `refresh`. https; it may lie on another host than `url`, and as far as that may reach."""
    client_id: Text = ""
    """Belongs to token_url."""
    refresh: SecretName | None = None
    """With token_url: a refresh token that the partner has given (RFC 6749, 6)."""
    scope: Text = ""
    """With token_url, where the partner wants one."""
    audience: Text = ""
    """With token_url, where the partner wants one."""
    send: Literal["basic", "body"] = "basic"
    """With token_url: whether id and secret go in the header Authorization or in the form."""


class HttpTargetSettings(OutboundSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[targets.<name>]` with `adapter = "http"`."""

    url: Annotated[str, Meta(min_length=1, max_length=2_000)]
    """Address with `{expressions}` behind the host, e.g. `https://wms.example/orders/{data.order_id}`; values are percent-encoded."""
    method: Literal["POST", "PUT", "PATCH", "DELETE"] = "POST"
    """Of the request."""
    headers: Annotated[dict[HeaderName, str], Meta(max_length=30)] = field(default_factory=dict)
    """More headers, with `{expressions}` in their values."""
    rendering: str = ""
    """File (TOML) that says what the body looks like; see docs/targets.md. Empty: as `content` says."""
    content: Literal["data", "none"] = "data"
    """The body without a rendering: the event's data as JSON, or none."""
    auth: TargetAuth | None = None
    """How we prove who we are."""
    idempotency_header: HeaderName | None = None
    """Header that takes the delivery's id, e.g. `Idempotency-Key`: set it if the target then does a thing once however often it is asked."""
    repeats_are_harmless: bool = False
    """For a target without such a header where asking twice changes nothing: a PUT to an address of its own, or a `done` answer."""
    expected: Statuses = ()
    """Statuses that mean done; empty: every 2xx."""
    done: Statuses = ()
    """Other statuses that mean done, e.g. 409 where that says "it is there already"."""
    later: Statuses = (401, 403, 404, 407, 408, 421, 423, 425, 429)
    """Of 4xx: those that may be different later. The others become letters at once; 3xx and 5xx are always tried again."""
    gone: Statuses = ()
    """Statuses that say that the target wants no more: it is disabled until a person enables it."""
    reference: Annotated[str, Meta(max_length=200, pattern="^(/.*)?$")] = ""
    """JSON pointer into the answer to the target's own number for it, e.g. `/order/id`; kept with the delivery."""
    answer_bytes_max: Annotated[int, Meta(ge=0, le=1_048_576)] = 65_536
    """Of an answer, to find the reference in; never kept and never logged."""
