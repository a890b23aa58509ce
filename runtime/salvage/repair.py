"""Builds a new journal from a damaged one, and puts it in its place only when a person has said yes.

The new journal is fenced from its first start: it is an older, thinner copy of itself, and only `adopt` makes it send.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from tempfile import mkdtemp

import msgspec
from msgspec import Struct

from runtime import clock
from runtime.envelope import Checkpoint
from runtime.errors import Refused
from runtime.journal import file, lanes, meta, wreck
from runtime.journal.store import Connection
from runtime.journal.wreck import Wreck
from runtime.ports import Fence
from runtime.salvage import facts, proofs
from runtime.salvage.access import save_access
from runtime.salvage.facts import SavedFacts
from runtime.salvage.inbound import save_inbound
from runtime.salvage.lanes import SavedLane, claims
from runtime.salvage.report import FactReport, LaneReport, Ranges, Report

REPORT = "repair-report.json"
SPARE_BYTES = 64 * 1024 * 1024
SURVEYED = ("intake", "bodies", "events", "outbox", "letters", "parked", "meta", "lanes", "books")
YOUNGER = ("following",)
"""Tables that an older journal has not."""
ACTION = "Read the repair's report, make sure that no second agent runs for this region, then run `entrepot adopt`."


class Owner(Struct, frozen=True, kw_only=True):
    """Whose journal it is, from the configuration."""

    region: str
    environment: str
    lanes: list[str]
    key_seconds: int
    public_key: bytes


def repair(data_dir: Path, owner: Owner, *, confirm: bool) -> Report:
    """Raises `Refused` (in use, no room, nothing there), `Permanent` (nothing readable). Without `confirm`: only a report."""
    if not (data_dir / file.FILE).exists():
        raise Refused(f"there is no journal in {data_dir}", hint="restore a backup with `entrepot journal restore`")
    with file.held(data_dir):
        _check_room(data_dir)
        work = Path(mkdtemp(prefix="repair-", dir=data_dir))
        try:
            report = _rebuild(data_dir, work, owner)
            if confirm:
                aside = file.exchange(data_dir, work / "new.db", why="repair", now_us=clock.now_us())
                report = msgspec.structs.replace(report, aside=str(aside))
                assert aside is not None, "there was a journal"
                _write(aside / REPORT, report)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return report


def _check_room(data_dir: Path) -> None:
    needed = 2 * sum(path.stat().st_size for path in data_dir.glob("journal.db*")) + SPARE_BYTES
    free = shutil.disk_usage(data_dir).free
    if free < needed:
        raise Refused(
            f"a repair needs {needed:,} bytes in {data_dir} and {free:,} are free: it never works on the original",
            hint="make room, or copy the whole data folder to a larger disk and repair it there",
        )


def _rebuild(data_dir: Path, work: Path, owner: Owner) -> Report:
    with wreck.opened(data_dir, work) as remains, file.newborn(work / "new.db") as connection:
        report = _Rebuilding(remains, connection, owner).run()
    fence = Fence(kind="stale_self", reason="this journal was repaired: it lacks what its report names", action=ACTION)
    file.fence_all(work / "new.db", fence, incident="repaired", now_us=clock.now_us())
    return report


class _Rebuilding:
    """One repair."""

    def __init__(self, remains: Wreck, connection: Connection, owner: Owner) -> None:
        self._wreck = remains
        self._connection = connection
        self._owner = owner
        self._notes: list[str] = []

    def run(self) -> Report:
        self._wreck.survey(SURVEYED)
        self._wreck.survey([table for table in YOUNGER if self._wreck.has(table)])
        with file.change(self._connection):
            checkpoints, newest = self._checkpoints()
            told = self._told()
            self._elsewhere()
        with file.change(self._connection):
            reports, at_hub, epoch, sealed = self._lanes(newest)
        with file.change(self._connection):
            found, fact_epoch = self._facts(at_hub, sealed)
            self._meta(max(epoch, fact_epoch))
            self._books(found)
            self._notes += save_access(self._wreck, self._connection)
            self._notes += save_inbound(self._wreck, self._connection)
        return Report(
            made_at=clock.rfc3339(clock.now_us()),
            region=self._owner.region,
            aside="",
            facts=found,
            lanes=reports,
            checkpoints=checkpoints,
            told=told,
            torn=sorted(self._wreck.torn),
            notes=self._notes + self._warnings(),
        )

    def _warnings(self) -> list[str]:
        said = []
        if self._wreck.grafted:
            said.append("the schema itself was damaged and was taken from a new journal")
        if self._wreck.log_frames:
            said.append(
                f"the log ends with {self._wreck.log_frames} pages that no commit vouches for: a commit that was cut off, or damage; what was taken in last may be missing"
            )
        if self._wreck.log_frames is None:
            said.append(
                "there is no log (journal.db-wal): if it was lost rather than closed in order, what was taken in last is missing and cannot be named"
            )
        return said

    def _checkpoints(self) -> tuple[Ranges, Checkpoint | None]:
        newest: Checkpoint | None = None
        numbers = []
        query = "SELECT number, body, digest, sent FROM checkpoints ORDER BY number {direction}"
        for number, body, digest, sent in sorted(self._wreck.everything("checkpoints", query), key=lambda row: row[0]):
            said = proofs.checkpoint(body, digest, self._owner.public_key)
            if said is None or said.number != number or said.region != self._owner.region:
                continue
            self._connection.execute(
                "INSERT OR IGNORE INTO checkpoints (number, body, digest, sent) VALUES (?, ?, ?, ?)",
                (number, body, digest, int(sent == 1)),
            )
            numbers.append(number)
            newest = said
        return proofs.ranges(numbers), newest

    def _told(self) -> int:
        query = "SELECT source, key_hash, intake_seq FROM told ORDER BY source {direction}, key_hash {direction}"
        sources = self._sources()
        count = 0
        for source, key_hash, seq in self._wreck.everything("told", query):
            if source in sources and isinstance(key_hash, bytes) and isinstance(seq, int):
                self._connection.execute(
                    "INSERT OR IGNORE INTO told (source, key_hash, intake_seq) VALUES (?, ?, ?)",
                    (sources[source], key_hash, seq),
                )
                count += 1
        return count

    def _sources(self) -> dict[int, int]:
        """The old number of a source → the new one."""
        names: dict[int, int] = {}
        for number, kind, name in self._wreck.everything(
            "names", "SELECT id, kind, name FROM names ORDER BY id {direction}"
        ):
            if kind == "source" and isinstance(name, str):
                self._connection.execute("INSERT OR IGNORE INTO names (kind, name) VALUES ('source', ?)", (name,))
                row = self._connection.execute("SELECT id FROM names WHERE kind = 'source' AND name = ?", (name,))
                names[number] = row.fetchone()[0]
        return names

    def _elsewhere(self) -> None:
        """What an earlier `adopt` found at the hub. A false row matches no event: each names its own proof."""
        query = "SELECT intake_seq, output, epoch, kind, proof FROM elsewhere ORDER BY intake_seq {direction}, output {direction}, epoch {direction}"
        for row in self._wreck.everything("elsewhere", query):
            if all(isinstance(value, int) for value in row[:4]) and isinstance(row[4], str):
                self._connection.execute("INSERT OR IGNORE INTO elsewhere VALUES (?, ?, ?, ?, ?)", row)

    def _lanes(self, newest: Checkpoint | None) -> tuple[dict[str, LaneReport], set[int], int, dict[int, int | None]]:
        """(reports, facts whose records the hub has, highest epoch, lane number → last sealed event)."""
        dispositions = self._dispositions()
        reports: dict[str, LaneReport] = {}
        at_hub: set[int] = set()
        sealed: dict[int, int | None] = {}
        epoch = newest.epoch if newest else 1
        found = claims(self._wreck, self._owner.lanes)
        new = lanes.ensure(self._connection, [claim.name for claim in found])
        for claim in found:
            saved = SavedLane(self._wreck, claim, newest)
            reports[claim.name] = saved.save(self._connection, new[claim.name], dispositions)
            at_hub |= saved.origins
            epoch = max(epoch, saved.epoch)
            sealed[claim.id] = claim.row.sealed_event if claim.row else None
        return reports, at_hub, epoch, sealed

    def _dispositions(self) -> dict[int, int]:
        kept: dict[int, int] = {}
        query = "SELECT id, policy, type, fields FROM dispositions ORDER BY id {direction}"
        for row in self._wreck.everything("dispositions", query):
            if proofs.disposition(row):
                self._connection.execute("INSERT OR IGNORE INTO dispositions VALUES (?, ?, ?, ?)", row)
                kept[row[0]] = row[1]
        return kept

    def _facts(self, at_hub: set[int], sealed: dict[int, int | None]) -> tuple[FactReport, int]:
        account = self._wreck.one("books", "SELECT facts, translated FROM books")
        claimed = account[0] if account and isinstance(account[0], int) else None
        seen, end_known = self._wreck.last_key("intake", "seq", 0, facts.SEQ_MAX, claimed)
        last = max([seen, *at_hub])
        # Not known: then no message counts as settled only because its body is gone.
        translated = account[1] if account and isinstance(account[1], int) else 0
        settled = self._number("pruned_intake", 0 if "meta" not in self._wreck.torn else last)
        said = facts.evidence(
            self._wreck,
            settled_through=max(0, min(settled, translated or last, last)),
            translated=translated,
            forgotten_through=min(self._forgotten(), last),
            at_hub=at_hub,
            sealed=sealed,
        )
        walk = SavedFacts(self._wreck, self._connection, said)
        report = walk.save(last, end_known=end_known and not self._wreck.log_frames)
        self._connection.execute("UPDATE books SET translated = ?, keyed = ?", (said.settled_through, last))
        self._connection.execute(
            "INSERT INTO keys SELECT key_hash, seq FROM intake WHERE key_hash IS NOT NULL ORDER BY key_hash, seq"
        )
        meta.put(self._connection, pruned_intake=said.settled_through, repaired_through=last)
        return report, walk.epoch

    def _forgotten(self) -> int:
        """Receipts older than `key_days` are forgotten in order; 0 when that cannot be told."""
        age = self._number("age_seconds", 0) - self._owner.key_seconds
        query = "SELECT intake_seq FROM marks WHERE age_seconds <= ? ORDER BY age_seconds DESC LIMIT 1"
        row = self._wreck.one("marks", query, age)
        return row[0] if row and isinstance(row[0], int) and row[0] > 0 else 0

    def _number(self, name: str, default: int) -> int:
        row = self._wreck.one("meta", "SELECT value FROM meta WHERE name = ?", name)
        if row is None and "meta" in self._wreck.torn and name == "pruned_intake":
            self._notes.append("it is not known what was forgotten in order: whatever is in doubt became a letter")
        return row[0] if row and isinstance(row[0], int) else default

    def _meta(self, epoch: int) -> None:
        owner = self._owner
        meta.claim(self._connection, owner.region, owner.environment, clock.now_us())
        meta.put(self._connection, epoch=epoch)

    def _books(self, found: FactReport) -> None:
        """They begin anew with what was saved: what became of settled facts is not known one by one."""
        self._connection.execute(
            "UPDATE books SET accepted = ?, delivered = ?, dead_lettered = ?, pending = ?, facts = ?",
            (found.saved, found.settled, found.letters, found.pending, found.last),
        )


def _write(path: Path, report: Report) -> None:
    path.write_text(json.dumps(msgspec.to_builtins(report), indent=2) + "\n", "utf-8")
    file.flush(path)
