"""Brings what libraries say through Python's `logging` into our log, without the data they put into it.

A library's arguments may hold a partner's bytes, so only the template, the place and the error's class are kept.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from runtime.observe.log import Level, Log


class _Bridge(logging.Handler):
    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._door = log.door()

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, Any] = {"library": record.name, "where": f"{record.module}:{record.lineno} {record.funcName}"}
        if record.args and isinstance(record.msg, str):
            fields["template"] = record.msg
        if record.exc_info and record.exc_info[1] is not None:
            fields["error"] = record.exc_info[1]
        self._door("a library reports", level=_level(record.levelno), **fields)


def _level(number: int) -> Level:
    if number >= logging.CRITICAL:
        return "critical"
    return "error" if number >= logging.ERROR else "warning"


@contextmanager
def capture_libraries(log: Log) -> Iterator[None]:
    """While open, warnings and worse of every library go to `log`, limited, and nowhere else."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    bridge = _Bridge(log)
    root.handlers[:] = [bridge]
    root.setLevel(logging.WARNING)
    try:
        yield
    finally:
        root.handlers[:] = before[0]
        root.setLevel(before[1])
