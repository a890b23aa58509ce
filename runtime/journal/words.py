"""What code that is not ours says of a failure, as text that can be stored: its slip must not become ours.

A lone surrogate (Python's own JSON reads them) cannot be written at all, and would fail everybody's commit.
"""

from __future__ import annotations


def storable(said: object) -> str:
    """Nothing for None; `?` for what is no character."""
    return "" if said is None else str(said).encode("utf-8", "replace").decode()
