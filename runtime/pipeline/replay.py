"""Runs translation again over kept facts: letters after a mapping was fixed, or a range of a source.

An origin once written is never written again: where the bytes would differ, that is reported and nothing changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import msgspec
from msgspec import Struct

from runtime import clock
from runtime.canonical.registry import NAMES
from runtime.envelope import Envelope, Event, Ignored
from runtime.errors import Permanent, Untranslatable
from runtime.journal import books, following, intake, letters, meta
from runtime.journal.journal import Journal
from runtime.journal.letters import Letter
from runtime.journal.store import Connection
from runtime.pipeline.difference import Difference, find_differences
from runtime.pipeline.translate import Tally, Translation, write_tally

FACTS_MAX = 200
"""Facts replayed by one change."""
LETTERS_MAX = 100
"""Half-done letters read at once after a start."""
_GONE = "what it became is safe at the hub and no longer kept here"


class Change(Struct, frozen=True, kw_only=True):
    """What a replay did, or would do, with one output of one fact."""

    origin: str
    source: str
    type: str
    result: str
    """new, same, differs, dropped (dry run: the rules no longer give it), ignored, letter (or waiting for one), or gone
    (no longer in the journal)."""
    reason: str = ""
    differences: list[Difference] = []
    """Of a dry run, for what is new, differs or is dropped."""


class Retry(Struct, frozen=True, kw_only=True):
    """What became of one letter."""

    id: int
    result: str
    """translated, ignored, letter, or waiting (for the document that it leads to)."""
    reason: str = ""
    successors: int = 0
    """Facts that had waited for it and went on."""


class Replay:
    """Letters and ranges. Every method is a bounded number of changes."""

    def __init__(self, journal: Journal, translation: Translation) -> None:
        self._journal = journal
        self._translation = translation

    async def retry(self, number: int) -> Retry:
        """Translate a letter's fact again; then what waited for it. Raises `Permanent` when there is no such letter."""
        outcome = await self._journal.write(lambda connection: self._retry(connection, number))
        if outcome.result == "letter":
            return outcome
        if outcome.result == "waiting":
            self._translation.noticed.notify()
        return msgspec.structs.replace(outcome, successors=await self._drain(number))

    async def release(self, number: int) -> int:
        """Let the successors of a letter pass and return how many did; the letter stays."""
        await self._journal.read(lambda connection: letters.get(connection, number))
        return await self._drain(number)

    async def discard(self, number: int) -> int:
        """A person says that this fact means nothing; it stays counted. Returns how many successors went on."""

        def settle(connection: Connection) -> None:
            if letters.get(connection, number).state != "open":
                raise Permanent(f"letter {number} was discarded already")
            letters.discard(connection, number, clock.now_us())

        passed = await self.release(number)
        await self._journal.write(settle)
        return passed

    async def resume(self) -> None:
        """After a start: finish what a stop interrupted between a letter's success and its successors."""
        after = 0
        while True:
            find = partial(letters.draining, after=after, rows_max=LETTERS_MAX)
            half_done = await self._journal.read(find)
            if not half_done:
                return
            for number in half_done:
                await self._drain(number)
            after = half_done[-1]

    async def _drain(self, number: int) -> int:
        passed = 0
        while True:
            count = await self._journal.write(lambda connection: self._drain_slice(connection, number))
            if count == 0:
                return passed
            passed += count

    def _retry(self, connection: Connection, number: int) -> Retry:
        letter = letters.get(connection, number)
        if letter.state != "open":
            raise Permanent(f"letter {number} is {letter.state}, not open")
        envelope = self._fact(connection, letter)
        try:
            if self._translation.follow(connection, envelope):
                books.move(connection, dead_lettered=-1, pending=1)
                letters.drain(connection, number)
                return Retry(id=number, result="waiting", reason="the document that it leads to is asked for again")
            outputs = self._translation.outcome(envelope)
        except Untranslatable as error:
            self._translation.write_letter(connection, envelope, error)
            return Retry(id=number, result="letter", reason=str(error))
        first = self._translation.waits_for(connection, envelope, outputs, behind=number)
        if first is not None:
            return Retry(id=number, result="letter", reason=f"letter {first} came first and holds its key")
        # The fact is pending again for a moment, then settled like any other, only late.
        books.move(connection, dead_lettered=-1, pending=1)
        tally = Tally()
        new = self._translation.settle(connection, envelope, outputs, tally, late=True)
        write_tally(connection, new, tally)
        letters.drain(connection, number)
        return Retry(id=number, result="translated" if new else "ignored")

    def _drain_slice(self, connection: Connection, number: int) -> int:
        waiting = letters.parked(connection, number, FACTS_MAX)
        if not waiting:
            letters.finish(connection, number)
            return 0
        letters.unpark(connection, waiting)
        tally = Tally()
        new = []
        for seq in waiting:
            envelope = intake.fact(connection, self._journal.names, seq)
            assert envelope is not None, "a parked fact keeps its body"
            new += self._translation.forward(connection, envelope, tally, behind=number)
        write_tally(connection, new, tally)
        return len(waiting)

    def _fact(self, connection: Connection, letter: Letter) -> Envelope:
        envelope = intake.fact(connection, self._journal.names, letter.intake_seq)
        if envelope is None:
            raise Permanent(f"the message of letter {letter.id} is no longer in the journal")
        return envelope

    async def replay(self, source: str, first: int, last: int, *, dry_run: bool) -> list[Change]:
        """Translate the facts first … last of a source again and report every output. `dry_run` writes nothing."""
        changes: list[Change] = []
        cursor = first - 1
        while cursor < last:
            cursor, found = await self._journal.write(
                partial(self._replay, source=source, after=cursor, last=last, dry_run=dry_run)
            )
            changes += found
        return changes

    def _replay(
        self, connection: Connection, source: str, after: int, last: int, dry_run: bool
    ) -> tuple[int, list[Change]]:
        translated = connection.execute("SELECT translated FROM books").fetchone()[0]
        names = self._journal.names
        source_id = names.id(connection, "source", source)
        facts = intake.positions_after(connection, after, FACTS_MAX)
        changes: list[Change] = []
        for seq, epoch, of_source in facts:
            if seq > min(last, translated):
                return last, changes
            if of_source != source_id:
                continue
            envelope = intake.fact(connection, names, seq)
            if envelope is None:
                changes.append(Change(origin=f"{epoch}.{seq}.0", source=source, type="", result="gone", reason=_GONE))
            else:
                changes += self._replay_fact(connection, envelope, dry_run)
        return (facts[-1][0] if facts else last), changes

    def _replay_fact(self, connection: Connection, envelope: Envelope, dry_run: bool) -> list[Change]:
        seq = envelope.intake_seq
        if letters.of_fact(connection, seq) is not None:
            return [_change(envelope, 0, "", "letter", "use `entrepot letters retry`")]
        behind = letters.parked_behind(connection, seq)
        if behind is not None:
            return [_change(envelope, 0, "", "letter", f"it waits behind letter {behind} and goes on with it")]
        if following.waits(connection, seq):
            return [_change(envelope, 0, "", "letter", "it waits for the document that it leads to")]
        if seq <= meta.number(connection, "pruned_intake"):
            return [_change(envelope, 0, "", "gone", _GONE)]
        try:
            outputs = self._translation.outcome(envelope)
        except Untranslatable as error:
            return [_change(envelope, 0, "", "letter", str(error))]
        known = self._known(connection, seq)
        changes = [
            _change(envelope, output.output, "", "ignored", "told before")
            if self._translation.told_before(connection, envelope, output)
            else _compare(envelope, output, known)
            for output in outputs
        ]
        if dry_run:
            return _side_by_side(envelope, outputs, changes, known)
        missing = [o for o, c in zip(outputs, changes, strict=True) if c.result == "new"]
        if missing and not any(c.result == "differs" for c in changes):
            self._add(connection, envelope, missing)
        return changes

    def _known(self, connection: Connection, seq: int) -> dict[int, tuple[str, bytes]]:
        rows = connection.execute("SELECT output, type, body FROM events WHERE intake_seq = ?", (seq,)).fetchall()
        return {output: (self._journal.names.name(connection, kind), body) for output, kind, body in rows}

    def _add(self, connection: Connection, envelope: Envelope, missing: Sequence[Event | Ignored]) -> None:
        tally = Tally(accepted=1, pending=1)  # settle() counts one pending fact off; this one was settled before
        new = self._translation.settle(connection, envelope, missing, tally, late=True)
        write_tally(connection, new, tally)


def _side_by_side(
    envelope: Envelope,
    outputs: Sequence[Event | Ignored],
    changes: list[Change],
    known: dict[int, tuple[str, bytes]],
) -> list[Change]:
    """The same changes with old and new leaves, and what the rules no longer give; that stays as it was sealed."""
    told = []
    for output, change in zip(outputs, changes, strict=True):
        if change.result in {"new", "differs"} and isinstance(output, Event):
            after = (NAMES[type(output.data)], msgspec.json.encode(output.data))
            found = find_differences(known.get(output.output), after)
            change = msgspec.structs.replace(change, differences=found)
        told.append(change)
    given = {output.output for output in outputs}
    for number in sorted(known.keys() - given):
        dropped = _change(
            envelope, number, known[number][0], "dropped", "the rules no longer give it; what was sealed stays"
        )
        told.append(msgspec.structs.replace(dropped, differences=find_differences(known[number], None)))
    return told


def _compare(envelope: Envelope, output: Event | Ignored, known: dict[int, tuple[str, bytes]]) -> Change:
    if isinstance(output, Ignored):
        return _change(envelope, output.output, "", "ignored", output.reason)
    name = NAMES[type(output.data)]
    before = known.get(output.output)
    if before is None:
        return _change(envelope, output.output, name, "new")
    same = before == (name, msgspec.json.encode(output.data))
    return _change(envelope, output.output, name, "same" if same else "differs")


def _change(envelope: Envelope, output: int, name: str, result: str, reason: str = "") -> Change:
    origin = f"{envelope.epoch}.{envelope.intake_seq}.{output}"
    return Change(origin=origin, source=envelope.source, type=name, result=result, reason=reason)
