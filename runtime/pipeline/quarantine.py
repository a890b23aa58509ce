"""After a crash, facts are translated one by one and named first: one that ends the process three times is set aside.

Normally this is nothing but `TranslateStep.batch`.
"""

from __future__ import annotations

from runtime.errors import Untranslatable
from runtime.journal import books, intake, meta
from runtime.journal.store import Connection
from runtime.kernel import Kernel
from runtime.pipeline.translate import ROWS_MAX, Tally, write_tally

CRASHES_MAX = 3
"""7-faults: after 3 crashes at one sequence it is quarantined and flow goes on."""


class Careful:
    """The forward step, careful at first if the last stop was not orderly."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._left = 0 if kernel.journal.stopped_cleanly else ROWS_MAX
        self._blame: int | None = None
        """Crashes that a fact tried for the first time may have caused already: 1 if nobody counted the last one."""
        self._tried = 0
        """The fact that this process has named last: trying it again after an error (a full disk) is no crash."""

    async def batch(self) -> Tally:
        """Translate the next facts; see `TranslateStep.batch`."""
        journal, translate = self._kernel.journal, self._kernel.translate
        if not self._left:
            return await journal.write(translate.batch)
        self._left -= 1
        self._tried, crashes = await journal.write(self._name_the_next)
        if crashes >= CRASHES_MAX:
            return await journal.write(self._set_aside)
        tally = await journal.write(lambda connection: translate.batch(connection, 1))
        if not tally.facts:
            self._left = 0
        return tally

    def _name_the_next(self, connection: Connection) -> tuple[int, int]:
        """Note which fact is tried now and how many crashes it is blamed for; committed, so a crash does not hide it."""
        account = books.read(connection)
        upcoming = account.translated + 1
        if upcoming > account.facts:
            return 0, 0  # nothing is tried: a stop now is not the fault of whatever arrives next
        named = meta.number(connection, "trying") == upcoming
        if self._blame is None:
            # If the fact that was tried last has passed, the crash came while nobody counted: any of these may be guilty.
            self._blame = 0 if named else 1
        crashes = self._blame
        if named:
            crashes = meta.number(connection, "trying_crashes") + (upcoming != self._tried)
        meta.put(connection, trying=upcoming, trying_crashes=crashes)
        return upcoming, crashes

    def _set_aside(self, connection: Connection) -> Tally:
        cursor = books.read(connection).translated
        facts = intake.facts_after(connection, self._kernel.journal.names, cursor, 1)
        tally = Tally(facts=len(facts))
        for fact in facts:
            error = Untranslatable(
                f"translating this message ended the agent {CRASHES_MAX} times; it was set aside",
                hint="fix the mapping or translator, then `entrepot letters retry`",
            )
            self._kernel.translation.write_letter(connection, fact, error)
            tally.pending, tally.dead_lettered, tally.set_aside = -1, 1, 1
            write_tally(connection, [], tally)
            books.advance(connection, translated=fact.intake_seq)
        return tally
