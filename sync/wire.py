"""Bytes on the wire: publish frames from sealed rows, and what the hub's replies say. Pure.

Every frame carries its own expected sequence. ADR-50 asks for it on a batch's first message only; then a
second writer can slip between two messages of a batch, which is how a cloned disk would corrupt a stream.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from runtime.envelope import Sealed
from runtime.record import CHAIN_HEADER

EXPECTED_HEADER = "Nats-Expected-Last-Sequence"
FRAME_OVERHEAD_BYTES = 256
"""Generous estimate of protocol line, reply subject, chain and expected sequence; for byte budgets only."""
_START, _APPEND, _COMMIT = b"0", b"1", b"2"
_HEAD = b"NATS/1.0\r\n%b" + CHAIN_HEADER.encode() + b":%b\r\n" + EXPECTED_HEADER.encode() + b":%d\r\n\r\n"
_FAST = b"HPUB %b %b%d.%b.$FI %d %d\r\n%b%b\r\n"
_SINGLE = b"HPUB %b %b.%d %d %d\r\n%b%b\r\n"


class ApiFault(msgspec.Struct, frozen=True):
    """The `error` object of a JetStream answer."""

    code: int = 0
    err_code: int = 0
    description: str = ""


class Reply(msgspec.Struct, frozen=True):
    """Flow acknowledgement (`type` ack), gap, err, or publish acknowledgement (`type` empty)."""

    type: str = ""
    seq: int = 0
    msgs: int = 0
    stream: str = ""
    batch: str = ""
    error: ApiFault | None = None


_decode = msgspec.json.Decoder(Reply).decode


def size_bytes(row: Sealed) -> int:
    """What a row costs of the window's byte budget, roughly."""
    return len(row.subject) + len(row.headers) + len(row.data) + FRAME_OVERHEAD_BYTES


def payload_bytes(row: Sealed) -> int:
    """What the server counts against `max_payload`: header block and data."""
    own = len(_HEAD % (b"", b"0" * 64, row.seq - 1))
    return own + len(row.headers) + row.headers.count(b"\n") + len(row.data)


def fast_frames(rows: Sequence[Sealed], reply: bytes, number: int, *, flow: int, commit: bool) -> bytes:
    """Messages `number` … of a fast-ingest batch; number 1 starts it, `commit` ends it with the last row.

    Reply subject: `<inbox>.<batch id>.<flow>.fail.<n>.<op>.$FI` (ADR-50, gap mode `fail`). `reply` is
    `<inbox>.<batch id>`. A batch is never ended by a message without a row: a server that does not know fast
    ingest would store it.
    """
    prefix = b"%b.%d.fail." % (reply, flow)
    last = number + len(rows) - 1
    parts: list[bytes] = []
    add = parts.append
    for place, row in enumerate(rows, number):
        operation = _COMMIT if commit and place == last else _APPEND if place > 1 else _START
        head = _HEAD % (row.headers.replace(b"\n", b"\r\n"), row.chain.hex().encode(), row.seq - 1)
        data = row.data
        size = len(head)
        add(_FAST % (row.subject.encode(), prefix, place, operation, size, size + len(data), head, data))
    return b"".join(parts)


def single_frames(rows: Sequence[Sealed], reply: bytes, number: int) -> bytes:
    """Plain publishes, each answered on `<inbox>.<name>.<n>`; n counts from `number`."""
    parts: list[bytes] = []
    add = parts.append
    for place, row in enumerate(rows, number):
        head = _HEAD % (row.headers.replace(b"\n", b"\r\n"), row.chain.hex().encode(), row.seq - 1)
        data = row.data
        size = len(head)
        add(_SINGLE % (row.subject.encode(), reply, place, size, size + len(data), head, data))
    return b"".join(parts)


def split_reply(subject: bytes) -> tuple[bytes, int]:
    """(batch id, n) of a reply subject of either kind. Raises ValueError."""
    if subject.endswith(b".$FI"):
        _, batch, _, _, number, _, _ = subject.rsplit(b".", 6)
    else:
        _, batch, number = subject.rsplit(b".", 2)
    return batch, int(number)


def parse_reply(headers: bytes, data: bytes) -> Reply:
    """Never raises: what cannot be read becomes a fault, which the window treats as an unknown result."""
    if headers.startswith(b"NATS/1.0 503"):
        return Reply(error=ApiFault(503, 0, "no stream listens on this subject"))
    try:
        return _decode(data)
    except msgspec.MsgspecError:
        return Reply(error=ApiFault(0, 0, "unreadable answer"))


def parse_headers(block: bytes) -> dict[str, str]:
    """Header names (lower case) and values as stored. A repeated name is joined with a comma, as HTTP does,
    so that a planted second header changes the recomputed chain.
    """
    found: dict[str, str] = {}
    for line in block.decode("utf-8", "replace").split("\r\n")[1:]:
        name, colon, value = line.partition(":")
        if not colon:
            continue
        key, value = name.strip().lower(), value.strip()
        found[key] = f"{found[key]},{value}" if key in found else value
    return found


def message_frame(subject: str, reply: str, headers: dict[str, str], data: bytes) -> bytes:
    """One plain publish with headers, for statements."""
    lines = "".join(f"{name}:{value}\r\n" for name, value in headers.items())
    head = f"NATS/1.0\r\n{lines}\r\n".encode()
    return b"%b%b%b\r\n" % (f"HPUB {subject} {reply} {len(head)} {len(head) + len(data)}\r\n".encode(), head, data)
