"""What goes with the packages: checksums, and the offline bundle with its signed manifest."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from recipes.targets import PACKAGING, VERSION

KEY_VARIABLE = "ENTREPOT_SIGNING_KEY"
TEST_SEED = hashlib.sha256(b"entrepot's test key: everybody has it, so it proves nothing").digest()
SUMS = "SHA256SUMS"
BILL_SUFFIX = ".cdx.json"


def checksums(dist: Path, files: list[Path]) -> Path:
    """Write SHA256SUMS for `sha256sum --check`; its path."""
    sums = dist / SUMS
    sums.write_text("".join(_line(f.name, f.read_bytes()) for f in sorted(files)))
    return sums


def bundle(dist: Path, packages: list[Path], epoch: int) -> Path:
    """Write the offline bundle of these packages; its path. Raises `SystemExit` for a key that is no Ed25519 key."""
    key, test = signing_key()
    contents = {f"packages/{p.name}": p.read_bytes() for p in packages}
    contents |= {f"sbom/{p.name}{BILL_SUFFIX}": Path(f"{p}{BILL_SUFFIX}").read_bytes() for p in packages}
    contents |= {f.name: f.read_bytes() for f in (PACKAGING / "offline").iterdir() if f.is_file()}
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    contents["public-key.TEST.pem" if test else "public-key.pem"] = public
    manifest = _manifest(contents, public, test=test)
    contents |= {"MANIFEST": manifest, "MANIFEST.sig": key.sign(manifest)}
    made = dist / f"entrepot-{VERSION}-offline.tar"
    with tarfile.open(made, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in sorted(contents.items()):
            archive.addfile(_entry(name, content, epoch), io.BytesIO(content))
    return made


def signing_key() -> tuple[Ed25519PrivateKey, bool]:
    """The builder's key, and False; without one the test key, and True."""
    named = os.environ.get(KEY_VARIABLE)
    if not named:
        return Ed25519PrivateKey.from_private_bytes(TEST_SEED), True
    try:
        key = load_pem_private_key(Path(named).read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise SystemExit(
            f"{KEY_VARIABLE}: {named} cannot be used ({type(error).__name__}): it must be an unencrypted PEM file"
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise SystemExit(f"{KEY_VARIABLE}: {named} is no Ed25519 key: openssl genpkey -algorithm ed25519 makes one")
    return key, False


def _manifest(contents: dict[str, bytes], public: bytes, *, test: bool) -> bytes:
    kind = "the TEST key, which everybody has: it proves nothing" if test else "the key"
    head = f"# Entrepot {VERSION}: SHA-256 and name of every file\n"
    head += f"# signed with {kind} (SHA-256 of its PEM: {hashlib.sha256(public).hexdigest()})\n"
    return (head + "".join(_line(name, content) for name, content in sorted(contents.items()))).encode()


def _line(name: str, content: bytes) -> str:
    return f"{hashlib.sha256(content).hexdigest()}  {name}\n"


def _entry(name: str, content: bytes, epoch: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(f"entrepot-{VERSION}-offline/{name}")
    entry.size, entry.mtime = len(content), epoch
    entry.mode = 0o755 if name.endswith(".sh") else 0o644
    entry.uname = entry.gname = "root"
    return entry
