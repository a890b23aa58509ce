"""One source's door: authenticate, limit, name the key, hand the exact bytes to the journal, give the receipt.

Promises that a 202 is only ever built from receipts, so from committed and flushed bytes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Literal, TypeVar

from aiohttp import web
from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from msgspec import UNSET, Struct
from msgspec.structs import replace

from runtime import clock
from runtime.access.allowance import Allowance, Quota
from runtime.access.keys import PREFIX
from runtime.envelope import Message, Receipt
from runtime.errors import Refused, Retryable, StorageFailed, StorageFull
from runtime.gateway import problems
from runtime.gateway.answers import Answer, accepted, told
from runtime.gateway.api.operations import SUBMIT, Submission
from runtime.gateway.body import Room, read_body
from runtime.gateway.desk import Desk, enter, fields, lines, source_quota
from runtime.gateway.headers import kept_headers, origin_form
from runtime.gateway.keys import Dedupe, given_key, header_key, own_key, traceparent
from runtime.gateway.limits import inflate, is_deeper, is_object
from runtime.gateway.problems import Flaw, Rejection
from runtime.gateway.proxies import Proxies
from runtime.gateway.schema import FLAWS_MAX, MessageSchema
from runtime.gateway.settings import SourceLimits
from runtime.gateway.trial import Outcome, Verdict, try_message
from runtime.policy.throttle import Throttle
from runtime.ports import NO_HEADERS, Admission, Intake, Request, Source, Translator

NDJSON = "application/x-ndjson"
LINE_TYPE = "application/json"
CONTENT_TYPE_CHARS_MAX = 200
TRYING_MAX = 2
"""Messages of one source that are tried, or compared with its schema, in threads at once; translation itself goes first."""
INLINE_BYTES_MAX = 32 * 1024
"""A larger body is compared with a schema in a thread: it takes a millisecond or more, for which others would wait."""
_NOTHING_MORE = Admission()
_KEY = f"bearer {PREFIX}"
Errand = Literal["write", "check", "receipts", "order"]
"""What a request is for: as `Purpose`, or an order for the API, which is tried first and then sent."""
Fate = Callable[[str, str | None], Awaitable[Struct | None]]
T = TypeVar("T")


class GatewaySource(Struct, frozen=True, kw_only=True):
    """A source as the gateway needs it. `limits` None: those of `[gateway]`."""

    source: Source
    intake: Intake
    name: str = ""
    translator: Translator | None = None
    dedupe: Dedupe = "key"
    limits: SourceLimits | None = None
    schema: MessageSchema | None = None
    """What a message must look like to be taken."""
    answer_status: int = 202
    """Of a message that was taken."""
    told: bool = False
    """Its rate is its own, so its senders are told what is left of it."""
    desk: Desk | None = None
    outcome: Outcome | None = None
    """What a message would become: `POST /check/<source>`."""
    fate: Fate | None = None
    """What became of the message with this key, asked by this caller: `GET /receipts/<source>/<key>`."""


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
        proxies: Proxies,
    ) -> None:
        self._served = served
        self._limits = limits
        self._room = room
        self._body_timeout_seconds = body_timeout_seconds
        self._now = now
        self._proxies = proxies
        self._throttle = Throttle(limits.rate_per_second, limits.burst)
        self._in_flight = 0
        self._kept = tuple(served.translator.headers) if served.translator is not None else ()
        self._trying = CapacityLimiter(TRYING_MAX)

    async def receive(self, request: web.BaseRequest, errand: Errand = "write") -> Answer:
        """202 with a receipt; for `check`, 200 with a verdict; for `order`, 202 with both. Raises `Rejection`."""
        wait = self._throttle.wait_seconds(self._now())
        if wait:
            raise self._too_many(wait)
        if self._in_flight >= self._limits.in_flight_max:
            raise self._too_many(1.0)
        self._in_flight += 1
        try:
            return await self._receive(request, errand)
        finally:
            self._in_flight -= 1

    async def _receive(self, request: web.BaseRequest, errand: Errand) -> Answer:
        limits = self._limits
        kind = request.headers.get("Content-Type", "application/json")
        if len(kind) > CONTENT_TYPE_CHARS_MAX or not kind.isascii() or not kind.isprintable():
            raise problems.bad_header("Content-Type", "is too long or not printable ASCII")
        encoding = request.headers.get("Content-Encoding", "identity").lower()
        if encoding != "identity" and not limits.compressed:
            raise problems.wrong_encoding(compressed=False)
        media = kind.partition(";")[0].strip().lower()
        if limits.content_types and media not in limits.content_types:
            raise problems.wrong_type(limits.content_types)
        batch = media == NDJSON
        bytes_max = limits.ndjson_body_bytes_max if batch else limits.body_bytes_max
        sent = await read_body(request, bytes_max, self._room, self._body_timeout_seconds)
        held = len(sent)
        allowance: Allowance | None = None
        try:
            admission = self._admit(request, sent, errand)
            if admission.caller is not None:
                allowance = self._enter(admission.caller)
            body = sent
            if encoding != "identity":
                body = inflate(sent, encoding, bytes_max, limits.ratio_max)
                self._room.take(len(body))
                held += len(body)
            if errand == "check":
                return told(await self._try(request, body, kind, batch, admission), self._quotas(allowance))
            if errand == "order":
                return accepted(await self._order(request, body, kind, batch, admission), self._quotas(allowance))
            taken = (
                await self._batch(request, body, admission)
                if batch
                else await self._single(request, body, kind, admission)
            )
            return accepted(taken, self._quotas(allowance), self._served.answer_status)
        finally:
            self._room.give(held)
            if allowance is not None:
                allowance.leave()

    async def lookup(self, request: web.BaseRequest, key: str) -> Answer:
        """200 with what became of the message with this key. Raises `Rejection`: 404 also for another caller's."""
        fate = self._served.fate
        if fate is None:
            raise problems.not_found()
        admission = self._admit(request, request.raw_path.encode("utf-8", "surrogateescape"), "receipts")
        allowance = None if admission.caller is None else self._enter(admission.caller)
        try:
            found = await fate(key, admission.caller)
        except (Retryable, StorageFailed) as error:
            raise problems.unavailable(str(error)) from None
        finally:
            if allowance is not None:
                allowance.leave()
        if found is None:
            raise problems.no_receipt()
        return told(found, self._quotas(allowance))

    async def _try(
        self, request: web.BaseRequest, body: bytes, kind: str, batch: bool, admission: Admission
    ) -> Verdict:
        served = self._served
        if served.outcome is None or served.translator is None:
            raise problems.not_found()
        if batch:
            raise problems.one_message_only()
        message = await self._aside(body, partial(self._message, request, body, kind, admission))
        # In a thread: a mapping that takes long must not hold up those who send.
        return await run_sync(
            try_message, served.outcome, served.name, served.translator.version, message, limiter=self._trying
        )

    async def _order(
        self, request: web.BaseRequest, body: bytes, kind: str, batch: bool, admission: Admission
    ) -> Submission:
        """Take what would become events, and nothing else: whoever waits for an answer can mend it at once."""
        verdict = await self._try(request, body, kind, batch, admission)
        if verdict.result == "letter":
            raise problems.invalid(verdict.reason or "", verdict.position or "", verdict.hint or "")
        receipt = await self._single(request, body, kind, admission)
        outputs = [replace(output, data=UNSET) for output in verdict.outputs]
        return Submission(receipt=receipt, rules=verdict.rules, outputs=outputs)

    def _inspect(self, body: bytes, line: int | None = None) -> None:
        """What can be said without parsing. Raises `Rejection`."""
        if not body:
            raise problems.empty_body()
        if is_deeper(body, self._limits.depth_max):
            raise problems.too_deep(self._limits.depth_max, line)
        if self._limits.json_object and not is_object(body):
            raise problems.no_object(line)

    def _enter(self, caller: str) -> Allowance:
        desk = self._served.desk
        assert desk is not None, "whoever names callers is asked what is left to them"
        return enter(desk, caller, self._served.name, self._now(), clock.now_us())

    def _quotas(self, allowance: Allowance | None) -> str:
        """The fields that tell senders what is left of the limits that were set for them."""
        if allowance is not None:
            return lines(allowance.quotas(self._now(), clock.now_us()))
        return lines([self._own_quota(0.0)]) if self._served.told else ""

    def _own_quota(self, wait_seconds: float) -> Quota:
        limits = self._limits
        left = 0.0 if wait_seconds else self._throttle.left(self._now())
        return source_quota(limits.rate_per_second, limits.burst, left, wait_seconds)

    def _too_many(self, wait_seconds: float) -> Rejection:
        rejection = problems.too_many(wait_seconds)
        rejection.headers |= fields([self._own_quota(wait_seconds)])
        return rejection

    def _admit(self, request: web.BaseRequest, body: bytes, errand: Errand) -> Admission:
        """Who sends this? Only then a token is taken, so that strangers cannot use up the source's rate."""
        path, _, query = origin_form(request.raw_path).partition("?")
        asked = Request(
            headers=request.headers,
            body=body,
            remote=self._proxies.sender(request.remote or "", request.headers),
            path=path,
            query=query,
            purpose="write" if errand == "order" else errand,
            certificate=request.protocol.certificate,  # type: ignore[attr-defined]
        )
        try:
            admission = self._who(asked, errand)
        except (Refused, Retryable) as error:
            raise problems.turned_away(error) from None
        wait = self._throttle.take(self._now())
        if wait:
            raise self._too_many(wait)
        return admission or _NOTHING_MORE

    def _who(self, asked: Request, errand: Errand) -> Admission | None:
        """The source's own check; whoever only asks may show a key instead, whatever the source's senders sign with.

        Orders are for callers alone: the API has one way to prove oneself.
        """
        desk = self._served.desk
        if errand == "order":
            if desk is None:
                raise Refused("There are no callers with names of their own here.")
            return Admission(caller=desk.authorize(SUBMIT, asked))
        if (
            desk is not None
            and asked.purpose != "write"
            and asked.headers.get("authorization", "").lower().startswith(_KEY)
        ):
            return Admission(caller=desk.admit(self._served.name, asked))
        return self._served.source.authenticate(asked)

    async def _single(self, request: web.BaseRequest, body: bytes, kind: str, admission: Admission) -> Receipt:
        message = await self._aside(body, partial(self._message, request, body, kind, admission))
        receipts = await self._commit([message])
        return receipts[0]

    async def _aside(self, body: bytes, make: Callable[[], T]) -> T:
        """Make messages of a body: in a thread where comparing it with a schema would hold up other sources."""
        if self._served.schema is None or len(body) <= INLINE_BYTES_MAX:
            return make()
        return await run_sync(make, limiter=self._trying)

    def _message(self, request: web.BaseRequest, body: bytes, kind: str, admission: Admission) -> Message:
        """The message of a request with its key and the headers that its rules read. Raises `Rejection`."""
        self._inspect(body)
        served = self._served
        if served.schema is not None and (flaws := served.schema.flaws(body, kind)):
            raise problems.unfit(flaws)
        header = admission.message_id or given_key(request.headers)
        kept = kept_headers(request.headers, self._kept) if self._kept else NO_HEADERS
        key = own_key(body, kind, served.translator, served.dedupe, kept) if header is None else header_key(header)
        trace = traceparent(request.headers.get("traceparent"))
        return Message(body=body, content_type=kind, key=key, traceparent=trace, headers=kept, caller=admission.caller)

    async def _batch(self, request: web.BaseRequest, body: bytes, admission: Admission) -> BatchReceipt:
        receipts = await self._commit(await self._aside(body, partial(self._lines, request, body, admission)))
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

    def _lines(self, request: web.BaseRequest, body: bytes, admission: Admission) -> list[Message]:
        """One message per line that is not blank. Line numbers are 1-based and count blank lines."""
        limits = self._limits
        if body.count(b"\n") > limits.ndjson_lines_max:
            limit = f"{limits.ndjson_lines_max} lines"
            raise problems.too_large("The NDJSON body", limit, "Split it into several requests.")
        header = admission.message_id or given_key(request.headers)
        stem = None if header is None else header_key(header)
        trace = traceparent(request.headers.get("traceparent"))
        served = self._served
        messages: list[Message] = []
        flaws: list[Flaw] = []
        for number, raw in enumerate(body.split(b"\n"), 1):
            line = raw.removesuffix(b"\r")
            if not line or line.isspace():
                continue
            if len(line) > limits.body_bytes_max:
                what = f"{limits.body_bytes_max} bytes"
                raise problems.too_large(f"Line {number}", what, "Split the message; nothing was accepted.")
            self._inspect(line, number)
            if served.schema is not None:
                flaws += served.schema.flaws(line, LINE_TYPE, f"/{number}")
                if len(flaws) >= FLAWS_MAX:
                    break
            key = f"{stem}#{number}" if stem else own_key(line, LINE_TYPE, served.translator, served.dedupe)
            messages.append(
                Message(body=line, content_type=LINE_TYPE, key=key, traceparent=trace, caller=admission.caller)
            )
        if flaws:
            raise problems.unfit(flaws[:FLAWS_MAX])
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
