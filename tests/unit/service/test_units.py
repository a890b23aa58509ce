"""The unit for one of several regions is that of the only one, but for names and for what keeps regions apart."""

from __future__ import annotations

import pytest

from tests.tidy import tree

APART = {
    "TemporaryFileSystem=/var/lib/entrepot:ro /etc/entrepot:ro",
    "BindPaths=/var/lib/entrepot",
    "BindReadOnlyPaths=/etc/entrepot",
}


def directives(name: str) -> list[str]:
    """What systemd reads of a unit, without the instance."""
    lines = (tree.ROOT / "systemd" / name).read_text().splitlines()
    said = [line for line in lines if line and not line.startswith("#")]
    return [line.replace("/%i", "").replace("@%i", "").replace(" %i", "") for line in said]


@pytest.mark.parametrize("kind", ["service", "socket"])
def test_a_template_says_the_same_as_the_single_unit(kind: str) -> None:
    template = [line for line in directives(f"entrepot@.{kind}") if line not in APART]
    assert template == directives(f"entrepot.{kind}")


def test_a_region_does_not_see_the_folders_of_another() -> None:
    assert set(directives("entrepot@.service")) >= APART
