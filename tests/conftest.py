"""What every test stands on: the event loop that the agent uses, and the detector of blocking calls.

Run on plain asyncio with `pytest --loop asyncio`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.blocking_calls import watch
from tests.support.mounts import MAY_MOUNT

# A slow machine is no failure, and the same tree gives the same answer; the soak runs look further.
settings.register_profile(
    "default", deadline=None, derandomize=True, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "soak", deadline=None, max_examples=20_000, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("default")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--loop", choices=("uvloop", "asyncio"), default="uvloop", help="event loop of the async tests")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests that mount disks are left out where nobody may mount; the last lines of the run say so."""
    left_out = [] if MAY_MOUNT else [item for item in items if item.get_closest_marker("root")]
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not MAY_MOUNT:
        terminalreporter.section("NOT SHOWN: failing disks", yellow=True)
        terminalreporter.line(
            "Tests marked `root` mount disks of their own and were left out. Run all of them as root."
        )


@pytest.fixture(scope="session")
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return "asyncio", {"use_uvloop": request.config.getoption("--loop") == "uvloop"}


@pytest.fixture(scope="session")
def _watched_calls() -> Iterator[list[str]]:
    with watch() as seen:
        yield seen


@pytest.fixture(autouse=True)
def _no_blocking_calls(_watched_calls: list[str]) -> Iterator[None]:
    """The product never blocks the event loop, not even where its own `except` hides the complaint."""
    _watched_calls.clear()
    yield
    seen = list(_watched_calls)
    _watched_calls.clear()
    assert not seen, "\n".join(seen)
