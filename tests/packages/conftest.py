"""Machines with the package on them. Where machines cannot be booted, the quick tests are left out and said so; the
marked ones fail with one sentence: whoever asks for them must not be told that all is well.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.installed import Installed, installation
from tests.support.machine import SUITES, Machine, NoMachineError, require_host

HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    try:
        require_host()
    except NoMachineError as error:
        quick = [item for item in items if HERE in item.path.parents and not item.get_closest_marker("packages")]
        config.hook.pytest_deselected(items=quick)
        items[:] = [item for item in items if item not in quick]
        config.stash[LEFT_OUT] = f"left out {len(quick)} tests on real systemd: {error}" if quick else ""


LEFT_OUT = pytest.StashKey[str]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if said := config.stash.get(LEFT_OUT, ""):
        terminalreporter.section("tests on real systemd")
        terminalreporter.line(said)


@pytest.fixture(scope="session")
def host() -> None:
    """A host that can boot machines."""
    try:
        require_host()
    except NoMachineError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(params=SUITES)
def suite(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def machine(host: None, suite: str) -> Iterator[Machine]:
    """A booted machine with the package, as it is after its installation."""
    with Machine(suite, "region", layer=installation(suite)) as booted:
        yield booted


@pytest.fixture
def installed(machine: Machine) -> Installed:
    """The package configured and running."""
    region = Installed(machine)
    region.configure()
    region.start()
    return region
