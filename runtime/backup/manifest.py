"""What a backup says of itself: whose it is, where its lanes stand, what its bytes are; signed by the region."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import msgspec
from msgspec import Struct

from runtime.envelope import LaneStatement, Signed
from runtime.errors import Permanent
from runtime.identity import Identity
from runtime.policy.statements import is_genuine, key_id

FORMAT = 1
KIND = "backup"
JOURNAL, MANIFEST, KEYS = "journal.db", "manifest.json", "identity"
"""Names inside a backup's folder."""
PIECE_BYTES = 1024 * 1024


class Manifest(Struct, frozen=True, kw_only=True):
    """The signed statement. Positions are those inside the copy; `facts` is its last intake sequence."""

    format: int
    region: str
    environment: str
    made_at: str
    entrepot: str
    sqlite: str
    schema: int
    epoch: int
    facts: int
    checkpoint: int
    lanes: dict[str, LaneStatement]
    books: dict[str, int]
    bytes: int
    sha256: str
    keys: bool
    """Whether the region's private keys lie beside it."""


def write(folder: Path, manifest: Manifest, identity: Identity) -> None:
    """Sign it and put it beside the journal."""
    (folder / MANIFEST).write_bytes(identity.sign(KIND, msgspec.json.encode(manifest).decode()) + b"\n")


def read(folder: Path) -> tuple[Manifest, Signed]:
    """Raises `Permanent` for a folder that is no backup, or one of a newer program."""
    path = folder / MANIFEST
    hint = "name the folder that `entrepot journal backup` has made, with all that lies in it"
    try:
        signed = msgspec.json.decode(path.read_bytes(), type=Signed)
        manifest = msgspec.json.decode(signed.statement, type=Manifest)
    except OSError as error:
        raise Permanent(f"{folder} is no backup: {path.name} cannot be read ({error.strerror})", hint=hint) from None
    except msgspec.MsgspecError:
        raise Permanent(f"{path} is damaged or not a backup's manifest", hint="use another backup") from None
    if manifest.format > FORMAT:
        raise Permanent(f"{path} has format {manifest.format}, this program knows {FORMAT}", hint="use a newer program")
    return manifest, signed


def check_signature(signed: Signed, public_key: bytes) -> None:
    """Raises `Permanent` unless the region of this key has signed the manifest. `public_key`: 32 raw bytes."""
    hint = "the manifest was changed, or the backup belongs to a region with other keys: use another backup"
    if signed.key_id != key_id(public_key):
        raise Permanent(f"the backup is signed by another key ({signed.key_id})", hint=hint)
    if not is_genuine(KIND, signed, public_key):
        raise Permanent("the signature under the backup's manifest is false", hint=hint)


def digest(path: Path) -> str:
    """SHA-256 of a file, hex, read in pieces."""
    found = sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            found.update(piece)
    return found.hexdigest()
