"""What `entrepot run` ends with, so that a service manager can tell what a restart may cure."""

from __future__ import annotations

from runtime.errors import EntrepotError, IdentityMissing, JournalInUse, Retryable, StorageFailed

CONFIGURATION = 2
RUN_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (StorageFailed, 74),  # EX_IOERR: the disk failed
    (JournalInUse, 75),  # EX_TEMPFAIL: another process has the journal
    (Retryable, 75),  # the disk is full, the hub is away
    (IdentityMissing, 66),  # EX_NOINPUT: a key of the region is missing
    (EntrepotError, CONFIGURATION),
    (OSError, 71),  # EX_OSERR: the system refused something
    (BaseException, 70),  # EX_SOFTWARE: a defect
)
"""The first that fits."""


def exit_code(error: BaseException) -> int:
    """Of `entrepot run`, in the sense of sysexits.h; see docs/operations.md."""
    return next(code for kind, code in RUN_CODES if isinstance(error, kind))
