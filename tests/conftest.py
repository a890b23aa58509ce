"""What every test stands on: the event loop that the agent uses, and the detector of blocking calls.

Run on plain asyncio with `pytest --loop asyncio`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.blocking_calls import watch
from tests.support import needs

# A slow machine is no failure, and the same tree gives the same answer; the soak runs look further.
settings.register_profile(
    "default", deadline=None, derandomize=True, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "soak", deadline=None, derandomize=False, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("default")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--loop", choices=("uvloop", "asyncio"), default="uvloop", help="event loop of the async tests")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests that this machine cannot run; the last lines of the run say so."""
    left_out = [item for item in items if _missing(item) and not item.get_closest_marker("packages")]
    if left_out and not needs.COMPLETE:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


def _missing(item: pytest.Item) -> list[str]:
    return needs.missing(name for mark in item.iter_markers("needs") for name in mark.args)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Who asks for all of them must not be told that all is well."""
    if missing := _missing(item):
        pytest.fail(f"this test needs {' and '.join(missing)}", pytrace=False)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    # Said by the process that prints, which with several workers is not the one that collects.
    lacking = {name: said for name in needs.NAMES if (said := needs.missing([name]))}
    if lacking and not needs.COMPLETE:
        terminalreporter.section("NOT SHOWN: some tests were left out", yellow=True)
        for name, said in lacking.items():
            terminalreporter.line(f'those marked needs("{name}"), for want of {" and ".join(said)}')


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
