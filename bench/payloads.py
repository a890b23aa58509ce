"""The bytes that are sent: the same sizes on both sides of every comparison, every message different."""

from __future__ import annotations

import hmac
import json

EVENT_BYTES = 458
POST_BYTES = 600
HEADERS = 7


def padded(document: dict[str, object], size: int) -> bytes:
    """JSON of exactly `size` bytes; the filler is a remark of the sender."""
    bare = len(json.dumps({**document, "remark": ""}, separators=(",", ":")))
    if bare > size:
        raise ValueError(f"{bare} bytes do not fit in {size}")
    return json.dumps({**document, "remark": "x" * (size - bare)}, separators=(",", ":")).encode()


def signature(secret: bytes, body: bytes) -> bytes:
    """HMAC-SHA256 as lower-case hex: the scheme `hmac-sha256` of a webhook source."""
    return hmac.digest(secret, body, "sha256").hex().encode()


def nats_headers(number: int) -> bytes:
    """A CloudEvents header block with seven headers, as the uplink's peers send it."""
    return (
        b"NATS/1.0\r\n"
        b"ce-id:1.%d.0\r\n"
        b"ce-source:eu-de/wms\r\n"
        b"ce-specversion:1.0\r\n"
        b"ce-subject:4711-%d\r\n"
        b"ce-time:2026-01-02T03:04:05.678901Z\r\n"
        b"ce-type:io.entrepot.stock.adjusted.v1\r\n"
        b"entrepot-seq:%d\r\n"
    ) % (number, number, number)
