"""Several things may fail together; a person should hear of one: a failed disk, then ours, then foreign ones.

And what `entrepot run` ends with, so that a service manager can tell what a restart may cure.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

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


def first(error: BaseException) -> BaseException:
    """The error itself, or the most telling one of a group."""
    leaves = list(_leaves(error))
    for kind in (StorageFailed, EntrepotError):
        found = next((leaf for leaf in leaves if isinstance(leaf, kind)), None)
        if found is not None:
            return found
    return leaves[0]


def exit_code(error: BaseException) -> int:
    """Of `entrepot run`, in the sense of sysexits.h; see docs/operations.md."""
    return next(code for kind, code in RUN_CODES if isinstance(error, kind))


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Raises the most telling error of a group instead of the group."""
    try:
        yield
    except BaseExceptionGroup as group:
        raise first(group) from group


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _leaves(part)
    else:
        yield error
