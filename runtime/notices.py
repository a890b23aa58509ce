"""The port for messages that only say where to look: who follows one is told here, and tells here what came of it."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from runtime.envelope import Message


class Notice(Struct, frozen=True, kw_only=True):
    """A kept message that only says where to look. It is pending until its document is in, or it is a letter."""

    intake_seq: int
    url: str
    """Where its document is: the configured address with what the message says."""
    document_key: str
    """How the key of its document begins; the document's own validator or digest completes it."""
    correlation_id: str
    attempts: int = 0
    """That have failed."""


class Notices(Protocol):
    """The thin messages of one source. What is told here is committed when it returns."""

    async def next(self) -> Notice:
        """The oldest one whose time has come; waits for one."""
        ...

    async def followed(self, notice: Notice, document: Message | None) -> None:
        """The document is a fact from now on, and the notice is settled, both or neither. None: there is nothing to tell."""
        ...

    async def postpone(self, notice: Notice, seconds: float) -> None:
        """An attempt has failed; the next one comes after so long, or after a restart."""
        ...

    async def give_up(self, notice: Notice, reason: str, hint: str = "") -> None:
        """The notice becomes a letter; `entrepot letters retry` lets it wait for its document again."""
        ...


class Follow(Struct, frozen=True, kw_only=True):
    """Which messages of a source only say where to look, and where that is: text of the configuration, for the kernel.

    An adapter may have `follow(settings) -> Follow | None`; its sources then find such messages in `SourceContext.notices`.
    """

    when: str
    """A condition over the message, as in a mapping."""
    url: str
    """With `{path}` for what the message says."""
