"""Records as headquarters' agent seals them for one region, without an agent."""

from __future__ import annotations

from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from runtime import record
from runtime.envelope import EpochRecord
from runtime.identity import Identity
from runtime.ports import HubRecord

HEADQUARTERS, LANE = "hq", "eu-de"
IDENTITY = Identity(Ed25519PrivateKey.from_private_bytes(bytes(range(32))), bytes(32))


class Sealing:
    """A stream in memory, record after record."""

    def __init__(self, *, epoch: int = 1, chain: bytes = record.GENESIS, seq: int = 0) -> None:
        self.epoch, self.chain, self.seq = epoch, chain, seq
        self.records: list[HubRecord] = []

    def command(self, key: str | None = "A", name: str = "orders.order", /, **attributes: str) -> HubRecord:
        """The next command; `attributes`: more CloudEvents attributes."""
        ce = {"type": f"io.entrepot.{name}.v1", "id": f"{self.epoch}.{self.seq + 1}.0"} | attributes
        if key is not None:
            ce["subject"] = record.encode_value(key)
        headers = {f"ce-{attribute}": value for attribute, value in ce.items()}
        return self._seal(name, headers, msgspec.json.encode({"number": self.seq + 1}))

    def withheld(self) -> HubRecord:
        """A stub."""
        return self._seal(record.WITHHELD, {"ce-type": f"io.entrepot.{record.WITHHELD}.v1"}, b"{}")

    def adopted(self, *, identity: Identity = IDENTITY, raised: int = 1, **said: Any) -> HubRecord:
        """The record of a new epoch."""
        before, self.epoch = self.epoch, self.epoch + raised
        statement = EpochRecord(
            **{
                "format": 1,
                "region": HEADQUARTERS,
                "lane": LANE,
                "epoch": self.epoch,
                "previous_epoch": before,
                "seq": self.seq + 1,
                "issued_at": "2026-03-01T00:00:00+00:00",
                "reason": "restored",
            }
            | said
        )
        data = identity.sign("epoch", msgspec.json.encode(statement).decode())
        return self._seal(record.EPOCH_RECORD, {"ce-type": "io.entrepot.entrepot.epoch.v1"}, data)

    def _seal(self, name: str, headers: dict[str, str], data: bytes) -> HubRecord:
        self.seq += 1
        headers |= {record.EPOCH_HEADER: str(self.epoch), record.SEQ_HEADER: str(self.seq)}
        headers[record.ORIGIN_HEADER] = f"{self.epoch}.{self.seq}.0"
        subject = record.event_subject(HEADQUARTERS, LANE, name)
        block = record.header_block(headers)
        self.chain = record.chain(self.chain, self.epoch, self.seq, subject.encode(), block, data)
        stored = HubRecord(
            seq=self.seq,
            subject=subject,
            headers=headers | {record.CHAIN_HEADER: self.chain.hex()},
            data=data,
            time="2026-03-01T00:00:00Z",
        )
        self.records.append(stored)
        return stored
