"""Puts the files of a first run where they belong, with owner and mode. Refuses before it writes anything.

`entrepot.toml` is written last: a run that was killed is simply run again.
"""

from __future__ import annotations

import grp
import os
import pwd
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

from runtime.errors import ConfigError
from runtime.identity import PUBLIC_FILE, Identity, load_or_create
from runtime.setup import documents
from runtime.setup.answers import LISTEN, Answers
from runtime.setup.documents import AUTHORITY, CREDENTIALS, MAPPINGS, POLICY, SECRETS, Places

USER = "entrepot"
SYSTEM_FOLDER = Path("/etc/entrepot")
SYSTEM_DATA = Path("/var/lib/entrepot")
UNITS_FOLDER = Path("/etc/systemd/system")
SECRET_BYTES = 32
JOURNAL_FILE = "journal.db"

What = Literal["written", "kept", "unchanged"]


class Owner(NamedTuple):
    """The agent's user, when root sets it up for one."""

    uid: int
    gid: int


class Item(NamedTuple):
    """One file to be."""

    path: Path
    content: bytes
    mode: int
    private: bool
    """Belongs to the agent, not to root: only it may read the file."""
    if_there: Literal["keep", "same"]
    """keep: whatever it says. same: another content is somebody's work, so nothing is written at all."""


class Done(NamedTuple):
    """What became of each file, and the region's keys."""

    files: dict[str, What]
    identity: Identity
    public_key_file: Path


class Service(NamedTuple):
    """What a package has installed for one configuration."""

    name: str
    """`entrepot`, or `entrepot@NAME` where several regions share a host."""
    data: Path


def service_of(config: Path) -> Service | None:
    """The service that reads this configuration; None for one that somebody tries out."""
    folder = config.absolute().parent
    if folder == SYSTEM_FOLDER:
        return Service("entrepot", SYSTEM_DATA)
    if folder.parent == SYSTEM_FOLDER:
        return Service(f"entrepot@{folder.name}", SYSTEM_DATA / folder.name)
    return None


def agent_user() -> Owner | None:
    """The user that the package made, if root is asking."""
    if os.geteuid() != 0:
        return None
    try:
        return Owner(pwd.getpwnam(USER).pw_uid, grp.getgrnam(USER).gr_gid)
    except KeyError:
        return None


def places(config: Path, answers: Answers) -> Places:
    """A service keeps its data in /var/lib, everybody else beside the configuration."""
    service = service_of(config)
    if service is None:
        return Places(data_dir=answers.data_dir or "state", drops="drops")
    data = answers.data_dir or str(service.data)
    return Places(data_dir=data, drops=f"{data}/drops")


def already_there(config: Path) -> str:
    """What stands at the place of the configuration: `nothing`, `template`, the answers' fingerprint, or `foreign`."""
    try:
        text = config.read_text("utf-8")
    except FileNotFoundError:
        return "nothing"
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{config} is there and cannot be read ({type(error).__name__})") from None
    if text.startswith(documents.UNANSWERED) or not text.strip():
        return "template"
    return documents.written_from(text) or "foreign"


def refuse_what_is_set_up(config: Path) -> None:
    """Raises `ConfigError` when a person, or an earlier run, has written the configuration."""
    found = already_there(config)
    if found not in {"nothing", "template"}:
        who = "was written by a person" if found == "foreign" else "was written from other answers"
        raise ConfigError(
            f"{config} {who}; it is not overwritten",
            hint=f"change it there and run `entrepot check --config {config}`, or move it away and try again",
        )


def set_up(config: Path, answers: Answers, owner: Owner | None) -> Done:
    """Write what is missing. Raises `ConfigError` before the first byte when something would be overwritten."""
    again = already_there(config) == documents.fingerprint(answers)
    if not again:
        refuse_what_is_set_up(config)
    where = places(config, answers)
    items = [*_items(config.parent, answers, where), *_socket(config, answers)]
    if not again:
        _refuse_other_contents(items)
    done: dict[str, What] = {}
    _folder(config.parent, 0o755, None)
    _folder(config.parent / MAPPINGS, 0o750, owner, private=False)
    _folder(config.parent / SECRETS, 0o700, owner)
    for item in items:
        _folder(item.path.parent, 0o755, None)
        done[str(item.path)] = _put(item, owner)
    data_dir = config.absolute().parent / where.data_dir
    _folder(data_dir, 0o750, owner)
    with acting_as(owner):
        identity = load_or_create(data_dir / "identity", journal_is_new=not (data_dir / JOURNAL_FILE).exists())
    text = documents.configuration(answers, where).encode()
    if again:
        done[str(config)] = "unchanged" if config.read_bytes() == text else "kept"
    else:
        write(config, text, 0o640, owner, private=False)
        done[str(config)] = "written"
    return Done(done, identity, data_dir / "identity" / PUBLIC_FILE)


def _items(folder: Path, answers: Answers, where: Places) -> Iterator[Item]:
    yield Item(folder / POLICY, documents.policy(answers).encode(), 0o640, False, "keep")
    for name, source in sorted(answers.sources.items()):
        text = documents.mapping(name, source).encode()
        yield Item(folder / MAPPINGS / f"{name}.toml", text, 0o640, False, "keep")
        if source.adapter == "webhook":
            yield Item(folder / SECRETS / name, secrets.token_hex(SECRET_BYTES).encode() + b"\n", 0o600, True, "keep")
    if answers.hub.credentials:
        yield Item(folder / SECRETS / CREDENTIALS, Path(answers.hub.credentials).read_bytes(), 0o600, True, "same")
    if answers.hub.ca:
        yield Item(folder / AUTHORITY, Path(answers.hub.ca).read_bytes(), 0o644, False, "same")


def _socket(config: Path, answers: Answers) -> Iterator[Item]:
    """systemd listens for the service: where that is not the usual place, it must be told."""
    service = service_of(config)
    if service is not None and answers.listen != LISTEN:
        path = UNITS_FOLDER / f"{service.name}.socket.d" / "listen.conf"
        yield Item(path, documents.socket(answers).encode(), 0o644, False, "same")


def _refuse_other_contents(items: list[Item]) -> None:
    for item in items:
        if item.if_there == "same" and item.path.exists() and item.path.read_bytes() != item.content:
            raise ConfigError(
                f"{item.path} is there with another content; it is not overwritten",
                hint="move it away if the new one is right, and try again",
            )


def _put(item: Item, owner: Owner | None) -> What:
    if item.path.exists():
        return "unchanged" if item.path.read_bytes() == item.content else "kept"
    write(item.path, item.content, item.mode, owner, private=item.private)
    return "written"


def _folder(path: Path, mode: int, owner: Owner | None, *, private: bool = True) -> None:
    """Make a folder; one that is there keeps its owner and mode."""
    if path.is_dir():
        return
    try:
        path.mkdir(parents=True)
        path.chmod(mode)
        if owner is not None:
            os.chown(path, owner.uid if private else os.geteuid(), owner.gid)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be made ({error.strerror})", hint="run as root, or name another place"
        ) from None


def write(path: Path, content: bytes, mode: int, owner: Owner | None, *, private: bool) -> None:
    """The file appears under its name complete, flushed, and with its owner."""
    unfinished = path.with_name(f".{path.name}.new")
    try:
        unfinished.unlink(missing_ok=True)
        handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            if owner is not None:
                os.fchown(handle, owner.uid if private else os.geteuid(), owner.gid)
            os.fchmod(handle, mode)
            file.flush()
            os.fsync(handle)
        unfinished.rename(path)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written ({error.strerror})", hint="run as root, or name another place"
        ) from None


@contextmanager
def acting_as(owner: Owner | None) -> Iterator[None]:
    """As the agent's user: root must not follow a link that this user could have laid in its own folder."""
    if owner is None:
        yield
        return
    before = os.geteuid(), os.getegid()
    os.setegid(owner.gid)
    os.seteuid(owner.uid)
    try:
        yield
    finally:
        os.seteuid(before[0])
        os.setegid(before[1])
