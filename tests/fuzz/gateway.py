"""Spoilt HTTP on a real listener in front of a real journal: never a 500, no forged message is kept, the books balance."""

from __future__ import annotations

import asyncio
import gzip
import hmac
import re
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from socket import SO_LINGER, SOL_SOCKET
from typing import Any

import anyio
import msgspec

from adapters.webhook import ADAPTER
from runtime.gateway.inlet import GatewaySource
from runtime.gateway.schema import MessageSchema
from runtime.gateway.server import Gateway
from runtime.gateway.settings import GatewaySettings, SourceLimits
from runtime.journal import books
from runtime.kernel import Kernel
from runtime.ports import SourceContext
from tests.fuzz.campaign import Result, Told
from tests.support import kernel as support
from tests.support.mappings import EXAMPLES, example
from tests.support.mutation import Mutator

SECRET = b"0123456789abcdef-of-the-shop"
CONNECTIONS = 96
ADDRESSES = 200
"""Senders of this many loopback addresses in turn: one alone would run out of ports."""
ANSWER = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9]) [^\r\n]*\r\n")
LENGTH = re.compile(rb"Content-Length: ([0-9]+)")
LATE_SECONDS = 0.1
"""How soon a request that is cut off is answered, and an idle connection closed. Too soon for a request costs a 408."""
ANSWER_SECONDS_MAX = 60.0
SCHEMA = '{"type": "object", "properties": {"order": {"type": "object", "required": ["no"]}}}'
HEADS = [
    b"Content-Length: 5", b"Content-Length: 0", b"Content-Length: -1", b"Content-Length: 1e3", b"Content-Length: 99999999999999999999",
    b"Content-Length: 5, 5", b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding:\x0bchunked", b"Expect: 100-continue", b"Expect: 200-ok", b"Content-Encoding: gzip", b"Content-Encoding: br",
    b"Content-Encoding: deflate", b"Content-Type: application/x-ndjson", b"Content-Type: text/xml", b"Content-Type:", b"Content-Type: \xff",
    b"Content-Type: " + b"a" * 300, b"Idempotency-Key: k", b"Idempotency-Key: " + b"k" * 3_000, b"Idempotency-Key: \xff\xfe", b"Connection: close",
    b"Connection: upgrade\r\nUpgrade: websocket", b"Upgrade: h2c", b"X-Forwarded-For: 1.2.3.4", b"traceparent: 00-" + b"0" * 32 + b"-" + b"1" * 16 + b"-01",
    b"traceparent: \x00", b"Authorization: Bearer entk_x", b"Authorization: Bearer \xff", b"X-Signature: " + b"0" * 64, b"Host: a\r\nHost: b",
    b": nameless", b"No-Colon", b" folded: x", b"X-Long: " + b"x" * 20_000, b"X: a\rb", b"X: a\x00b", b"Cookie: " + b"a=b; " * 200,
]  # fmt: skip
"""Lines of a head that somebody might send, alone or beside what is there already."""


def run(seed: int, inputs: int, told: Told, folder: Path) -> Result:
    """So many spoilt requests, each on a connection of its own. `folder` is empty and takes the journal."""
    return anyio.run(_run, seed, inputs, told, folder, backend_options={"use_uvloop": True})


async def _run(seed: int, inputs: int, told: Told, folder: Path) -> Result:
    result = Result("gateway", seed)
    mutator = Mutator(seed, _bodies())
    true = _true_requests()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: result.find("the event loop complains", context))
    async with support.region(folder, example("acme-wms.toml")) as kernel, _listening(kernel, result) as gateway:
        port = int(gateway.addresses[0].rpartition(":")[2])
        waiting = iter(range(inputs))

        async def send() -> None:
            for number in waiting:
                request = spoil(true, mutator)
                try:
                    answers = await _exchange(request, port, number)
                except (OSError, TimeoutError) as error:
                    answers = b""
                    result.find("no answer and no end", request, error)
                result.count(_judge(request, answers, result), told)

        async with anyio.create_task_group() as senders:
            for _ in range(CONNECTIONS):
                senders.start_soon(send)
        await support.translate(kernel)
        await _look_at_the_journal(kernel, gateway, result)
    return result


# ---------------------------------------------------------------- the listener


@asynccontextmanager
async def _listening(kernel: Kernel, result: Result) -> AsyncIterator[Gateway]:
    """`wms` is signed; `carrier` is open, compressed bodies allowed, and compares with a schema."""

    def log(event: str, **fields: Any) -> None:
        if fields.get("status", 0) == 500:
            result.find("answered with 500", fields)

    doors = {
        name: GatewaySource(
            name=name,
            source=_source(name, auth),
            intake=support.intake_of(kernel, name),
            translator=kernel.configuration.sources[name].rules.translator,
            limits=SourceLimits(rate_per_second=1_000_000, burst=1_000_000, compressed=True, body_bytes_max=20_000),
            schema=MessageSchema(SCHEMA, "fuzz") if name == "carrier" else None,
            outcome=kernel.translation.outcome,
            fate=partial(kernel.fate, name),
        )
        for name, auth in (
            ("wms", {"scheme": "hmac-sha256", "header": "X-Signature", "secrets": ["secret://wms"]}),
            ("carrier", {"scheme": "none"}),
        )
    }
    settings = GatewaySettings(
        listen="127.0.0.1:0",
        head_timeout_seconds=LATE_SECONDS,
        body_timeout_seconds=LATE_SECONDS,
        keepalive_seconds=LATE_SECONDS,
    )
    gateway = Gateway(settings, doors, log=log)
    await gateway.start()
    try:
        yield gateway
    finally:
        await gateway.stop(seconds_max=5)


def _source(name: str, auth: dict[str, Any]) -> Any:
    nowhere: Any = None
    context = SourceContext(
        name=name,
        intake=nowhere,
        secret=lambda _: SECRET,
        directory=".",
        log=lambda *_, **__: None,
        now_us=lambda: 0,
    )
    return ADAPTER.source(msgspec.convert({"auth": auth}, ADAPTER.settings), context)


# ---------------------------------------------------------------- requests


def _bodies() -> list[bytes]:
    return [file.read_bytes() for file in sorted((EXAMPLES / "samples" / "wms").glob("*.json"))]


def _true_requests() -> list[tuple[list[bytes], bytes]]:
    """Lines of the head without the length, and the body."""
    bodies = _bodies()
    requests: list[tuple[list[bytes], bytes]] = []
    for body in bodies:
        sign = hmac.digest(SECRET, body, "sha256").hex().encode()
        kind = b"Content-Type: application/json"
        requests += [
            ([b"POST /in/wms HTTP/1.1", b"Host: a", kind, b"X-Signature: " + sign], body),
            ([b"POST /check/wms HTTP/1.1", b"Host: a", kind, b"X-Signature: " + sign], body),
            ([b"POST /in/carrier HTTP/1.1", b"Host: a", kind], body),
            ([b"POST /in/carrier HTTP/1.1", b"Host: a", kind, b"Content-Encoding: gzip"], gzip.compress(body, mtime=0)),
        ]
    lines = b"\n".join(body.replace(b"\n", b" ") for body in bodies)
    requests.append(([b"POST /in/carrier HTTP/1.1", b"Host: a", b"Content-Type: application/x-ndjson"], lines))
    for path in (
        b"/live",
        b"/metrics",
        b"/receipts/carrier/k",
        b"/receipts/wms/k",
        b"/in/nobody",
        b"/%2e%2e/in/wms?x=y",
    ):
        requests.append(([b"GET %s HTTP/1.1" % path, b"Host: a"], b""))
    return requests


def spoil(true: list[tuple[list[bytes], bytes]], mutator: Mutator) -> bytes:
    """Bytes for one connection: a body, a line of the head, the framing, or all of it as one."""
    draw = mutator.random
    lines, body = draw.choice(true)
    lines = list(lines)
    way = draw.random()
    if way < 0.45:
        body = mutator.mutate(body)
    elif way < 0.75:
        for _ in range(draw.choice((1, 1, 2, 3))):
            _spoil_line(lines, mutator)
    chunked = draw.random() < 0.1
    lines.append(b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(body))
    if draw.random() < 0.9:
        lines.append(b"Connection: close")
    framed = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if chunked and body else body
    request = b"\r\n".join(lines) + b"\r\n\r\n" + framed
    return mutator.mutate(request) if way >= 0.75 else request


def _spoil_line(lines: list[bytes], mutator: Mutator) -> None:
    draw = mutator.random
    at = draw.randrange(len(lines))
    match draw.randrange(5):
        case 0:
            lines[at] = mutator.mutate(lines[at])
        case 1:
            lines.insert(max(1, at), draw.choice(HEADS))
        case 2:
            lines.append(lines[at])
        case 3:
            lines[at] = (
                draw.choice(HEADS) if at else lines[0].replace(b"1.1", draw.choice((b"1.0", b"0.9", b"2.0", b"1.1 x")))
            )
        case _:
            method = draw.choice((b"GET", b"HEAD", b"PUT", b"TRACE", b"CONNECT", b"OPTIONS", b"PRI", b"post", b"\xff"))
            lines[0] = lines[0].replace(b"POST", method).replace(b"GET", method)


async def _exchange(request: bytes, port: int, number: int) -> bytes:
    """Everything that is answered until the gateway closes the connection, or says that it will."""
    origin = (f"127.0.1.{number % ADDRESSES + 1}", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=origin)
    # A reset instead of an orderly end: no port waits for what comes late.
    writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
    try:
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            writer.write(request)
            answers = b""
            while more := await reader.read(65_536):
                answers += more
                if _is_last(answers):
                    break
            return answers
    except ConnectionError:
        return b""
    finally:
        writer.close()


def _is_last(answers: bytes) -> bool:
    """Whether the newest answer is whole and says that the connection ends with it."""
    head, end, body = answers[answers.rfind(b"HTTP/1.1 ") :].partition(b"\r\n\r\n")
    length = LENGTH.search(head)
    return bool(end) and b"Connection: close" in head and length is not None and len(body) >= int(length[1])


# ---------------------------------------------------------------- judgement


def _judge(request: bytes, answers: bytes, result: Result) -> str:
    """The status of the first answer; "nothing" when the gateway just hung up."""
    if not answers:
        return "nothing"
    first = ANSWER.match(answers)
    if first is None:
        result.find(f"no HTTP: {answers[:100]!r}", request)
        return "garbage"
    statuses = [int(status) for status in ANSWER.findall(answers)]
    if any(status >= 500 and status not in {503, 507} for status in statuses):
        result.find(f"answered with {statuses}", request)
    return first[1].decode()


async def _look_at_the_journal(kernel: Kernel, gateway: Gateway, result: Result) -> None:
    """What was kept: of the signed source nothing but what was truly signed, and accounts that add up."""
    kept = await kernel.journal.read(_kept)
    # No signature covers the content type: what was signed as one message may come as its lines.
    true = {part.strip() for body in _bodies() for part in (body, *body.split(b"\n"))}
    for source, body in kept:
        if source == "wms" and body.strip() not in true:
            result.find("kept although nobody signed it", body)
    found = await kernel.journal.read(books.read)
    if not found.balanced:
        result.find("the books do not balance", found)
    if gateway._room.bytes_held:
        result.find("bodies are held that nobody reads any more", gateway._room.bytes_held)
    result.outcomes["kept"] = found.facts


def _kept(connection: Any) -> list[tuple[str, bytes]]:
    query = "SELECT n.name, b.body FROM intake i JOIN names n ON n.id = i.source JOIN bodies b ON b.seq = i.seq"
    return [(str(source), bytes(body)) for source, body in connection.execute(query)]
