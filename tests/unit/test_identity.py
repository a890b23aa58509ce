"""The keys of a region: made once, never made again, and what is said when one of them is gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.errors import IdentityMissing
from runtime.identity import COMMITMENT_FILE, PUBLIC_FILE, SIGNING_FILE, load_or_create


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    load_or_create(tmp_path / "identity", journal_is_new=True)
    return tmp_path / "identity"


@pytest.mark.parametrize(
    ("gone", "says"),
    [
        ([SIGNING_FILE], "no checkpoint can be signed"),
        ([COMMITMENT_FILE], "withheld"),
        ([SIGNING_FILE, COMMITMENT_FILE], "the keys of this region are missing"),
        ([SIGNING_FILE, COMMITMENT_FILE, PUBLIC_FILE], "the keys of this region are missing"),
    ],
)
def test_a_missing_key_is_named_with_its_consequence_and_no_new_one_is_made(
    folder: Path, gone: list[str], says: str
) -> None:
    for name in gone:
        (folder / name).unlink()
    with pytest.raises(IdentityMissing, match=says) as caught:
        load_or_create(folder, journal_is_new=False)
    for name in gone:
        assert not (folder / name).exists()
        assert name == PUBLIC_FILE or str(folder / name) in str(caught.value)
    for word in ("restore", "backup", "decide", "nothing was changed"):
        assert word in caught.value.hint


def test_a_first_start_that_lost_its_commitment_key_does_not_go_on_with_half_an_identity(folder: Path) -> None:
    (folder / COMMITMENT_FILE).unlink()
    with pytest.raises(IdentityMissing, match=COMMITMENT_FILE):
        load_or_create(folder, journal_is_new=True)


def test_a_damaged_signing_key_is_said_to_be_damaged(folder: Path) -> None:
    (folder / SIGNING_FILE).write_bytes(b"short")
    with pytest.raises(IdentityMissing, match="damaged"):
        load_or_create(folder, journal_is_new=False)


def test_a_key_that_is_a_folder_cannot_be_read(folder: Path) -> None:
    (folder / SIGNING_FILE).unlink()
    (folder / SIGNING_FILE).mkdir()
    with pytest.raises(IdentityMissing, match=r"cannot be read: .*signing\.key"):
        load_or_create(folder, journal_is_new=False)
