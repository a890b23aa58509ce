"""Several things may fail together; a person should hear of one: ours before foreign ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from runtime.errors import EntrepotError


def first(error: BaseException) -> BaseException:
    """The error itself, or the most telling one of a group."""
    leaves = list(_leaves(error))
    return next((leaf for leaf in leaves if isinstance(leaf, EntrepotError)), leaves[0])


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
