"""Machines with the package on them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.installed import Installed, installation
from tests.support.machine import SUITES, Machine


@pytest.fixture(params=SUITES)
def suite(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def machine(suite: str) -> Iterator[Machine]:
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
