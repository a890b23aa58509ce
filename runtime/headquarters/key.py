"""The private release key of one machine: born here, readable by its owner alone, never sent anywhere."""

from __future__ import annotations

import base64
import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from runtime.errors import ConfigError, Refused
from runtime.identity import Identity

KEY_BYTES = 32


def create(path: Path) -> str:
    """Make a key; its public half as base64, also written beside it as `.pub`. Raises `Refused` if there is one."""
    key = Ed25519PrivateKey.generate()
    public = base64.b64encode(key.public_key().public_bytes_raw()).decode()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise Refused(
            f"{path} is there already: a key is never overwritten", hint="name another file with --to FILE"
        ) from None
    with open(handle, "wb") as file:
        file.write(key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption()))
        file.flush()
        os.fsync(handle)
    path.with_suffix(".pub").write_text(public + "\n", "ascii")
    return public


def load(path: Path) -> Identity:
    """Signs in the role `release`. Raises `ConfigError` for a key that is missing, damaged, or open to others."""
    try:
        mode = path.stat().st_mode
        content = path.read_bytes()
    except OSError as error:
        hint = "`entrepot fleet keygen` makes one, and release_keys in fleet.toml must name its public half"
        raise ConfigError(f"release_key: {path} cannot be read ({error.strerror})", hint=hint) from None
    if mode & 0o077:
        raise ConfigError(f"release_key: {path} can be read by others", hint=f"chmod 600 {path}")
    if len(content) != KEY_BYTES:
        raise ConfigError(f"release_key: {path} does not hold the {KEY_BYTES} bytes of an Ed25519 key")
    # Only a region commits to what it withholds, so there is no second key here.
    return Identity(Ed25519PrivateKey.from_private_bytes(content), commitment=b"")
