"""How often a test of random faults tries: enough for every change in `make test`, far longer in `make soak`."""

from __future__ import annotations

from hypothesis import settings

SOAK = settings.get_current_profile_name() == "soak"
"""It draws anew each time; see tests/conftest.py."""
LONGER = 20


def examples(usual: int) -> int:
    """For `max_examples`, or a number of seeds."""
    return usual * LONGER if SOAK else usual
