"""The same tree gives the same bytes, wherever and by whomever it is built."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.recipes import built

pytestmark = pytest.mark.packages


@pytest.mark.parametrize("target", ["deb12", "deb13", "rpm", "deb-bundled", "rpm-bundled"])
def test_two_builds_in_two_places_are_the_same_file(tmp_path: Path, target: str) -> None:
    made = []
    for name, zone, umask in (("here", "UTC", 0o022), ("a longer place", "Asia/Tokyo", 0o077)):
        place = tmp_path / name
        (place / "tmp").mkdir(parents=True)
        built.copy_tree(place / "tree")
        for file in (place / "tree").rglob("*"):
            file.chmod(file.stat().st_mode & ~umask)
        made.append(built.build(place / "tree", target, place / "dist", TMPDIR=str(place / "tmp"), TZ=zone))
    assert made[0].name == made[1].name
    assert built.digest(made[0]) == built.digest(made[1])
