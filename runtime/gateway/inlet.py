"""One source's door: authenticate, limit, name the key, hand the exact bytes to the journal, give the receipt.

Promises that a 202 is only ever built from receipts, so from committed and flushed bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aiohttp import web
from msgspec import Struct

from runtime.envelope import Message, Receipt
from runtime.errors import Refused, Retryable, StorageFailed, StorageFull
from runtime.gateway import problems
from runtime.gateway.answers import Answer, accepted
from runtime.gateway.body import Room, read_body
from runtime.gateway.headers import kept_headers
from runtime.gateway.keys import Dedupe, header_key, own_key, traceparent
from runtime.gateway.limits import inflate, is_deeper
from runtime.gateway.settings import SourceLimits
from runtime.policy.throttle import Throttle
from runtime.ports import NO_HEADERS, Intake, Request, Source, Translator

NDJSON = "application/x-ndjson"
LINE_TYPE = "application/json"
CONTENT_TYPE_CHARS_MAX = 200


class GatewaySource(Struct, frozen=True, kw_only=True):
    """A source as the gateway needs it. `limits` None: those of `[gateway]`."""

    source: Source
    intake: Intake
    translator: Translator | None = None
    dedupe: Dedupe = "key"
    limits: SourceLimits | None = None


class BatchReceipt(Struct, frozen=True, kw_only=True):
    """The one receipt of an NDJSON request; the sequences are the lowest and the highest of its lines."""

    region: str
    epoch: int
    first_intake_seq: int
    last_intake_seq: int
    accepted: int
    duplicates: int
    committed_at: str


class Inlet:
    """The state of one source's door: its bucket, and how many requests are in hand."""

    def __init__(
        self,
        served: GatewaySource,
        limits: SourceLimits,
        room: Room,
        body_timeout_seconds: float,
        now: Callable[[], float],
    ) -> None:
        self._served = served
        self._limits = limits
        self._room = room
        self._body_timeout_seconds = body_timeout_seconds
        self._now = now
        self._throttle = Throttle(limits.rate_per_second, limits.burst)
        self._in_flight = 0
        self._kept = tuple(served.translator.headers) if served.translator is not None else ()

    async def receive(self, request: web.BaseRequest) -> Answer:
        """202 with a receipt. Raises `Rejection`."""
        wait = self._throttle.wait_seconds(self._now())
        if wait:
            raise problems.too_many(wait)
        if self._in_flight >= self._limits.in_flight_max:
            raise problems.too_many(1.0)
        self._in_flight += 1
        try:
            return await self._receive(request)
        finally:
            self._in_flight -= 1

    async def _receive(self, request: web.BaseRequest) -> Answer:
        limits = self._limits
        kind = request.headers.get("Content-Type", "application/json")
        if len(kind) > CONTENT_TYPE_CHARS_MAX or not kind.isascii() or not kind.isprintable():
            raise problems.bad_header("Content-Type", "is too long or not printable ASCII")
        encoding = request.headers.get("Content-Encoding", "identity").lower()
        if encoding != "identity" and not limits.compressed:
            raise problems.wrong_encoding(compressed=False)
        batch = kind.partition(";")[0].strip().lower() == NDJSON
        bytes_max = limits.ndjson_body_bytes_max if batch else limits.body_bytes_max
        sent = await read_body(request, bytes_max, self._room, self._body_timeout_seconds)
        held = len(sent)
        try:
            signed_id = self._admit(request, sent)
            body = sent
            if encoding != "identity":
                body = inflate(sent, encoding, bytes_max, limits.ratio_max)
                self._room.take(len(body))
                held += len(body)
            if batch:
                return accepted(await self._batch(request, body, signed_id))
            return accepted(await self._single(request, body, kind, signed_id))
        finally:
            self._room.give(held)

    def _admit(self, request: web.BaseRequest, body: bytes) -> str | None:
        """Who sends this? Only then a token is taken, so that strangers cannot use up the source's rate.

        Returns the message id that the signature covers, if any.
        """
        path, _, query = request.raw_path.partition("?")
        asked = Request(headers=request.headers, body=body, remote=request.remote or "", path=path, query=query)
        try:
            signed_id = self._served.source.authenticate(asked)
        except Refused as error:
            raise problems.unauthorized(str(error)) from None
        except Retryable as error:
            raise problems.unavailable(str(error), error.after_seconds) from None
        wait = self._throttle.take(self._now())
        if wait:
            raise problems.too_many(wait)
        return signed_id

    async def _single(self, request: web.BaseRequest, body: bytes, kind: str, signed_id: str | None) -> Receipt:
        if not body:
            raise problems.empty_body()
        if is_deeper(body, self._limits.depth_max):
            raise problems.too_deep(self._limits.depth_max)
        served = self._served
        header = signed_id or request.headers.get("Idempotency-Key")
        kept = kept_headers(request.headers, self._kept) if self._kept else NO_HEADERS
        key = own_key(body, kind, served.translator, served.dedupe, kept) if header is None else header_key(header)
        trace = traceparent(request.headers.get("traceparent"))
        message = Message(body=body, content_type=kind, key=key, traceparent=trace, headers=kept)
        receipts = await self._commit([message])
        return receipts[0]

    async def _batch(self, request: web.BaseRequest, body: bytes, signed_id: str | None) -> BatchReceipt:
        receipts = await self._commit(self._lines(request, body, signed_id))
        duplicates = sum(receipt.duplicate for receipt in receipts)
        last = receipts[-1]
        return BatchReceipt(
            region=last.region,
            epoch=last.epoch,
            first_intake_seq=min(receipt.intake_seq for receipt in receipts),
            last_intake_seq=max(receipt.intake_seq for receipt in receipts),
            accepted=len(receipts) - duplicates,
            duplicates=duplicates,
            committed_at=last.committed_at,
        )

    def _lines(self, request: web.BaseRequest, body: bytes, signed_id: str | None) -> list[Message]:
        """One message per line that is not blank. Line numbers are 1-based and count blank lines."""
        limits = self._limits
        if body.count(b"\n") > limits.ndjson_lines_max:
            limit = f"{limits.ndjson_lines_max} lines"
            raise problems.too_large("The NDJSON body", limit, "Split it into several requests.")
        header = signed_id or request.headers.get("Idempotency-Key")
        stem = None if header is None else header_key(header)
        trace = traceparent(request.headers.get("traceparent"))
        served = self._served
        messages: list[Message] = []
        for number, raw in enumerate(body.split(b"\n"), 1):
            line = raw.removesuffix(b"\r")
            if not line or line.isspace():
                continue
            if len(line) > limits.body_bytes_max:
                what = f"{limits.body_bytes_max} bytes"
                raise problems.too_large(f"Line {number}", what, "Split the message; nothing was accepted.")
            if is_deeper(line, limits.depth_max):
                raise problems.too_deep(limits.depth_max, number)
            key = f"{stem}#{number}" if stem else own_key(line, LINE_TYPE, served.translator, served.dedupe)
            messages.append(Message(body=line, content_type=LINE_TYPE, key=key, traceparent=trace))
        if not messages:
            raise problems.empty_body()
        return messages

    async def _commit(self, messages: Sequence[Message]) -> list[Receipt]:
        try:
            return await self._served.intake.accept(messages)
        except StorageFull as error:
            raise problems.storage_full(error.after_seconds) from None
        except Refused as error:
            raise problems.key_conflict(str(error)) from None
        except Retryable as error:
            raise problems.unavailable(str(error), error.after_seconds) from None
        except StorageFailed:
            raise problems.unavailable("The journal's disk failed.") from None
