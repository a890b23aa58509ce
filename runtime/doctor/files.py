"""Configuration and files: do they fit together, may the agent read them, may nobody else."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from runtime.admin.client import is_running
from runtime.config.assemble import Configuration
from runtime.errors import EntrepotError
from runtime.ports import Finding
from runtime.setup.place import USER, Owner


def configuration(path: Path, loaded: Configuration) -> Iterator[Finding]:
    """What `entrepot check` says."""
    try:
        loaded.read_secrets()
    except EntrepotError as error:
        if is_running(loaded.data_dir) and "CREDENTIALS_DIRECTORY" not in os.environ:
            step = "nothing, if systemd gives this secret to the service (LoadCredential); otherwise: " + error.hint
            yield Finding("configuration", "warning", f"{error}; the running agent may have it", step)
        else:
            yield Finding("configuration", "critical", str(error), error.hint)
        return
    if loaded.warnings:
        yield Finding("configuration", "warning", "; ".join(loaded.warnings), "see `entrepot check`")
    else:
        yield Finding("configuration", "ok", f"{path} and every file that it names fit together")


def permissions(loaded: Configuration, owner: Owner | None) -> Iterator[Finding]:
    """Secrets are the agent's alone, nobody else may change the configuration, and the agent can read both.

    `owner`: the user of the installed service; None where the agent runs as somebody else.
    """
    secrets = _secrets(loaded)
    settings = [*loaded.paths, *{secret.parent for secret in secrets}]
    open_secrets = [p for p in secrets if p.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)]
    changeable = [p for p in settings if p.stat().st_mode & stat.S_IWOTH]
    if open_secrets:
        step = f"chmod 600 {' '.join(map(str, open_secrets))}; consider these secrets as known to others"
        yield Finding("file permissions", "critical", "others may read the agent's secrets", step)
    if changeable:
        names = " ".join(map(str, changeable))
        yield Finding(
            "file permissions", "critical", "every user of this machine may change what may leave", f"chmod o-w {names}"
        )
    closed = closed_to(owner, loaded) if owner is not None else []
    if closed:
        names = " ".join(map(str, closed))
        step = f"chgrp {USER} and chmod g+r for settings, chown {USER} for secrets: {names}"
        yield Finding("file permissions", "critical", f"the user {USER} may not read what the agent needs", step)
    if not (open_secrets or changeable or closed):
        yield Finding("file permissions", "ok", "the agent reads what it needs, and nobody else its secrets")


def closed_to(owner: Owner, loaded: Configuration) -> list[Path]:
    """What the agent needs and this user may not read, although whoever asks may; by mode alone."""
    gateway = loaded.model.gateway.tls
    certificates = [] if gateway is None else [name for name in (gateway.cert, gateway.key, gateway.client_ca) if name]
    needed = [*loaded.paths, *_secrets(loaded), *(loaded.directory / name for name in certificates)]
    return [path for path in needed if path.exists() and not _reached_by(owner, path)]


def _secrets(loaded: Configuration) -> list[Path]:
    """The files of secrets; those that systemd hands over are not the agent's to read."""
    named = loaded.model.secrets.dir
    folder = loaded.directory / named if named else None
    return sorted(p for p in folder.iterdir() if p.is_file()) if folder is not None and folder.is_dir() else []


def _reached_by(owner: Owner, path: Path) -> bool:
    folders = (folder.stat() for folder in path.absolute().parents)
    return readable_for(owner, path.stat()) and all(
        _may(owner, found, stat.S_IXUSR, stat.S_IXGRP, stat.S_IXOTH) for found in folders
    )


def readable_for(owner: Owner, found: os.stat_result) -> bool:
    """Whether this user may read, by mode alone."""
    return _may(owner, found, stat.S_IRUSR, stat.S_IRGRP, stat.S_IROTH)


def _may(owner: Owner, found: os.stat_result, user: int, group: int, others: int) -> bool:
    """The first class that fits decides."""
    if found.st_uid == owner.uid:
        return bool(found.st_mode & user)
    return bool(found.st_mode & (group if found.st_gid == owner.gid else others))


def data_folder(folder: Path, owner: Owner | None) -> Iterator[Finding]:
    """The journal and the keys."""
    if not folder.exists():
        yield Finding("data folder", "ok", f"{folder} will be made at the first start")
        return
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        step = "run as root or as the agent's user, or correct the owner of the folder"
        yield Finding("data folder", "critical", f"this user may not write in {folder}", step)
        return
    identity = folder / "identity"
    keys = [p for p in identity.glob("*.key") if stat.S_IMODE(p.stat().st_mode) & 0o077] if identity.is_dir() else []
    if keys:
        step = f"chmod 600 {' '.join(map(str, keys))}; consider the keys as known to others"
        yield Finding("data folder", "critical", "others may read the region's signing keys", step)
    elif stat.S_IMODE(folder.stat().st_mode) & stat.S_IRWXO:
        yield Finding(
            "data folder", "warning", f"every user of this machine may open {folder}", f"chmod o-rwx {folder}"
        )
    else:
        yield from _owned(folder, owner)


def _owned(folder: Path, owner: Owner | None) -> Iterator[Finding]:
    foreign = [p for p in (folder, *folder.iterdir()) if owner is not None and p.lstat().st_uid != owner.uid]
    if foreign:
        step = f"chown -R {USER}: {folder} while the agent is stopped"
        yield Finding("data folder", "critical", f"{foreign[0]} does not belong to the user {USER}", step)
    else:
        yield Finding("data folder", "ok", f"{folder}, readable by its owner and group only")
