"""The file that remembers how far every region was verified: a restart goes on there, and a hub that lost records is found out."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
from msgspec import Struct

from runtime.errors import Permanent, Refused
from runtime.ports import Position, Proven

FILE = "verified.json"
FORMAT = 1


class Page(Struct, kw_only=True):
    """One region."""

    proven: Proven = Proven()
    announced: dict[str, Position] = {}
    """The newest watermark: it never falls."""


class _Content(Struct, kw_only=True):
    format: int = FORMAT
    environment: str
    regions: dict[str, Page] = {}


class Notebook:
    """`pages` by region. Blocking; used by one process."""

    def __init__(self, folder: Path, environment: str) -> None:
        """Raises `Refused` for another environment's file, `Permanent` for one that cannot be read."""
        self._path = folder / FILE
        self._content = _read(self._path) or _Content(environment=environment)
        if self._content.environment != environment:
            raise Refused(
                f"{self._path} was written for environment {self._content.environment}, this is {environment}",
                hint="give each environment a state folder of its own",
            )
        self._written = b""

    def page(self, region: str) -> Page:
        """What is known of a region; an empty page for a new one."""
        return self._content.regions.setdefault(region, Page())

    def save(self) -> None:
        """Write what has changed, flushed, in one step."""
        text = msgspec.json.format(msgspec.json.encode(self._content, order="sorted"), indent=1)
        if text == self._written:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(".new")
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
        try:
            with os.fdopen(handle, "wb", closefd=False) as file:
                file.write(text)
            os.fsync(handle)
        finally:
            os.close(handle)
        temporary.rename(self._path)
        self._written = text


def _read(path: Path) -> _Content | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Content)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise Permanent(
            f"{path} cannot be read: {error}", hint="move it away: everything is then verified again from the start"
        ) from None
