"""One claimed file, from its descriptor to the journal: survey, split, commit batch by batch, keep account.

Promises that `finished` is only reached when the journal has committed every line.
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from io import BufferedReader, FileIO
from itertools import islice

import anyio
from anyio.to_thread import run_sync
from msgspec import Struct

from adapters.file_drop.settings import FileDropSettings
from adapters.file_drop.survey import Survey, survey
from adapters.file_drop.translate import WHOLE, CsvForm, delimiter_of, split_csv, split_ndjson
from adapters.sdk.drops import DropFolder, printable, sighting
from runtime.envelope import Message, Receipt
from runtime.errors import Permanent, Retryable
from runtime.policy.retry import Backoff, wait_seconds
from runtime.ports import SourceContext

BATCH_BYTES_MAX = 4 * 1024 * 1024
"""Lines held in memory for one transaction, whatever `lines_batch_max` says."""
_BACKOFF = Backoff(seconds_min=0.1, seconds_max=30.0)
_UNREADABLE = {
    errno.EACCES: "the agent may not read it",
    errno.ELOOP: "it is a symbolic link",
    errno.ENXIO: "it is not a regular file",
}


class Result(Struct, kw_only=True):
    """The result file beside an archived file."""

    file: str
    claimed_at: str
    finished_at: str | None = None
    sha256: str | None = None
    bytes: int | None = None
    facts: int = 0
    duplicates: int = 0
    first_intake_seq: int | None = None
    last_intake_seq: int | None = None
    error: str | None = None
    hint: str | None = None

    def count(self, receipts: Sequence[Receipt]) -> None:
        """Add one committed batch."""
        self.facts += len(receipts)
        self.duplicates += sum(receipt.duplicate for receipt in receipts)
        numbers = [receipt.intake_seq for receipt in receipts]
        first, last = self.first_intake_seq, self.last_intake_seq
        self.first_intake_seq = min(numbers) if first is None else min(first, *numbers)
        self.last_intake_seq = max(numbers) if last is None else max(last, *numbers)


class Handover:
    """Hands claimed files of one source to its journal, one at a time."""

    def __init__(self, settings: FileDropSettings, context: SourceContext) -> None:
        self._settings = settings
        self._context = context
        # Jitter only; nothing that anybody could want to guess.
        self._draw: Callable[[], float] = random.Random(context.name).random  # noqa: S311

    def begin(self, name: str) -> Result:
        """An empty account for a claimed file."""
        return Result(file=printable(name), claimed_at=self.now())

    def now(self) -> str:
        return datetime.fromtimestamp(self._context.now_us() / 1_000_000, UTC).isoformat(timespec="milliseconds")

    async def read(self, folder: DropFolder, name: str, result: Result) -> None:
        """Commit the whole file; `result` always tells how far that went.

        Raises `Permanent` (it can never be read), `Refused` (the journal's rules), `Retryable` (not now).
        """
        try:
            fd = await run_sync(folder.open, name)
        except OSError as error:
            raise _cannot_open(error) from error
        try:
            await self._commit_all(fd, name, result)
        except OSError as error:
            raise Retryable(f"it cannot be read: {error.strerror}") from error
        finally:
            os.close(fd)

    async def _commit_all(self, fd: int, name: str, result: Result) -> None:
        before = sighting(os.fstat(fd))
        found = await run_sync(survey, fd, name, self._settings)
        result.sha256, result.bytes = found.digest, found.size
        messages = _messages(fd, found, self._settings)
        while batch := await run_sync(_batch, messages, self._settings.lines_batch_max):
            result.count(await self._accept(batch))
        if sighting(os.fstat(fd)) != before:
            # A writer still held it open. Its new content has a new digest, so none of it will be missed.
            raise Retryable("it changed while it was being read")

    async def _accept(self, batch: Sequence[Message]) -> list[Receipt]:
        """Wait out a full disk: the file stays claimed, and nothing else of this source could be stored either."""
        attempt = 0
        while True:
            try:
                return await self._context.intake.accept(batch)
            except Retryable as error:
                attempt += 1
                wait = wait_seconds(_BACKOFF, attempt, self._draw(), after_seconds=error.after_seconds)
                self._context.log("drop_waiting", source=self._context.name, reason=str(error), wait_seconds=wait)
                await anyio.sleep(wait)


def _cannot_open(error: OSError) -> Permanent | Retryable:
    if isinstance(error, FileNotFoundError):
        return Retryable("it was taken away by hand")
    reason = _UNREADABLE.get(error.errno or 0)
    if reason is None:
        return Retryable(f"it cannot be opened: {error.strerror}")
    return Permanent(reason, hint="drop a plain file that the agent may read")


def _messages(fd: int, found: Survey, settings: FileDropSettings) -> Iterator[Message]:
    """Messages of a surveyed file, read as they are asked for."""
    file = BufferedReader(FileIO(fd, closefd=False))
    if found.format in WHOLE:
        body = file.read(settings.message_bytes_max)
        message = Message(body=body, content_type=WHOLE[found.format], key=found.digest)
        return iter([message] if body and not body.isspace() else [])
    if found.format == "ndjson":
        return split_ndjson(file, found.digest)
    delimiter = delimiter_of(found.first_line) if settings.delimiter == "auto" else settings.delimiter
    form = CsvForm(delimiter=delimiter, encoding=found.encoding, header=settings.header)
    return split_csv(file, form, found.digest)


def _batch(messages: Iterator[Message], lines_max: int) -> list[Message]:
    """The next messages for one transaction; empty at the end."""
    batch: list[Message] = []
    size = 0
    for message in islice(messages, lines_max):
        batch.append(message)
        size += len(message.body)
        if size >= BATCH_BYTES_MAX:
            break
    return batch
