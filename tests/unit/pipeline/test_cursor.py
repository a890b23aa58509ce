"""Where a source stands is committed with what it took in, and with nothing else."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from runtime.errors import Refused, StorageFull
from runtime.journal import intake
from runtime.kernel import Kernel
from runtime.pipeline.accept import SourceIntake
from tests.support import kernel as support
from tests.support.kernel import message

pytestmark = pytest.mark.anyio


def of(kernel: Kernel, source: str = "wms") -> SourceIntake:
    return SourceIntake(kernel.acceptance, kernel.journal, source)


async def test_a_source_stands_where_its_last_call_said_also_after_a_restart(tmp_path: Path) -> None:
    async with support.region(tmp_path) as kernel:
        wms = of(kernel)
        assert await wms.cursor() is None
        await wms.accept([message(key="k1")], cursor="one")
        await wms.accept([message(key="k2")])
        await of(kernel, "carrier").accept([], cursor="another's")
        assert await wms.cursor() == "one"
        await wms.accept([], cursor="two")
    async with support.region(tmp_path) as kernel:
        assert await of(kernel).cursor() == "two"
        assert await of(kernel, "carrier").cursor() == "another's"


async def test_a_call_that_is_refused_moves_no_cursor(tmp_path: Path) -> None:
    async with support.region(tmp_path) as kernel:
        wms = of(kernel)
        await wms.accept([message("A", 1, key="k1")], cursor="one")
        with pytest.raises(Refused):
            await wms.accept([message("A", 2, key="k2"), message("A", 2, key="k1")], cursor="two")
        assert await wms.cursor() == "one"


async def test_a_transaction_that_fails_moves_no_cursor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = intake.accept

    def failing(*given: object) -> object:
        plain(*given)  # type: ignore[arg-type]
        error = sqlite3.OperationalError("simulated")
        error.sqlite_errorname = "SQLITE_FULL"
        raise error

    async with support.region(tmp_path) as kernel:
        wms = of(kernel)
        await wms.accept([], cursor="one")
        monkeypatch.setattr(intake, "accept", failing)
        with pytest.raises(StorageFull):
            await wms.accept([message(key="k1")], cursor="two")
        monkeypatch.setattr(intake, "accept", plain)
        assert await wms.cursor() == "one"
