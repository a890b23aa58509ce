"""The release key: born on the machine, for its owner alone, never overwritten."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.errors import ConfigError, Refused
from runtime.headquarters import key
from runtime.identity import parse_public_key


def test_a_new_key_is_its_owners_alone_and_signs_as_its_public_half_says(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "release.key"
    public = key.create(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert key.load(path).public_key == parse_public_key(public)
    assert path.with_suffix(".pub").read_text().strip() == public


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "release.key"
    key.create(path)
    before = path.read_bytes()
    with pytest.raises(Refused, match="never overwritten"):
        key.create(path)
    assert path.read_bytes() == before


def test_a_key_that_others_can_read_or_that_is_damaged_signs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "release.key"
    with pytest.raises(ConfigError, match="cannot be read"):
        key.load(path)
    key.create(path)
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="can be read by others"):
        key.load(path)
    path.chmod(0o600)
    path.write_bytes(b"short")
    with pytest.raises(ConfigError, match="32 bytes"):
        key.load(path)
