"""Three classes decide what happens after a failure: try again, never, or policy said no.

Foreign exceptions are mapped to these at the edge. `hint` says what an operator can do now.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


def with_step(sentence: str, step: str) -> str:
    """What is wrong and what to do now, as one text."""
    if not step:
        return sentence
    return f"{sentence} {step}" if sentence.endswith((".", "?", "!")) else f"{sentence}. {step[0].upper()}{step[1:]}"


class EntrepotError(Exception):
    """Root of everything Entrepot raises on purpose; `str(error)` is one clear sentence."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class Retryable(EntrepotError):
    """The same call may succeed later; `after_seconds` is the earliest useful moment, if known."""

    def __init__(self, message: str, *, hint: str = "", after_seconds: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.after_seconds = after_seconds


class Overtaken(Retryable):
    """Somebody else has written there since it was read: read again, and decide again."""


class Permanent(EntrepotError):
    """The same call will fail for ever; somebody has to change the input or the configuration."""


class Refused(EntrepotError):
    """A rule said no (authentication, residency, a fence); nothing is broken."""


class Forbidden(Refused):
    """Somebody who is known asked for something that they may not do."""


class Undrained(Refused):
    """A lane that must be empty first still has events that the hub does not have; later it will not."""


class JournalInUse(Refused):
    """Another process has the journal open; later it may not."""


class IdentityMissing(Permanent):
    """A key of the region is gone or unreadable: nothing can be signed or withheld in its name."""


class ConfigError(Permanent):
    """A file, key or value that a person wrote is wrong; the message names the place and the next step."""


class Untranslatable(Permanent):
    """A raw fact that cannot become canonical; it turns into a letter and the fact stays.

    `position` points into the input: a JSON pointer (`/lines/0/qty`), or `line 3, column 7` for text.
    """

    def __init__(self, message: str, *, position: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.position = position


class StorageFull(Retryable):
    """The disk, or the journal's disk budget, has no room; what was accepted is safe."""


class StorageFailed(EntrepotError):
    """The disk answered with an error or with wrong bytes: fail-stop, nothing more may be promised."""


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Several things may fail together: raises the most telling error of a group instead of the group."""
    try:
        yield
    except BaseExceptionGroup as group:
        raise first(group) from group


def first(error: BaseException) -> BaseException:
    """The error itself, or the most telling one of a group: a failed disk, then ours, then foreign ones."""
    leaves = list(_leaves(error))
    for kind in (StorageFailed, EntrepotError):
        found = next((leaf for leaf in leaves if isinstance(leaf, kind)), None)
        if found is not None:
            return found
    return leaves[0]


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _leaves(part)
    else:
        yield error
