"""Whether a stored message is the next record of headquarters' lane: number, owner, epoch and chain. Pure.

What `verify` proves of a whole stream, for one reader that goes on where it stopped: the first doubt ends it.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from runtime import record
from runtime.downlink import InboxHead
from runtime.envelope import EpochRecord, Signed
from runtime.ports import HubRecord
from sync.proof import digest, epoch_of, follow
from sync.verify import signed_statement


class Doubt(Struct, frozen=True):
    """Why a message does not continue what was taken in."""

    kind: str
    """gap, diverged or new_epoch."""
    reason: str


class Continuation:
    """Goes from record to record of the lane `lane` of the region `region`."""

    def __init__(self, head: InboxHead, *, region: str, lane: str, public_key: bytes | None) -> None:
        self.epoch, self.seq, self.chain = head.epoch, head.seq, head.chain
        self._highest = head.highest
        self._region, self._lane, self._key = region, lane, public_key
        self._subjects = record.event_subject(region, lane, "")

    def add(self, stored: HubRecord) -> Doubt | None:
        """Step to this message, or say why not; then nothing has changed."""
        doubt = self._place(stored) or self._epoch_of(stored) or self._chain_of(stored)
        if doubt is None:
            if epoch_of(stored) != self.epoch:
                self._highest = 0
            self.epoch, self.seq = epoch_of(stored), stored.seq
            self.chain = digest(stored.headers[record.CHAIN_HEADER])
        return doubt

    def _place(self, stored: HubRecord) -> Doubt | None:
        if stored.seq != self.seq + 1:
            gone = f"records {self.seq + 1} to {stored.seq - 1} are" if stored.seq > self.seq + 2 else "one record is"
            return Doubt("gap", f"{gone} missing before record {stored.seq}")
        said = stored.headers.get(record.SEQ_HEADER)
        if said != str(stored.seq) or not stored.subject.startswith(self._subjects) or not _plain(stored):
            return Doubt("diverged", f"message {stored.seq} is no record of this lane: it says another number or place")
        return None

    def _epoch_of(self, stored: HubRecord) -> Doubt | None:
        epoch = epoch_of(stored)
        announced = stored.subject == self._subjects + record.EPOCH_RECORD
        if not epoch:
            return Doubt("diverged", f"message {stored.seq} says no epoch")
        if epoch == self.epoch and stored.seq <= self._highest:
            return Doubt("new_epoch", f"record {stored.seq} has the number of one that was taken in, in the same epoch")
        if announced:
            why = self._announcement(stored, epoch)
            return Doubt("new_epoch", f"record {stored.seq} {why}") if why else None
        if self.epoch and (epoch < self.epoch or (self.chain and epoch != self.epoch)):
            return Doubt("new_epoch", f"record {stored.seq} is of epoch {epoch}, after {self.epoch}, unannounced")
        return None

    def _announcement(self, stored: HubRecord, epoch: int) -> str:
        """Why this epoch record does not hold; empty when it does."""
        try:
            said = msgspec.json.decode(self._statement(stored.data), type=EpochRecord)
        except msgspec.MsgspecError:
            return "is an epoch record that cannot be read"
        except ValueError as error:
            return f"is an epoch record that {error}"
        if (said.region, said.lane, said.seq, said.epoch) != (self._region, self._lane, stored.seq, epoch):
            return "is an epoch record for another place"
        if epoch <= said.previous_epoch or (self.epoch and self.chain and said.previous_epoch != self.epoch):
            return f"raises the epoch from {said.previous_epoch} to {epoch}, after {self.epoch}"
        return ""

    def _statement(self, data: bytes) -> str:
        if self._key is not None:
            return signed_statement("epoch", data, self._key)
        return msgspec.json.decode(data, type=Signed).statement

    def _chain_of(self, stored: HubRecord) -> Doubt | None:
        if not self.chain and digest(stored.headers.get(record.CHAIN_HEADER, "")):
            return None
        again = follow(self.chain, stored)
        if again and again.hex() == stored.headers.get(record.CHAIN_HEADER):
            return None
        return Doubt("diverged", f"record {stored.seq} does not continue record {self.seq}: its chain hash differs")


def _plain(stored: HubRecord) -> bool:
    """Whether the headers are lines of one name and one value each: others could not be read back."""
    return all(name.isprintable() and value.isprintable() for name, value in stored.headers.items())
