"""The offline bundle: what was signed verifies, and nothing else does."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path

import pytest
from recipes import bundle
from recipes.targets import VERSION

from tests.recipes.built import EPOCH

pytestmark = pytest.mark.needs("builder")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An unpacked bundle of one package, signed with a key of its own; the public key lies beside the folder."""
    key = tmp_path / "key.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(key)], check=True)
    subprocess.run(["openssl", "pkey", "-in", str(key), "-pubout", "-out", str(tmp_path / "public.pem")], check=True)
    monkeypatch.setenv(bundle.KEY_VARIABLE, str(key))
    unpack(made(tmp_path), tmp_path)
    return tmp_path / f"entrepot-{VERSION}-offline"


def made(place: Path) -> Path:
    package = place / "entrepot_1_amd64.deb"
    package.write_bytes(b"a package")
    (place / f"{package.name}{bundle.BILL_SUFFIX}").write_text("{}\n")
    return bundle.bundle(place, [package], EPOCH)


def unpack(archive: Path, to: Path) -> None:
    with tarfile.open(archive) as opened:
        opened.extractall(to, filter="data")


def verified(folder: Path) -> tuple[bool, str]:
    command = ["sh", str(folder / "verify.sh"), str(folder.parent / "public.pem")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode == 0, done.stdout + done.stderr


def test_a_bundle_verifies_with_its_key(folder: Path) -> None:
    fine, said = verified(folder)
    assert fine, said
    assert (folder / "public-key.pem").read_bytes() == (folder.parent / "public.pem").read_bytes()


def test_a_changed_file_is_refused(folder: Path) -> None:
    (folder / "packages/entrepot_1_amd64.deb").write_bytes(b"another package")
    fine, said = verified(folder)
    assert not fine
    assert "differs from MANIFEST" in said


def test_an_added_file_is_refused(folder: Path) -> None:
    (folder / "packages/extra.deb").write_bytes(b"")
    fine, said = verified(folder)
    assert not fine
    assert "packages/extra.deb" in said


def test_a_changed_manifest_is_refused(folder: Path) -> None:
    with (folder / "MANIFEST").open("a") as manifest:
        manifest.write("# more\n")
    fine, said = verified(folder)
    assert not fine
    assert "not signed with this key" in said


def test_a_missing_file_is_refused(folder: Path) -> None:
    (folder / "install.sh").unlink()
    assert not verified(folder)[0]


def test_without_a_key_the_bundle_says_that_its_signature_proves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(bundle.KEY_VARIABLE, raising=False)
    unpack(made(tmp_path), tmp_path)
    folder = tmp_path / f"entrepot-{VERSION}-offline"
    assert not (folder / "public-key.pem").exists()
    (tmp_path / "public.pem").write_bytes((folder / "public-key.TEST.pem").read_bytes())
    fine, said = verified(folder)
    assert fine
    assert "TEST key" in said


def test_the_same_packages_give_the_same_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(bundle.KEY_VARIABLE, raising=False)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    assert made(tmp_path / "one").read_bytes() == made(tmp_path / "two").read_bytes()


@pytest.mark.parametrize("content", [None, b"no key", b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"])
def test_an_unusable_key_is_named_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    key = tmp_path / "key.pem"
    if content is not None:
        key.write_bytes(content)
    monkeypatch.setenv(bundle.KEY_VARIABLE, str(key))
    with pytest.raises(SystemExit, match=r"key\.pem cannot be used"):
        bundle.signing_key()
