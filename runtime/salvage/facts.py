"""Saves the messages that prove right, and decides for each what it is in the new journal: settled, pending, or a letter.

What is not saved is named. A receipt whose message is lost is not kept: the sender must be able to send it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from runtime import clock
from runtime.errors import Untranslatable
from runtime.journal import intake, letters, rows
from runtime.journal.intake import Fact
from runtime.journal.names import Names
from runtime.journal.store import Connection
from runtime.journal.wreck import Wreck
from runtime.salvage import proofs
from runtime.salvage.proofs import Row
from runtime.salvage.report import FactReport, LostFacts

_INTAKE = "epoch, source, key_hash, key, sha256, content_type, received_us, committed_us, correlation, traceparent, headers, proof"
SEQ_MAX = 2**40
UNDECIDED = Untranslatable(
    "the journal was damaged and no longer knows whether the hub has this message",
    hint="if headquarters does not see it, `entrepot letters retry` sends it; else discard the letter",
)
_LETTER = "SELECT state, reason, position, hint, mapping, park_key FROM letters WHERE intake_seq = ?"


class Evidence(NamedTuple):
    """What else the damaged journal says of its facts."""

    settled_through: int
    """No fact up to here is translated again: the rows that would tell what it became have been forgotten in order."""
    translated: int
    """The cursor of translation: what came after it has its body, or is lost."""
    forgotten_through: int
    """Receipts up to here may have been forgotten in order."""
    at_hub: set[int]
    """Facts with a record that the hub is proven to have."""
    queued: set[int]
    """Facts with an event that was still to be sealed."""
    with_events: set[int]
    sources: dict[int, str]


class SavedFacts:
    """Walks over everything that was taken in, in order."""

    def __init__(self, wreck: Wreck, connection: Connection, evidence: Evidence) -> None:
        self._wreck = wreck
        self._connection = connection
        self._evidence = evidence
        self._names = Names()
        self._now_us = clock.now_us()
        self.epoch = 1
        self._saved = self._settled = self._pending = self._letters = 0
        self._lost: list[LostFacts] = []
        self._body_lost: list[int] = []
        self._newest: Fact | None = None
        self._hides = False
        self._follows = wreck.has("following")

    def save(self, last: int, *, end_known: bool) -> FactReport:
        """Facts 1 … last. One transaction is the caller's business."""
        self._hides = bool(self._wreck.torn & {"events", "letters", "parked", "following"})
        bodies = self._wreck.blocks("bodies", "seq", "key_id, body", 1, last)
        for found, kept in zip(self._wreck.blocks("intake", "seq", _INTAKE, 1, last), bodies, strict=True):
            self._block(found.rows, {row[0]: row for row in kept.rows}, kept.unreadable)
        self._gap(last + 1, None)
        return FactReport(
            last=last,
            end_known=end_known,
            saved=self._saved,
            settled=self._settled,
            pending=self._pending,
            letters=self._letters,
            lost=self._lost,
            body_lost=proofs.ranges(self._body_lost),
            unknown_before=self._evidence.forgotten_through + 1 if self._evidence.forgotten_through else 0,
        )

    def _block(self, found: Sequence[Row], bodies: dict[int, Row], unreadable: frozenset[int]) -> None:
        facts: list[tuple[object, ...]] = []
        kept: list[tuple[object, ...]] = []
        for row in found:
            fact = proofs.fact(row, self._evidence.sources)
            if fact is None:
                continue
            body = proofs.body_of(fact, bodies.get(fact.seq))
            if not self._keep(fact, body, spoilt=fact.seq in bodies or fact.seq in unreadable):
                continue
            source = self._names.id(self._connection, "source", fact.source)
            facts.append((fact.seq, fact.epoch, source, row[3], *fact[3:], row[12]))
            if body is not None and not self._is_settled(fact):
                kept.append((fact.seq, intake.NOT_ENCRYPTED, body))
            self._gap(fact.seq, fact)
        rows.insert(self._connection, intake.FACT_COLUMNS, 13, facts)
        rows.insert(self._connection, intake.BODY_COLUMNS, 3, kept)

    def _keep(self, fact: Fact, body: bytes | None, *, spoilt: bool) -> bool:
        """Count a fact as what it will be; False when it is lost. `spoilt`: a body was there and does not prove right."""
        early = fact.seq <= self._evidence.settled_through
        at_hub = fact.seq in self._evidence.at_hub and fact.seq not in self._evidence.queued
        # A body goes in order once nothing needs it; where bodies were damaged, that is believed of old ones only.
        forgotten = early or (fact.seq <= self._evidence.translated and "bodies" not in self._wreck.torn)
        if body is None and (spoilt or not forgotten):
            # The message itself is gone. That is no loss if it was not needed any more.
            if not at_hub:
                return False
            self._body_lost.append(fact.seq)
            self._settled += 1
        elif body is None or self._is_settled(fact):
            self._settled += 1
        elif early:
            self._write_letter(fact)
            self._letters += 1
        else:
            self._pending += 1
        self._saved += 1
        self.epoch = max(self.epoch, fact.epoch)
        return True

    def _is_settled(self, fact: Fact) -> bool:
        """Whether nothing is left to be done about it. What came after `settled_through` is always looked at again."""
        said = self._evidence
        if fact.seq > said.settled_through:
            return False
        if fact.seq in said.at_hub and fact.seq not in said.queued:
            return True
        return not (self._hides or fact.seq in said.with_events or self._waits(fact.seq))

    def _waits(self, seq: int) -> bool:
        waiting = self._wreck.one("parked", "SELECT 1 FROM parked WHERE intake_seq = ?", seq)
        if waiting is None and self._follows:
            waiting = self._wreck.one("following", "SELECT 1 FROM following WHERE intake_seq = ?", seq)
        return waiting is not None or self._wreck.one("letters", _LETTER, seq) is not None

    def _write_letter(self, fact: Fact) -> None:
        row = self._wreck.one("letters", _LETTER, fact.seq)
        told = row is not None and row[0] in {"open", "discarded"} and all(isinstance(v, str) for v in row[:5])
        error, mapping, park_key = UNDECIDED, "none", None
        if row is not None and told:
            error, mapping, park_key = Untranslatable(row[1], position=row[2], hint=row[3]), row[4], row[5]
        letters.write(
            self._connection,
            self._names,
            fact.seq,
            fact.source,
            error,
            mapping=mapping,
            now_us=self._now_us,
            park_key=park_key if isinstance(park_key, str) else None,
        )
        if row is not None and told and row[0] == "discarded":
            number = letters.of_fact(self._connection, fact.seq)
            assert number is not None, "it was written a moment ago"
            letters.discard(self._connection, number, self._now_us)

    def _gap(self, following: int, fact: Fact | None) -> None:
        """Name what is missing before the next saved fact."""
        before = self._newest
        first = max((before.seq if before else 0), self._evidence.forgotten_through) + 1
        self._newest = fact or before
        if first < following:
            after = clock.rfc3339(before.received_us) if before else ""
            until = clock.rfc3339(fact.received_us) if fact else ""
            self._lost.append(LostFacts(first=first, last=following - 1, after=after, before=until))


def evidence(
    wreck: Wreck,
    *,
    settled_through: int,
    translated: int,
    forgotten_through: int,
    at_hub: set[int],
    sealed: dict[int, int | None],
) -> Evidence:
    """Gather it. `sealed`: lane number → last event that was sealed, None when that is not known."""
    queued: set[int] = set()
    with_events: set[int] = set()
    for lane, through in sealed.items():
        base = lane << 40
        last, _ = wreck.last_key("events", "id", base, base + SEQ_MAX - 1, None)
        lowest = wreck.one("events", "SELECT min(id) FROM events WHERE id > ?", base)
        first = lowest[0] if lowest and isinstance(lowest[0], int) and "events" not in wreck.torn else base + 1
        for block in wreck.blocks("events", "id", "intake_seq", max(first, base + 1), last):
            for number, seq in block.rows:
                with_events.add(seq)
                if through is None or number > base + through:
                    queued.add(seq)
    rows = wreck.everything("names", "SELECT id, kind, name FROM names ORDER BY id {direction}")
    sources = {number: name for number, kind, name in rows if kind == "source" and isinstance(name, str)}
    return Evidence(settled_through, translated, forgotten_through, at_hub, queued, with_events, sources)
