"""Translation: one raw fact becomes canonical events, or says nothing new, or becomes a letter.

`TranslateStep.batch` is one change: it reads past the cursor, writes what came out, and moves the cursor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Protocol

import msgspec
from msgspec import Struct

from runtime import clock
from runtime.canonical.registry import NAMES, TYPES
from runtime.envelope import Envelope, Event, Ignored
from runtime.errors import EntrepotError, Untranslatable
from runtime.journal import books, events, following, intake, lanes, letters
from runtime.journal.events import NewEvent
from runtime.journal.journal import Journal
from runtime.journal.lanes import LaneRow
from runtime.journal.store import Connection
from runtime.pipeline.route import Router
from runtime.pipeline.standing import StandingStep
from runtime.ports import Translator
from runtime.signal import Signal

ROWS_MAX = 256
HOLD_SECONDS_MAX = 0.004
"""One batch holds the journal's connection no longer than this (plus one fact)."""
BUSINESS_KEY_BYTES_MAX = 1_024
"""UTF-8. It is a header at the hub, up to three times as long there; one that the hub refuses would stop its lane for good."""

_encode = msgspec.json.Encoder().encode
FOLLOWED = "followed: the document that it leads to is a fact of its own"
"""Why a message that only said where to look says nothing new."""
DOCUMENT = ":document-of"
"""Kept with such a document like a header, so that it is never followed itself. No header can have this name: no sender
can pass a message of its own off as a document.
"""


class Leads(Protocol):
    """Which messages only say where to look."""

    def url(self, envelope: Envelope) -> str | None:
        """Where a message leads; None for one that speaks for itself. Raises `Untranslatable`."""
        ...


class SourceRules(Struct, frozen=True):
    """How one source is translated."""

    translator: Translator
    park: bool = False
    """on_letter = "park": successors of a letter's key wait."""
    link: Leads | None = None
    """Its thin messages are followed to what they speak of."""


class Tally(Struct):
    """What a batch did to the books, and which lanes have something to send."""

    accepted: int = 0
    pending: int = 0
    ignored: int = 0
    dead_lettered: int = 0
    facts: int = 0
    set_aside: int = 0
    """Facts that ended the process too often; see `quarantine`."""
    behind: int = 0
    """Facts that wait for translation after this batch."""
    untold: int = 0
    """Events that the API does not know yet."""
    notices: int = 0
    """Facts that wait for their document from now on."""
    positions: list[LaneRow] = []
    """Where the lanes stand afterwards, if events were added."""


class Translation:
    """Translates facts inside a change of the journal; used by the forward step, letters and replay."""

    def __init__(self, journal: Journal, sources: Mapping[str, SourceRules], router: Router) -> None:
        self._journal = journal
        self._configured: Mapping[str, SourceRules] = {}
        self._sources: dict[str, SourceRules] = {}
        self._routers: dict[str, Router] = {}
        self.noticed = Signal()
        """Some fact waits for its document."""
        self.added: Callable[[Sequence[LaneRow]], None] = lambda positions: None
        """Told of events that came of other rules, beside the forward step: where the lanes stand then."""
        self.use(sources, router)

    def use(self, sources: Mapping[str, SourceRules], router: Router) -> None:
        """Other rules from the next fact on; call it on the journal's thread, so between two batches.

        What was accepted from a source that goes is still translated as it was, until the change after this one.
        """
        going = self._configured.keys() - sources.keys()
        self._sources = {name: self._configured[name] for name in going} | dict(sources)
        self._routers = {name: self._routers[name] for name in going} | dict.fromkeys(sources, router)
        self._configured = sources

    def outcome(self, envelope: Envelope) -> Sequence[Event | Ignored]:
        """What the fact says today. Pure but for the mapping in use. Raises `Untranslatable`."""
        rules = self._sources.get(envelope.source)
        if rules is None:
            raise Untranslatable(
                f"source {envelope.source} is not configured any more",
                hint="add [sources." + envelope.source + "] again and retry the letter",
            )
        try:
            if self.leads_to(envelope) is not None:
                return [Ignored(reason=FOLLOWED)]
            return _within_bounds(rules.translator.translate(envelope))
        except Untranslatable:
            raise
        except EntrepotError as error:
            raise Untranslatable(str(error), hint=error.hint) from error
        except Exception as error:
            # The text of a foreign exception may quote partner data: only its class is kept.
            raise Untranslatable(
                f"the translator itself failed ({type(error).__name__})",
                hint="this is a defect of the translator, not of the message; fix it and retry the letter",
            ) from error

    @property
    def following(self) -> list[str]:
        """The sources whose thin messages are followed."""
        return [name for name, rules in self._configured.items() if rules.link is not None]

    def leads_to(self, envelope: Envelope) -> str | None:
        """The address of the document that a message only speaks of; None if it speaks for itself. Raises `Untranslatable`."""
        rules = self._sources.get(envelope.source)
        if rules is None or rules.link is None or DOCUMENT in envelope.headers:
            return None
        return rules.link.url(envelope)

    def follow(self, connection: Connection, envelope: Envelope) -> bool:
        """Let a message wait, still pending, for the document that it leads to. Raises `Untranslatable`."""
        if self.leads_to(envelope) is None:
            return False
        following.add(connection, envelope.intake_seq, self._journal.names.id(connection, "source", envelope.source))
        return True

    def version(self, source: str) -> str:
        """The mapping's version, kept with letters."""
        rules = self._sources.get(source)
        return rules.translator.version if rules else "none"

    def forward(self, connection: Connection, envelope: Envelope, tally: Tally, *, behind: int = 0) -> list[NewEvent]:
        """Translate the fact at the cursor; its letter or its place in the queue of a letter is written here.

        `behind`: the letter that this fact has waited for and waits for no longer.
        """
        try:
            if self.follow(connection, envelope):
                tally.notices += 1
                return []
            outputs = self.outcome(envelope)
        except Untranslatable as error:
            self.write_letter(connection, envelope, error)
            tally.pending -= 1
            tally.dead_lettered += 1
            return []
        waits_for = self.waits_for(connection, envelope, outputs, behind=behind)
        if waits_for is not None:
            source_id = self._journal.names.id(connection, "source", envelope.source)
            letters.park(connection, envelope.intake_seq, source_id, _keys(outputs), waits_for)
            return []
        return self.settle(connection, envelope, outputs, tally, late=False)

    def write_letter(self, connection: Connection, envelope: Envelope, error: Untranslatable) -> None:
        """Record why a fact could not be translated, and whom it holds up."""
        rules = self._sources.get(envelope.source)
        park_key: str | None = None
        if rules is not None and rules.park:
            park_key = rules.translator.partition_key(envelope) or letters.WHOLE_SOURCE
        letters.write(
            connection,
            self._journal.names,
            envelope.intake_seq,
            envelope.source,
            error,
            mapping=self.version(envelope.source),
            now_us=clock.now_us(),
            park_key=park_key,
        )

    def waits_for(
        self, connection: Connection, envelope: Envelope, outputs: Sequence[Event | Ignored], *, behind: int
    ) -> int | None:
        """The letter that this fact must wait for; None when it may go, as it always may if its source does not park."""
        rules = self._sources.get(envelope.source)
        if rules is None or not rules.park:
            return None
        source_id = self._journal.names.id(connection, "source", envelope.source)
        return letters.holding(connection, source_id, _keys(outputs), envelope.intake_seq, behind=behind)

    def settle(
        self,
        connection: Connection,
        envelope: Envelope,
        outputs: Sequence[Event | Ignored],
        tally: Tally,
        *,
        late: bool,
    ) -> list[NewEvent]:
        """Turn a pending fact's outputs into rows and count them; the caller appends the rows."""
        new: list[NewEvent] = []
        ignored = 0
        for output in outputs:
            reason = self._nothing_new(connection, envelope, output)
            if reason is None and isinstance(output, Event):
                new.append(self._row(connection, envelope, output, late))
            else:
                ignored += 1
                _count_reason(connection, reason or "")
        if not outputs:
            ignored = 1
            _count_reason(connection, "nothing in the message applies")
        tally.accepted += len(new) + ignored - 1
        tally.pending += len(new) - 1
        tally.ignored += ignored
        return new

    def _nothing_new(self, connection: Connection, envelope: Envelope, output: Event | Ignored) -> str | None:
        if isinstance(output, Ignored):
            return output.reason
        if output.once_key is None:
            return None
        hashed = _once_hash(output.once_key)
        source_id = self._journal.names.id(connection, "source", envelope.source)
        teller = connection.execute(
            "INSERT INTO told (source, key_hash, intake_seq) VALUES (?, ?, ?)"
            " ON CONFLICT DO UPDATE SET intake_seq = intake_seq RETURNING intake_seq",
            (source_id, hashed, envelope.intake_seq),
        ).fetchone()[0]
        return None if teller == envelope.intake_seq else "told before"

    def told_before(self, connection: Connection, envelope: Envelope, output: Event | Ignored) -> bool:
        """Whether another fact has told this already; writes nothing."""
        if isinstance(output, Ignored) or output.once_key is None:
            return False
        source_id = self._journal.names.id(connection, "source", envelope.source)
        hashed = _once_hash(output.once_key)
        query = "SELECT 1 FROM told WHERE source = ? AND key_hash = ? AND intake_seq <> ?"
        return connection.execute(query, (source_id, hashed, envelope.intake_seq)).fetchone() is not None

    def _row(self, connection: Connection, envelope: Envelope, event: Event, late: bool) -> NewEvent:
        names = self._journal.names
        type_name = NAMES[type(event.data)]
        lane = self._routers[envelope.source].lane(type_name, envelope.source, event.partition_key)
        return NewEvent(
            lane=self._journal.lanes[lane].id,
            intake_seq=envelope.intake_seq,
            output=event.output,
            epoch=envelope.epoch,
            late=late,
            type=names.id(connection, "type", type_name),
            source=names.id(connection, "source", envelope.source),
            partition_key=event.partition_key,
            correlation=bytes.fromhex(envelope.correlation_id),
            traceparent=envelope.traceparent,
            body=_encode(event.data),
        )


def _within_bounds(outputs: Sequence[Event | Ignored]) -> Sequence[Event | Ignored]:
    for output in outputs:
        if isinstance(output, Event):
            kind = TYPES[NAMES[type(output.data)]]
            if len(str(getattr(output.data, kind.key_field)).encode()) > BUSINESS_KEY_BYTES_MAX:
                raise Untranslatable(
                    f"{kind.key_field} of {kind.name} is longer than {BUSINESS_KEY_BYTES_MAX} bytes",
                    hint="the hub takes no such key: the sender must send a shorter one, or the mapping make one",
                )
    return outputs


def _keys(outputs: Sequence[Event | Ignored]) -> list[str]:
    return sorted({output.partition_key for output in outputs if isinstance(output, Event)})


def _once_hash(once_key: str) -> bytes:
    return blake2b(once_key.encode(), digest_size=16).digest()


def _count_reason(connection: Connection, reason: str) -> None:
    connection.execute(
        "INSERT INTO ignored (reason, count) VALUES (?, 1) ON CONFLICT DO UPDATE SET count = count + 1", (reason,)
    )


class TranslateStep:
    """The forward step over the intake log."""

    def __init__(self, journal: Journal, translation: Translation) -> None:
        self._journal = journal
        self._translation = translation
        self.standing: StandingStep | None = None
        """Where there is an API."""

    def batch(self, connection: Connection, rows_max: int = ROWS_MAX) -> Tally:
        """Translate the next facts; `tally.facts` is 0 when there are none."""
        tally = Tally()
        cursor, last = connection.execute("SELECT translated, facts FROM books").fetchone()
        until = clock.monotonic() + HOLD_SECONDS_MAX
        new: list[NewEvent] = []
        for envelope in intake.facts_after(connection, self._journal.names, cursor, rows_max):
            new += self._translation.forward(connection, envelope, tally)
            cursor = envelope.intake_seq
            tally.facts += 1
            if clock.monotonic() > until:
                break
        if tally.facts:
            write_tally(connection, new, tally)
            books.advance(connection, translated=cursor)
        if self.standing is not None:
            tally.untold = self.standing.advance(connection)
        tally.behind = last - cursor
        return tally


def write_tally(connection: Connection, new: list[NewEvent], tally: Tally) -> None:
    """Append the events and move the books by what the tally says."""
    events.append(connection, new)
    if new:
        tally.positions = lanes.everyone(connection)
    books.move(
        connection,
        accepted=tally.accepted,
        pending=tally.pending,
        ignored=tally.ignored,
        dead_lettered=tally.dead_lettered,
    )
