"""Every way to say no, as RFC 9457 problem details: what happened, and what the sender should do.

A detail never repeats a secret, a body, or the name of anything the sender did not name first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import UNSET, Struct, UnsetType

from runtime.errors import Forbidden, Refused, Retryable, with_step


class Flaw(Struct, frozen=True, kw_only=True):
    """One place in the input that is wrong; `pointer` is a JSON pointer, for NDJSON `/<line number>`."""

    pointer: str
    detail: str


class Problem(Struct, frozen=True, kw_only=True):
    """The body of an `application/problem+json` answer."""

    type: str
    title: str
    status: int
    detail: str
    correlation_id: str
    retryable: bool
    errors: list[Flaw] | UnsetType = UNSET


class Rejection(Exception):
    """A request that ends with a problem. `close`: the rest of the request is not worth reading."""

    def __init__(
        self,
        status: int,
        name: str,
        title: str,
        detail: str,
        *,
        retryable: bool = False,
        retry_after_seconds: float | None = None,
        headers: dict[str, str] | None = None,
        errors: list[Flaw] | None = None,
        close: bool = False,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.name = name
        self.title = title
        self.retryable = retryable
        self.headers = headers or {}
        self.errors = errors
        self.close = close
        if retry_after_seconds is not None:
            self.headers["Retry-After"] = str(max(1, math.ceil(retry_after_seconds)))

    def problem(self, correlation_id: str) -> Problem:
        """The answer's body; `correlation_id` is what a sender quotes when asking us about it."""
        return Problem(
            type=f"urn:entrepot:problem:{self.name}",
            title=self.title,
            status=self.status,
            detail=str(self),
            correlation_id=correlation_id,
            retryable=self.retryable,
            errors=UNSET if self.errors is None else self.errors,
        )


def malformed(reason: str) -> Rejection:
    """400: not HTTP that we understand."""
    return Rejection(400, "malformed", "Malformed request", f"{reason} Mend the request and send it again.", close=True)


def empty_body() -> Rejection:
    """400: nothing to keep."""
    return Rejection(400, "empty-body", "Empty body", "The request has no message in it. Send the message as the body.")


def bad_header(name: str, reason: str) -> Rejection:
    """400: a header of ours that cannot be used."""
    return Rejection(
        400, "bad-header", "Bad header", f"The header {name} {reason}. Mend it and send the request again."
    )


def too_deep(depth_max: int, line: int | None = None) -> Rejection:
    """400: nested deeper than any business message is."""
    detail = f"The message is nested deeper than {depth_max} levels. Flatten it; nothing of this request was accepted."
    errors = None if line is None else [Flaw(pointer=f"/{line}", detail=f"deeper than {depth_max} levels")]
    return Rejection(400, "too-deep", "Nested too deeply", detail, errors=errors)


def bad_compression() -> Rejection:
    """400: the body does not inflate."""
    detail = "The body is not what its Content-Encoding says. Compress it again, or send it uncompressed."
    return Rejection(400, "bad-compression", "Compression damaged", detail)


def turned_away(error: Refused | Retryable) -> Rejection:
    """What whoever knows the senders says of this one: 401, 403, or 503 while that cannot be told."""
    if isinstance(error, Retryable):
        return unavailable(str(error), error.after_seconds)
    return forbidden(str(error)) if isinstance(error, Forbidden) else unauthorized(str(error))


def unauthorized(reason: str) -> Rejection:
    """401: the source's own check said no; `reason` is the adapter's sentence."""
    detail = f"{reason} Check the credential of this source and how the sender uses it."
    headers = {"WWW-Authenticate": 'Entrepot realm="source"'}
    return Rejection(401, "unauthorized", "Not authenticated", detail, headers=headers)


def forbidden(reason: str) -> Rejection:
    """403: known, but not allowed here."""
    detail = f"{reason} Ask the operator to grant it (`entrepot access grant`)."
    return Rejection(403, "forbidden", "Not allowed", detail)


def not_found() -> Rejection:
    """404: the same answer for a source that does not exist and for one that takes no HTTP."""
    detail = "Nothing is served here. Messages go to /in/<source>; ask the operator for the source's name."
    return Rejection(404, "not-found", "Not found", detail, close=True)


def nothing_there() -> Rejection:
    """404 below /api/v1."""
    detail = "The API serves no such address here. What it serves stands in /api/v1/openapi.json."
    return Rejection(404, "not-found", "Not found", detail)


def wrong_method(allowed: str) -> Rejection:
    """405."""
    detail = f"This address takes {allowed} only. Send the request with that method."
    return Rejection(405, "wrong-method", "Method not allowed", detail, headers={"Allow": allowed}, close=True)


def too_slow(part: str, seconds: float) -> Rejection:
    """408: the rest of the request did not come in time."""
    detail = f"The {part} did not arrive within {seconds:g} seconds. Nothing was accepted; send the request again."
    return Rejection(408, "too-slow", "Request timed out", detail, retryable=True, close=True)


def key_conflict(reason: str) -> Rejection:
    """409: the same idempotency key came before with another body."""
    detail = with_step(reason, "Use a new key for a new message; a retry must repeat the first body byte for byte.")
    return Rejection(409, "key-conflict", "Key used for another message", detail)


def too_large(what: str, limit: str, advice: str) -> Rejection:
    """413."""
    return Rejection(413, "too-large", "Too large", f"{what} is larger than {limit}. {advice}", close=True)


def wrong_encoding(compressed: bool) -> Rejection:
    """415: compressed although that is off, or in a way we do not read."""
    known = "gzip or deflate" if compressed else "identity"
    detail = f"This source takes no such Content-Encoding. Send the body with {known}."
    headers = {"Accept-Encoding": "gzip, deflate" if compressed else "identity"}
    return Rejection(415, "wrong-encoding", "Content encoding not accepted", detail, headers=headers, close=True)


def wrong_type(allowed: Sequence[str]) -> Rejection:
    """415: this source takes other kinds of messages."""
    detail = f"This source takes no such Content-Type. Send {' or '.join(allowed)}."
    return Rejection(415, "wrong-type", "Content type not accepted", detail, headers={"Accept": ", ".join(allowed)})


def no_object(line: int | None = None) -> Rejection:
    """400: this source takes JSON objects only."""
    errors = None if line is None else [Flaw(pointer=f"/{line}", detail="no JSON object")]
    detail = "The message is no JSON object. Mend it and send it again; nothing of this request was accepted."
    return Rejection(400, "no-object", "No JSON object", detail, errors=errors)


def unfit(flaws: list[Flaw]) -> Rejection:
    """422: not what the schema of this source asks for."""
    detail = (
        "The message does not fit the schema of this source; errors says where. Nothing of this request was accepted."
    )
    return Rejection(422, "unfit", "Does not fit the schema", detail, errors=flaws)


def bad_parameter(name: str, reason: str) -> Rejection:
    """400: a part of the query that cannot be used."""
    detail = f"The parameter {name} {reason}. Mend it and ask again."
    return Rejection(
        400, "bad-parameter", "Bad parameter", detail, errors=[Flaw(pointer="", detail=f"{name} {reason}")]
    )


def invalid(reason: str, pointer: str, hint: str) -> Rejection:
    """422: a message that would have become a letter; it was not accepted."""
    detail = with_step(f"{reason}; nothing was accepted", hint or "Mend the message and send it again.")
    return Rejection(422, "invalid", "Not valid", detail, errors=[Flaw(pointer=pointer, detail=reason)])


def no_page() -> Rejection:
    """404: a cursor that was not given out for this question."""
    detail = "The cursor is none that this question was answered with. Begin anew without it."
    return Rejection(404, "no-page", "No such page", detail)


def not_known() -> Rejection:
    """404: the region knows nothing of it."""
    detail = "The region knows no such object, or has forgotten it. Check how it is written; names are exact."
    return Rejection(404, "not-known", "Not known", detail)


def no_receipt() -> Rejection:
    """404: nothing with this key, or somebody else's."""
    detail = "There is no message with this key from you. Keys are kept for the time that the receipt is promised."
    return Rejection(404, "no-receipt", "No such receipt", detail)


def one_message_only() -> Rejection:
    """415 of `/check`."""
    detail = "One message is tried at a time. Send a single one, with its own Content-Type."
    return Rejection(415, "one-message", "One message only", detail)


def too_many(wait_seconds: float, who: str = "This source sends") -> Rejection:
    """429: this source alone, or the API, is over its rate."""
    detail = f"{who} faster than agreed. Wait as Retry-After says, then send the request again."
    return Rejection(429, "too-many", "Too many requests", detail, retryable=True, retry_after_seconds=wait_seconds)


_OVER = {
    "rate": ("sends faster than agreed", "Wait as Retry-After says"),
    "concurrency": ("has more requests under way than agreed", "Wait for answers before sending more"),
    "day": ("has used up its requests of today (UTC)", "Wait as Retry-After says"),
}


def caller_over(limit: str, wait_seconds: float) -> Rejection:
    """429: this caller alone is over a limit of its own."""
    what, advice = _OVER[limit]
    detail = f"This caller {what}. {advice}, then send the request again."
    return Rejection(429, "too-many", "Too many requests", detail, retryable=True, retry_after_seconds=wait_seconds)


def headers_too_large(bytes_max: int, headers_max: int) -> Rejection:
    """431."""
    detail = f"The headers are larger than {bytes_max} bytes or more than {headers_max}. Send fewer or shorter ones."
    return Rejection(431, "headers-too-large", "Headers too large", detail, close=True)


def internal() -> Rejection:
    """500: our bug."""
    detail = "The agent failed on this request; no acceptance is promised. Send it again with the same Idempotency-Key."
    return Rejection(500, "internal", "Internal error", detail, retryable=True, close=True)


def overloaded() -> Rejection:
    """503: no room in memory for another request."""
    detail = "The agent has its hands full. Send the request again later."
    return Rejection(503, "overloaded", "Busy", detail, retryable=True, retry_after_seconds=1, close=True)


def unavailable(reason: str, after_seconds: float | None = None) -> Rejection:
    """503: the journal, or the check of the caller, cannot answer now."""
    detail = f"{reason} Nothing is promised for this request; send it again later with the same Idempotency-Key."
    wait = 5.0 if after_seconds is None else after_seconds
    return Rejection(503, "unavailable", "Not available", detail, retryable=True, retry_after_seconds=wait)


def storage_full(after_seconds: float | None = None) -> Rejection:
    """507: the disk budget is used up; the backlog must drain first."""
    detail = "The agent's disk is full; nothing of this request was accepted. Keep the message and send it again later."
    wait = 30.0 if after_seconds is None else after_seconds
    return Rejection(507, "storage-full", "Storage full", detail, retryable=True, retry_after_seconds=wait)


def not_ready(reasons: list[str]) -> Rejection:
    """503 of `/ready`."""
    errors = [Flaw(pointer="", detail=reason) for reason in reasons]
    detail = "The agent does not take messages now. The reasons are listed in errors."
    return Rejection(503, "not-ready", "Not ready", detail, retryable=True, errors=errors)
