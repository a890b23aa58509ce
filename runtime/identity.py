"""The region's keys: an Ed25519 signing key and a commitment key, born on the first start, never sent anywhere."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from runtime.envelope import Signed
from runtime.errors import IdentityMissing, Permanent
from runtime.policy.statements import key_id
from runtime.record import signing_input

SIGNING_FILE = "signing.key"
PUBLIC_FILE = "signing.pub"
COMMITMENT_FILE = "commitment.key"


class Identity:
    """Signs statements in the region's name."""

    def __init__(self, signing: Ed25519PrivateKey, commitment: bytes) -> None:
        self._signing = signing
        self.commitment_key = commitment
        self.public_key = signing.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.key_id = key_id(self.public_key)

    def sign(self, kind: str, statement: str) -> bytes:
        """The JSON of an `envelope.Signed`; `kind` is `checkpoint` or `epoch`."""
        signature = self._signing.sign(signing_input(kind, statement))
        signed = Signed(statement=statement, key_id=self.key_id, signature=base64.b64encode(signature).decode())
        return msgspec.json.encode(signed)


def load_or_create(directory: Path, *, journal_is_new: bool) -> Identity:
    """Read the keys, or make them if the journal is new. Raises `IdentityMissing` when a region lost one of them."""
    signing_path, commitment_path = directory / SIGNING_FILE, directory / COMMITMENT_FILE
    # The signing key is written last: without it nothing was ever signed or sealed, if the journal is new.
    if journal_is_new and not signing_path.exists():
        _create(directory)
    missing = [path for path in (signing_path, commitment_path) if not path.exists()]
    if missing:
        raise _lost(missing)
    try:
        return Identity(Ed25519PrivateKey.from_private_bytes(signing_path.read_bytes()), commitment_path.read_bytes())
    except OSError as error:
        raise IdentityMissing(
            f"a key of this region cannot be read: {error.filename} ({error.strerror})",
            hint="make the identity folder readable for the agent's user, and for nobody else",
        ) from error
    except ValueError as error:
        raise IdentityMissing(
            f"the signing key of this region is damaged: {signing_path} does not hold the 32 bytes of an Ed25519 key",
            hint=f"restore {signing_path} from the backup; {_NO_BACKUP}",
        ) from error


_WHY = {
    SIGNING_FILE: "without it no checkpoint can be signed, and one signed with a new key would prove nothing",
    COMMITMENT_FILE: "without it what was withheld can no longer be told apart at the hub",
}
_NO_BACKUP = (
    "without a backup a person must decide: keep this data_dir as evidence and agree with the central team to start"
    " the region under a new id; nothing was changed"
)


def _lost(missing: list[Path]) -> IdentityMissing:
    names = " and ".join(map(str, missing))
    whys = "; ".join(_WHY[path.name] for path in missing)
    return IdentityMissing(
        f"{'a key' if len(missing) == 1 else 'the keys'} of this region {'is' if len(missing) == 1 else 'are'}"
        f" missing: {names}; {whys}",
        hint=f"restore {names} from the backup and start again; {_NO_BACKUP}",
    )


def _create(directory: Path) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = Ed25519PrivateKey.generate()
    _write(directory / COMMITMENT_FILE, os.urandom(32), 0o600)
    _write(directory / PUBLIC_FILE, base64.b64encode(key.public_key().public_bytes_raw()) + b"\n", 0o644)
    _write(directory / SIGNING_FILE, key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption()), 0o600)


def _write(path: Path, content: bytes, mode: int) -> None:
    temporary = path.with_suffix(path.suffix + ".new")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        os.write(handle, content)
        os.fsync(handle)
    finally:
        os.close(handle)
    temporary.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def parse_public_key(text: str) -> bytes:
    """32 raw bytes from base64 or hex text. Raises `Permanent`."""
    text = text.strip()
    for decode in (bytes.fromhex, lambda t: base64.b64decode(t, validate=True)):
        try:
            key = decode(text)
        except ValueError:
            continue
        if len(key) == 32:
            return key
    raise Permanent("this is no Ed25519 public key (32 bytes as base64 or hex)")
