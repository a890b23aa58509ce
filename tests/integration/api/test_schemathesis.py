"""Requests made up from the OpenAPI document, valid and not, find nothing that the document does not say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import anyio.to_thread
import pytest

from tests.integration.api.regions import grant, region_with_api, tell
from tests.support.region import Region

pytestmark = pytest.mark.anyio
SECONDS_MAX = 100
SETTINGS = """
# Heads and bodies over our limits are refused as such, whatever else is wrong with them.
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "406", "408", "409", "413", "415", "422", "429", "431", "503"]
"""


async def attack(region: Region, key: str, folder: Path, *more: str, seconds_max: int = SECONDS_MAX) -> tuple[int, str]:
    """Exit code and report: 0 means that nothing was found."""
    (folder / "schemathesis.toml").write_text(SETTINGS)
    command = [
        sys.executable, "-m", "schemathesis.cli", "--no-color", "run", f"{region.url}/api/v1/openapi.json",
        "--header", f"Authorization: Bearer {key}", "--checks", "all", "--workers", "1", *more,
    ]  # fmt: skip

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=seconds_max, check=False)

    done = await anyio.to_thread.run_sync(run)
    return done.returncode, done.stdout + done.stderr


async def prepared(region: Region) -> str:
    key = await grant(region, "tester", "api:*:*", "source:*:*")
    await tell(
        region,
        {"kind": "STOCK", "sku": "A-1", "place": "B1", "qty": 7},
        {"kind": "SCAN", "parcel": "T1", "order": "1001", "code": "delivered"},
        {"kind": "ITEM", "sku": "A-1", "name": "Lamp"},
        {"kind": "PARTNER", "partner": "P1", "is": "organisation"},
    )
    return key


async def test_a_bounded_attack_finds_nothing(tmp_path: Path) -> None:
    async with region_with_api(tmp_path / "region") as region:
        key = await prepared(region)
        bounds = ("--max-examples", "10", "--seed", "1", "--generation-deterministic")
        code, said = await attack(region, key, tmp_path, *bounds)
        assert code == 0, said[-6000:]


@pytest.mark.soak
async def test_a_long_attack_finds_nothing(tmp_path: Path) -> None:
    async with region_with_api(tmp_path / "region") as region:
        key = await prepared(region)
        code, said = await attack(region, key, tmp_path, "--max-examples", "600", seconds_max=3_600)
        assert code == 0, said[-6000:]
