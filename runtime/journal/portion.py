"""Reads rows up to a number of bytes: a limit on rows alone would let 256 large ones fill the memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

BYTES_MAX = 4 * 1024 * 1024
"""Payload of one portion; a single larger row still comes, alone."""


def portion(found: sqlite3.Cursor, bytes_max: int, size_bytes: Callable[[Any], int]) -> list[Any]:
    """Rows of a query until their payload reaches `bytes_max`; what follows is not read."""
    rows: list[Any] = []
    total = 0
    with closing(found):
        for row in found:
            total += size_bytes(row)
            if rows and total > bytes_max:
                break
            rows.append(row)
    return rows
