"""The same tree gives the same bytes, wherever and by whomever it is built."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.recipes import built

pytestmark = [pytest.mark.packages, pytest.mark.needs("builder")]


@pytest.mark.parametrize("target", ["deb12", "deb13", "rpm", "deb-bundled", "rpm-bundled"])
def test_two_builds_in_two_places_are_the_same_file(tmp_path: Path, target: str) -> None:
    places = [(tmp_path / "here", "UTC", 0o022), (tmp_path / "a longer place", "Asia/Tokyo", 0o077)]
    for place, _, umask in places:
        (place / "tmp").mkdir(parents=True)
        built.copy_tree(place / "tree")
        for file in (place / "tree").rglob("*"):
            file.chmod(file.stat().st_mode & ~umask)
    first, second = (
        built.build(place / "tree", target, place / "dist", TMPDIR=str(place / "tmp"), TZ=zone)
        for place, zone, _ in places
    )
    assert first.name == second.name
    assert built.digest(first) == built.digest(second)
