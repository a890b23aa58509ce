"""The revisions on disk and the one file that says which is in force: `<data_dir>/fleet/`. Blocking.

A slot is complete before it has its name, and the state is replaced in one step: a process that ends between any two
writes leaves either the state before or the one after.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

import msgspec

from runtime.config.overlay import Overlay
from runtime.envelope import Signed
from runtime.errors import Refused
from runtime.fleet.documents import Revision
from runtime.fleet.lifecycle import State

FOLDER = "fleet"
STATE_FILE = "state.json"
DOCUMENT_FILE = "revision.json"
FILES_FOLDER = "files"
ASIDE_FOLDER = "rehearsal"
_ANEW = "`entrepot revision override --hours 24 --reason …` starts by the local file alone"


class Slots:
    """Those of one data directory. Whoever writes is the agent, or holds the journal's lock."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.folder = data_dir / FOLDER

    def read(self) -> State:
        """What was written last. Raises `Refused` when it cannot be read: guessing would forget what was seen."""
        path = self.folder / STATE_FILE
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return State()
        try:
            return msgspec.json.decode(content, type=State)
        except msgspec.MsgspecError:
            raise Refused(
                f"{path} is damaged, so it is not known which configuration is in force",
                hint="put back a copy of it; without one move the folder away: the region then works by its local file alone",
            ) from None

    def write(self, state: State) -> None:
        """Flushed when this returns."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = self.folder / f"{STATE_FILE}.new"
        _write(fresh, msgspec.json.format(msgspec.json.encode(state)))
        self._give_to_the_agent(self.folder, fresh)
        fresh.rename(self.folder / STATE_FILE)
        _flush_folder(self.folder)

    def fill(self, version: int, document: bytes, files: Mapping[str, bytes]) -> None:
        """Lay a revision down: the signed document, and each file by its name."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh, place = self.folder / f"revision-{version}.new", self._slot(version)
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        _write(fresh / DOCUMENT_FILE, document)
        for name, content in files.items():
            path = fresh / FILES_FOLDER / name
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write(path, content)
        for folder in (p for p in fresh.rglob("*") if p.is_dir()):
            _flush_folder(folder)
        _flush_folder(fresh)
        shutil.rmtree(place, ignore_errors=True)
        fresh.rename(place)
        _flush_folder(self.folder)

    @contextmanager
    def aside(self, revision: Revision, files: Mapping[str, bytes]) -> Iterator[Overlay]:
        """A revision for `load_configuration` that gets no slot: its files are gone afterwards. One at a time."""
        self.sweep()
        place = self.folder / ASIDE_FOLDER
        place.mkdir(mode=0o700, parents=True)
        try:
            for name, content in files.items():
                path = place / name
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                path.write_bytes(content)
            places = {name: place / name for name in files}
            yield Overlay(
                version=revision.version, settings=revision.settings, files=places, provenance=revision.provenance
            )
        finally:
            self.sweep()

    def sweep(self) -> None:
        """Remove what a process that ended in a dry run has left."""
        shutil.rmtree(self.folder / ASIDE_FOLDER, ignore_errors=True)

    def overlay(self, state: State, version: int) -> Overlay:
        """A revision for `load_configuration`, every byte compared with its digest. Raises `Refused`."""
        revision = self.revision(state, version)
        files = {name: self._slot(version) / FILES_FOLDER / name for name in revision.files}
        for name, path in files.items():
            try:
                sound = sha256(path.read_bytes()).hexdigest() == revision.files[name]
            except OSError:
                sound = False
            if not sound:
                raise Refused(f"revision {version}: {path} is missing or damaged", hint=_ANEW)
        return Overlay(version=version, settings=revision.settings, files=files, provenance=revision.provenance)

    def revision(self, state: State, version: int) -> Revision:
        """The statement in a slot. Raises `Refused` when it is not the one that was laid down."""
        path = self._slot(version) / DOCUMENT_FILE
        try:
            statement = msgspec.json.decode(path.read_bytes(), type=Signed).statement
            sound = sha256(statement.encode()).hexdigest() == state.digests.get(version)
            revision = msgspec.json.decode(statement, type=Revision)
        except (OSError, msgspec.MsgspecError):
            sound, revision = False, None
        if not sound or revision is None:
            raise Refused(f"revision {version}: {path} is missing or damaged", hint=_ANEW)
        return revision

    def contents(self, digests: Collection[str]) -> dict[str, bytes]:
        """Those of these files that other revisions have brought already, by their digests."""
        found: dict[str, bytes] = {}
        for path in self.folder.glob(f"revision-*/{FILES_FOLDER}/**/*"):
            if path.is_file():
                with suppress(FileNotFoundError):  # a slot that is being removed
                    content = path.read_bytes()
                    digest = sha256(content).hexdigest()
                    if digest in digests:
                        found[digest] = content
        return found

    def prune(self, versions: set[int]) -> None:
        """Remove every slot but these, and what an ended process has left half made."""
        wanted = {self._slot(version).name for version in versions}
        for path in self.folder.glob("revision-*"):
            if path.name not in wanted:
                shutil.rmtree(path, ignore_errors=True)

    def _slot(self, version: int) -> Path:
        return self.folder / f"revision-{version}"

    def _give_to_the_agent(self, *paths: Path) -> None:
        """Root may have asked; the agent, which is somebody else, must be able to read and replace it."""
        if os.geteuid() == 0:
            owner = self.data_dir.stat()
            for path in paths:
                os.chown(path, owner.st_uid, owner.st_gid)


def _write(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(handle)


def _flush_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
