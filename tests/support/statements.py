"""Signed statements for the tests of `verify`: a throw-away key and a chain of checkpoints."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from hashlib import sha256

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from runtime import record
from runtime.envelope import Checkpoint, EpochRecord, LaneStatement, Sealed, Signed
from tests.support.lanes import REGION

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))


def sign(kind: str, statement: str, key: Ed25519PrivateKey = KEY) -> bytes:
    """The body as it stands at the hub."""
    raw = key.public_key().public_bytes_raw()
    signature = base64.b64encode(key.sign(record.signing_input(kind, statement))).decode()
    return msgspec.json.encode(Signed(statement=statement, key_id=sha256(raw).hexdigest()[:16], signature=signature))


class Notary:
    """Writes checkpoints, each linked to the one before."""

    def __init__(self) -> None:
        self.number = 0
        self.previous = ""

    def checkpoint(
        self,
        lanes: Mapping[str, tuple[int, bytes]],
        *,
        books: dict[str, int] | None = None,
        key: Ed25519PrivateKey = KEY,
        region: str = REGION,
    ) -> bytes:
        """`lanes`: acknowledged position and chain there."""
        self.number += 1
        accepted = sum(acked for acked, _ in lanes.values())
        shown = {"accepted": accepted, "delivered": accepted} if books is None else books
        statement = Checkpoint(
            format=1,
            region=region,
            environment="test",
            number=self.number,
            issued_at="2026-11-23T09:30:00.000000+00:00",
            epoch=1,
            lanes={n: LaneStatement(sealed=acked, acked=acked, chain=c.hex()) for n, (acked, c) in lanes.items()},
            books=shown,
            policy="",
            config="",
            sqlite="",
            previous=self.previous,
        )
        text = msgspec.json.encode(statement).decode()
        self.previous = sha256(text.encode()).hexdigest()
        return sign("checkpoint", text, key)


def epoch_row(
    chain: bytes, seq: int, *, epoch: int = 2, previous: int = 1, key: Ed25519PrivateKey = KEY, lane: str = "realtime"
) -> Sealed:
    """The first record of a new epoch."""
    statement = EpochRecord(
        format=1,
        region=REGION,
        lane=lane,
        epoch=epoch,
        previous_epoch=previous,
        seq=seq,
        issued_at="2026-11-23T10:00:00.000000+00:00",
        reason="restored from a backup",
    )
    origin = f"{epoch}.0.0"
    headers = record.header_block(
        {
            "ce-id": origin,
            record.ORIGIN_HEADER: origin,
            record.EPOCH_HEADER: str(epoch),
            record.SEQ_HEADER: str(seq),
        }
    )
    subject = record.event_subject(REGION, lane, record.EPOCH_RECORD)
    data = sign("epoch", msgspec.json.encode(statement).decode(), key)
    digest = record.chain(chain, epoch, seq, subject.encode(), headers, data)
    return Sealed(seq=seq, epoch=epoch, subject=subject, headers=headers, data=data, chain=digest)
