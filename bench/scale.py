"""How large a run is: the full sizes of the table, or the quick ones that show the same in minutes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct

T = TypeVar("T")


class Bench(Struct, kw_only=True):
    """Handed to every measure. `work` is an empty directory on the disk under test."""

    work: Path
    quick: bool = False
    with_agent: bool = True
    shared: dict[str, Any] = {}

    def size(self, full: int, quick: int) -> int:
        return quick if self.quick else full

    @property
    def rounds(self) -> int:
        return self.size(5, 2)

    @property
    def seconds_max(self) -> int:
        """How long any single wait may take before the measure gives up."""
        return self.size(300, 40)

    def directory(self, name: str) -> Path:
        """A fresh directory; measures never share one."""
        taken = sum(1 for _ in self.work.glob(f"{name}-*"))
        path = self.work / f"{name}-{taken + 1}"
        path.mkdir(parents=True)
        return path

    def once(self, name: str, call: Callable[[], T]) -> T:
        """The result of `call`, taken once a run: for peers that are slow and serve several rows."""
        if name not in self.shared:
            self.shared[name] = call()
        result: T = self.shared[name]
        return result
