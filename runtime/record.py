"""The record format: subjects, header block and hash chain of what leaves a region.

Pure and frozen: what is sealed by one version must be verifiable by every later one.
The text and golden vectors are in docs/record-format.md.
"""

from __future__ import annotations

import re
from hashlib import sha256
from struct import Struct as Packed
from urllib.parse import quote, unquote

GENESIS = bytes(32)
"""The chain before the first record of a lane."""
NAME = re.compile(r"[a-z0-9-]{1,40}")
"""Regions, lanes and sources: they become parts of subjects, stream and file names."""
TYPE_PREFIX = "io.entrepot."
CHAIN_HEADER = "entrepot-chain"
EPOCH_HEADER = "entrepot-epoch"
SEQ_HEADER = "entrepot-seq"
ORIGIN_HEADER = "entrepot-origin"
WITHHELD = "entrepot.withheld"
EPOCH_RECORD = "entrepot.epoch"
CHECKPOINTS_LANE = "checkpoints"
"""Reserved lane name: the stream of signed checkpoints."""

_position = Packed(">QQI").pack
_length = Packed(">I").pack
_SAFE = "".join(chr(c) for c in range(0x21, 0x7F) if chr(c) not in '"%')


def stream_name(region: str, lane: str) -> str:
    """`eu-de`, `realtime` → `EU-DE_REALTIME`."""
    return f"{region}_{lane}".upper()


def event_subject(region: str, lane: str, name: str) -> str:
    """Subject of an event; `name` is `<domain>.<event>`, never anything a partner wrote."""
    return f"ev.{region}.{lane}.{name}"


def lane_subjects(region: str, lane: str) -> str:
    """The wildcard that a lane's stream listens on."""
    return f"ev.{region}.{lane}.>"


def checkpoint_subject(region: str) -> str:
    """Where a region's signed checkpoints go."""
    return f"cp.{region}"


def encode_value(text: str) -> str:
    """Percent-encode a header value (CloudEvents HTTP/NATS binary mode, section 3.1.3.2)."""
    return quote(text, safe=_SAFE)


def attributes(headers: dict[str, str]) -> dict[str, str]:
    """The CloudEvents attributes of a header set: names without `ce-`, values decoded."""
    return {name[3:]: unquote(value) for name, value in headers.items() if name.startswith("ce-")}


def header_block(headers: dict[str, str]) -> bytes:
    """Canonical bytes of a header set: sorted `name:value` lines. Values must be encoded already."""
    return "".join(f"{name}:{value}\n" for name, value in sorted(headers.items())).encode("ascii")


def parse_header_block(block: bytes) -> dict[str, str]:
    """The reverse of `header_block`."""
    lines = block.decode("ascii").splitlines()
    return dict(line.split(":", 1) for line in lines)


def chained_headers(headers: dict[str, str]) -> bytes:
    """The header block a reader recomputes from a stored message: no `Nats-*`, no chain itself."""
    kept = {n: v for n, v in headers.items() if not n.lower().startswith("nats-") and n != CHAIN_HEADER}
    return header_block(kept)


def chain(previous: bytes, epoch: int, seq: int, subject: bytes, headers: bytes, data: bytes) -> bytes:
    """SHA-256(previous ‖ u64be epoch ‖ u64be seq ‖ len32·subject ‖ len32·headers ‖ len32·data); 32 bytes."""
    return sha256(
        b"".join(
            (
                previous,
                _position(epoch, seq, len(subject)),
                subject,
                _length(len(headers)),
                headers,
                _length(len(data)),
                data,
            )
        )
    ).digest()


def signing_input(kind: str, statement: str) -> bytes:
    """Bytes that an Ed25519 signature covers; `kind` is `checkpoint` or `epoch` and separates the domains."""
    return f"entrepot-{kind}-v1\n{statement}".encode()
