"""What a third party can prove from a region's records alone: nothing lost, changed, reordered or forged. Pure.

Fed record by record, so memory does not grow with the stream.
"""

from __future__ import annotations

from hashlib import sha256

import msgspec

from runtime import record
from runtime.envelope import Checkpoint, EpochRecord, Signed
from runtime.policy.statements import is_genuine, key_id
from runtime.ports import HubRecord, LaneVerdict, Position, Signature
from sync.origins import SUSPECTS_MAX, Origins
from sync.proof import digest, epoch_of, follow

PROBLEMS_MAX = 20
"""Sentences kept for one lane; the rest is counted."""
BOOKS = ("delivered", "withheld", "dead_lettered", "ignored", "expired", "pending")


class Problems(list[str]):
    """Sentences, at most `PROBLEMS_MAX`, and how many more there were."""

    def __init__(self) -> None:
        super().__init__()
        self.more = 0

    def say(self, sentence: str) -> None:
        """Keep a sentence if there is room."""
        if len(self) < PROBLEMS_MAX:
            self.append(sentence)
        else:
            self.more += 1

    def told(self) -> list[str]:
        """All that was kept, and a last line for the rest."""
        return [*self, f"and {self.more} more"] if self.more else list(self)


def signed_statement(kind: str, body: bytes, key: bytes) -> str:
    """The statement if the region signed it with `key` (raw Ed25519). Raises ValueError with the reason."""
    try:
        signed = msgspec.json.decode(body, type=Signed)
    except msgspec.MsgspecError as error:
        raise ValueError("is not a signed statement") from error
    if signed.key_id != key_id(key):
        raise ValueError(f"is signed by another key ({signed.key_id})")
    if not is_genuine(kind, signed, key):
        raise ValueError("has a false signature")
    return signed.statement


class LaneCheck:
    """One lane's records, in order. `chains_wanted` are positions that checkpoints speak of.

    `before`: the chain before `first`, where a checkpoint names it; without it, old records having aged out, the
    first one that is left is believed. `records`: how many will come, roughly. `epoch`: that of the record before, if
    somebody has verified it. Afterwards, if `origins.suspects`, every record once more through `look_again`.
    """

    def __init__(
        self,
        region: str,
        lane: str,
        key: bytes,
        *,
        first: int,
        chains_wanted: frozenset[int],
        before: bytes = b"",
        records: int = 0,
        epoch: int = 0,
        origins: Origins | None = None,
    ) -> None:
        self._region, self._lane, self._key = region, lane, key
        self._first = first
        self._next = first
        self._chain = record.GENESIS if first == 1 else before
        self._epoch = epoch
        self._wanted = chains_wanted
        self.chains: dict[int, str] = {}
        """Recomputed chain (hex) at each wanted position."""
        self.problems = Problems()
        self.origins = origins or Origins(records)
        self._records = self._withheld = 0
        self._epochs: list[int] = []
        self._subjects = record.event_subject(region, lane, "")

    def add(self, stored: HubRecord) -> None:
        """The next stored record."""
        if stored.seq > self._next:
            self._gap(stored)
        elif stored.seq < self._next:
            self.problems.say(f"record {stored.seq} stands out of order")
            return
        self._next = stored.seq + 1
        self._records += 1
        self._withheld += stored.subject == self._subjects + record.WITHHELD
        self._check_position(stored)
        self._check_epoch(stored)
        self._check_chain(stored)
        if not self.origins.meet(stored.headers.get(record.ORIGIN_HEADER, "")):
            self.problems.say(f"record {stored.seq} does not say what it came from (its origin)")

    @property
    def position(self) -> Position:
        """Where the last record stands."""
        return Position(epoch=self._epoch, seq=self._next - 1, chain=self._chain.hex())

    def look_again(self, stored: HubRecord) -> None:
        """A record on the second reading: its origin may be that of an earlier one."""
        again = self.origins.look_again(stored.seq, stored.headers.get(record.ORIGIN_HEADER, ""))
        if again:
            self.problems.say(f"record {again.seq} is record {again.first} once more: both have origin {again.origin}")

    def say_if_overflown(self) -> None:
        """Whether the second reading could tell all of them apart."""
        if self.origins.overflown:
            self.problems.say(f"more than {SUSPECTS_MAX} records are so out of order that repeats cannot be told")

    def _gap(self, stored: HubRecord) -> None:
        gone = (
            f"record {self._next} is"
            if stored.seq == self._next + 1
            else f"records {self._next} to {stored.seq - 1} are"
        )
        self.problems.say(f"{gone} missing")
        self._chain = b""

    def _check_position(self, stored: HubRecord) -> None:
        said = stored.headers.get(record.SEQ_HEADER)
        if said != str(stored.seq):
            self.problems.say(f"record {stored.seq} says that it is number {said}")
        if not stored.subject.startswith(self._subjects):
            self.problems.say(f"record {stored.seq} has the foreign subject {stored.subject}")

    def _check_epoch(self, stored: HubRecord) -> None:
        epoch = epoch_of(stored)
        is_record = stored.subject == self._subjects + record.EPOCH_RECORD
        if is_record or (self._epoch and epoch != self._epoch):
            reason = self._epoch_change(stored, epoch) if is_record else "has a new epoch without a signed epoch record"
            if reason:
                self.problems.say(f"record {stored.seq} {reason}")
        self._epoch = epoch
        if epoch not in self._epochs:
            self._epochs.append(epoch)

    def _epoch_change(self, stored: HubRecord, epoch: int) -> str:
        """Why this epoch record does not hold; empty when it does."""
        try:
            statement = signed_statement("epoch", stored.data, self._key)
            said = msgspec.json.decode(statement, type=EpochRecord)
        except (ValueError, msgspec.MsgspecError) as error:
            return (
                f"is an epoch record that {error}" if not isinstance(error, msgspec.MsgspecError) else "is unreadable"
            )
        if (said.region, said.lane, said.seq, said.epoch) != (self._region, self._lane, stored.seq, epoch):
            return "is an epoch record for another place"
        if epoch <= said.previous_epoch or (self._epoch and said.previous_epoch != self._epoch):
            return f"raises the epoch from {said.previous_epoch} to {epoch}, after {self._epoch}"
        return ""

    def _check_chain(self, stored: HubRecord) -> None:
        said = stored.headers.get(record.CHAIN_HEADER, "")
        if self._chain:
            again = follow(self._chain, stored)
            if not again or again.hex() != said:
                self.problems.say(f"record {stored.seq} is not what was sealed: its chain hash differs")
        elif not digest(said):
            self.problems.say(f"record {stored.seq} carries no chain hash")
        # After a gap, a change, or old records that aged out, go on from what the record says of itself.
        self._chain = digest(said)
        if stored.seq in self._wanted:
            self.chains[stored.seq] = self._chain.hex()

    def verdict(self, last: int) -> LaneVerdict:
        """`last`: the stream's last sequence."""
        if self._next <= last:
            self.problems.say(f"records {self._next} to {last} are missing")
        self.say_if_overflown()
        return LaneVerdict(
            lane=self._lane,
            first=self._first,
            last=last,
            records=self._records,
            withheld=self._withheld,
            epochs=self._epochs,
            chain=self._chain.hex(),
            problems=self.problems.told(),
        )


class CheckpointCheck:
    """The stream of signed checkpoints, in order; afterwards compared with the lanes."""

    def __init__(self, region: str, key: bytes, *, complete: bool, after: Signature | None = None) -> None:
        """`after`: the last one that somebody has checked; those before it are not seen again."""
        self._region, self._key = region, key
        self._complete = complete
        """The stream still has its first message, so the first number must be 1."""
        self.newest = after
        self.books: dict[str, int] = {}
        self.count = 0
        self.problems = Problems()
        self.claims: dict[str, dict[int, tuple[int, str]]] = {}
        """Per lane: acknowledged position → (checkpoint number, chain at it)."""

    def add(self, stored: HubRecord) -> None:
        """The next stored checkpoint."""
        self.count += 1
        try:
            statement = signed_statement("checkpoint", stored.data, self._key)
            said = msgspec.json.decode(statement, type=Checkpoint)
        except (ValueError, msgspec.MsgspecError) as error:
            self.problems.say(f"checkpoint message {stored.seq} {error}")
            return
        if said.region != self._region:
            self.problems.say(f"checkpoint {said.number} is of region {said.region}")
            return
        self._check_order(said)
        self._check_books(said)
        for lane, claim in said.lanes.items():
            if claim.acked > claim.sealed:
                self.problems.say(f"checkpoint {said.number}: lane {lane} acknowledged more than it sealed")
            if claim.acked:
                self.claims.setdefault(lane, {})[claim.acked] = (said.number, claim.chain)
        self.books = said.books
        digested = sha256(statement.encode()).hexdigest()
        self.newest = Signature(seq=stored.seq, number=said.number, digest=digested, epoch=said.epoch)

    def _check_order(self, said: Checkpoint) -> None:
        before = self.newest
        if before is None:
            if self._complete and said.number != 1:
                self.problems.say(f"checkpoints 1 to {said.number - 1} are missing")
            return
        if said.number != before.number + 1:
            self.problems.say(f"checkpoint {said.number} follows {before.number}")
        elif said.previous != before.digest:
            self.problems.say(f"checkpoint {said.number} does not continue checkpoint {before.number}")
        if said.epoch < before.epoch:
            self.problems.say(f"checkpoint {said.number} falls back to epoch {said.epoch}")

    def _check_books(self, said: Checkpoint) -> None:
        accounted = sum(said.books.get(name, 0) for name in BOOKS)
        if said.books.get("accepted", 0) != accounted:
            accepted = said.books.get("accepted", 0)
            self.problems.say(
                f"checkpoint {said.number}: the books do not balance, {accepted} accepted, {accounted} accounted for"
            )

    def compare(self, lane: str, *, first: int, last: int, chains: dict[int, str]) -> list[str]:
        """What checkpoints say of a lane against what its stream holds."""
        found = Problems()
        for acked, (number, chain) in sorted(self.claims.get(lane, {}).items()):
            if acked > last:
                found.say(
                    f"the hub lacks records {last + 1} to {acked}, which checkpoint {number} says it acknowledged"
                )
            elif acked in chains and chains[acked] != chain:
                found.say(f"checkpoint {number} has another chain hash at record {acked}")
            elif acked >= first and acked not in chains:
                found.say(f"record {acked}, which checkpoint {number} names, is missing")
        return found.told()
