"""Runs asynchronous work from a command, on uvloop where it is installed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import Any, TypeVar

import anyio

T = TypeVar("T")


def options() -> dict[str, Any]:
    """Backend options for anyio."""
    return {"use_uvloop": find_spec("uvloop") is not None}


def run_async(function: Callable[..., Awaitable[T]], *arguments: Any) -> T:
    """Wait for `function(*arguments)`."""
    return anyio.run(function, *arguments, backend_options=options())
