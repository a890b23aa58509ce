"""Secrets: one file each, from a folder or from systemd's credentials directory. Never logged, never in errors."""

from __future__ import annotations

import os
from pathlib import Path

from runtime.errors import ConfigError
from runtime.nearest import nearest

SCHEME = "secret://"
SECRET_BYTES_MAX = 65_536


class Vault:
    """Resolves `secret://name` to the bytes of the file `name`, without a trailing line feed."""

    def __init__(self, directory: Path | None) -> None:
        credentials = os.environ.get("CREDENTIALS_DIRECTORY")
        self._directories = [Path(credentials)] if credentials else []
        if directory is not None:
            self._directories.append(directory)

    def secret(self, reference: str) -> bytes:
        """Raises `ConfigError` when the reference is malformed or the file is missing or empty."""
        name = reference.removeprefix(SCHEME)
        if not reference.startswith(SCHEME) or not name or name in {".", ".."} or "/" in name:
            raise ConfigError("a secret must be given as secret://name; the value itself does not belong here")
        for directory in self._directories:
            path = directory / name
            if path.is_file():
                return _read(path)
        known = sorted(p.name for d in self._directories if d.is_dir() for p in d.iterdir() if p.is_file())
        if not self._directories:
            hint = f'add [secrets] with dir = "secrets", and put the secret into the file secrets/{name}'
            raise ConfigError(f"secret {name!r} cannot be looked up: no [secrets] dir is configured", hint=hint)
        places = " or ".join(str(d) for d in self._directories)
        raise ConfigError(
            f"secret {name!r} is missing in {places}{nearest(name, known)}", hint=f"write the secret into {places}"
        )


def _read(path: Path) -> bytes:
    content = path.read_bytes()[: SECRET_BYTES_MAX + 1]
    if len(content) > SECRET_BYTES_MAX or not content.strip():
        raise ConfigError(f"secret file {path} is empty or larger than {SECRET_BYTES_MAX} bytes")
    return content.rstrip(b"\r\n")
