"""Messages that only say where to look: each is pending until its document is in, and both end in one transaction.

The journal says who waits; only the moments of the next attempts are kept in memory, so a restart tries all at once.
"""

from __future__ import annotations

from hashlib import sha256

import anyio
from msgspec.structs import replace

from runtime import clock
from runtime.envelope import Envelope, Ignored, Message
from runtime.errors import Refused, Untranslatable
from runtime.journal import following, intake
from runtime.journal.intake import Call
from runtime.journal.journal import Journal
from runtime.journal.lanes import LaneRow
from runtime.journal.store import Connection
from runtime.pipeline.accept import Acceptance
from runtime.pipeline.translate import DOCUMENT, FOLLOWED, Tally, Translation, write_tally
from runtime.ports import Notice

KEY_CHARS_MAX = 150
"""The longest key of a message that stands in the key of its document as it is."""
WAITING_MAX = 1_000
"""Looked at in one go; those behind get their turn when these have ended."""
ORPHANS_MAX = 200
"""Settled by one change."""
LOOK_SECONDS = 1.0
"""A notice that was missed is seen after so long."""


class SourceNotices:
    """The `Notices` port of one source."""

    def __init__(self, acceptance: Acceptance, journal: Journal, translation: Translation, source: str) -> None:
        self._acceptance = acceptance
        self._journal = journal
        self._translation = translation
        self._source = source
        self._not_before: dict[int, float] = {}

    async def next(self) -> Notice:
        """See `runtime.ports.Notices`."""
        while True:
            if await self._journal.read(self._due):
                found, positions = await self._journal.write(self._look)
                self._translation.added(positions)
                if found is not None:
                    return found
            with anyio.move_on_after(LOOK_SECONDS):
                await self._translation.noticed.wait()

    async def followed(self, notice: Notice, document: Message | None) -> None:
        """See `runtime.ports.Notices`."""
        await self._journal.write(lambda connection: self._follow(connection, notice, document))
        self._not_before.pop(notice.intake_seq, None)
        self._acceptance.arrived.notify()

    async def postpone(self, notice: Notice, seconds: float) -> None:
        """See `runtime.ports.Notices`."""
        await self._journal.write(lambda connection: following.count_attempt(connection, notice.intake_seq))
        self._not_before[notice.intake_seq] = clock.monotonic() + seconds

    async def give_up(self, notice: Notice, reason: str, hint: str = "") -> None:
        """See `runtime.ports.Notices`."""
        error = Untranslatable(reason, hint=hint)
        await self._journal.write(lambda connection: self._write_letter(connection, notice.intake_seq, error))
        self._not_before.pop(notice.intake_seq, None)

    def _due(self, connection: Connection) -> list[tuple[int, int]]:
        """Those whose time has come, with their failed attempts."""
        source, now = self._journal.names.id(connection, "source", self._source), clock.monotonic()
        found = following.waiting(connection, source, WAITING_MAX)
        return [(seq, attempts) for seq, attempts in found if self._not_before.get(seq, 0.0) <= now]

    def _look(self, connection: Connection) -> tuple[Notice | None, list[LaneRow]]:
        """The first one whose time has come. One that today's rules lead nowhere is settled by the way."""
        names = self._journal.names
        positions: list[LaneRow] = []
        for seq, attempts in self._due(connection):
            envelope = intake.fact(connection, names, seq)
            assert envelope is not None, "a fact that waits for its document keeps its body"
            try:
                url = self._translation.leads_to(envelope)
            except Untranslatable as error:
                self._write_letter(connection, seq, error)
                continue
            if url is None:
                positions = _translate(connection, self._journal, self._translation, seq) or positions
                continue
            notice = Notice(
                intake_seq=seq,
                url=url,
                document_key=f"document of {_name(envelope)}",
                correlation_id=envelope.correlation_id,
                attempts=attempts,
            )
            return notice, positions
        return None, positions

    def _follow(self, connection: Connection, notice: Notice, document: Message | None) -> None:
        if not following.end(connection, notice.intake_seq):
            return  # a person has decided meanwhile
        if document is not None and not self._accept(connection, notice, document):
            # Somebody has used its key for something else. It needs none: it comes with the end of its notice, once.
            self._accept(connection, notice, replace(document, key=None))
        envelope = intake.fact(connection, self._journal.names, notice.intake_seq)
        assert envelope is not None, "a fact that waits for its document keeps its body"
        tally = Tally()
        new = self._translation.settle(connection, envelope, [Ignored(reason=FOLLOWED)], tally, late=False)
        write_tally(connection, new, tally)

    def _accept(self, connection: Connection, notice: Notice, document: Message) -> bool:
        """False when its key stands for another body."""
        marked = replace(document, headers={**document.headers, DOCUMENT: str(notice.intake_seq)})
        batch = [intake.prepare(self._source, marked)]
        call = Call(self._source, self._journal.epoch, clock.now_us(), batch)
        (outcome,) = intake.accept(connection, self._journal.names, self._journal.keys, [call])
        return not isinstance(outcome, Refused)

    def _write_letter(self, connection: Connection, seq: int, error: Untranslatable) -> None:
        if not following.end(connection, seq):
            return
        envelope = intake.fact(connection, self._journal.names, seq)
        assert envelope is not None, "a fact that waits for its document keeps its body"
        self._translation.write_letter(connection, envelope, error)
        write_tally(connection, [], Tally(pending=-1, dead_lettered=1))


async def settle_orphans(journal: Journal, translation: Translation) -> None:
    """Notices of sources that follow nothing any more are translated as what they say. For a start and a change."""
    settled = ORPHANS_MAX
    while settled == ORPHANS_MAX:
        settled, positions = await journal.write(lambda connection: _settle_orphans(connection, journal, translation))
        translation.added(positions)


def _settle_orphans(connection: Connection, journal: Journal, translation: Translation) -> tuple[int, list[LaneRow]]:
    """How many, and where the lanes stand if that has added events."""
    followed = [journal.names.id(connection, "source", name) for name in translation.following]
    orphans = following.of_others(connection, followed, ORPHANS_MAX)
    positions: list[LaneRow] = []
    for seq in orphans:
        positions = _translate(connection, journal, translation, seq) or positions
    return len(orphans), positions


def _translate(connection: Connection, journal: Journal, translation: Translation, seq: int) -> list[LaneRow]:
    """The rules have changed: what it says is all there is to it."""
    following.end(connection, seq)
    envelope = intake.fact(connection, journal.names, seq)
    assert envelope is not None, "a fact that waits for its document keeps its body"
    tally = Tally()
    new = translation.forward(connection, envelope, tally)
    write_tally(connection, new, tally)
    return tally.positions


def _name(envelope: Envelope) -> str:
    """Short, and the same for the same message: its own key, or its place in the journal."""
    if envelope.key is None:
        return f"{envelope.epoch}.{envelope.intake_seq}"
    return envelope.key if len(envelope.key) <= KEY_CHARS_MAX else sha256(envelope.key.encode()).hexdigest()
