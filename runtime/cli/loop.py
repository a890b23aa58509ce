"""Runs asynchronous work from a command, on uvloop where it is installed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import Any, TypeVar

import anyio

from runtime.errors import one_at_a_time

T = TypeVar("T")


def options() -> dict[str, Any]:
    """Backend options for anyio."""
    return {"use_uvloop": find_spec("uvloop") is not None}


def run_async(function: Callable[..., Awaitable[T]], *arguments: Any) -> T:
    """Wait for `function(*arguments)`. Raises one error, never a group."""
    with one_at_a_time():
        return anyio.run(function, *arguments, backend_options=options())
