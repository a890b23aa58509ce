"""Every request of docs/api.md is made as it stands there, and is answered as it stands there."""

from __future__ import annotations

import asyncio
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from tests.integration.api.regions import grant, region_with_api, tell

pytestmark = [pytest.mark.anyio, pytest.mark.needs("curl")]
PAGE = Path(__file__).parents[3] / "docs" / "api.md"
STEP = re.compile(r"```sh\n(.*?)```\n```json\n(.*?)```", re.DOTALL)
SETTINGS = re.compile(r"```toml\n(.*?)```", re.DOTALL)
ANYTHING = "…"


async def shell(script: str, **variables: str) -> Any:
    process = await asyncio.create_subprocess_exec(
        "sh", "-euc", script, env=os.environ | variables, stdout=-1, stderr=-1
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return json.loads(out)


def differs(wanted: Any, found: Any, place: str = "") -> str:
    """Where what was answered is not what the page says; "" when it is."""
    if wanted == ANYTHING and isinstance(found, str | int) and found != "":
        return ""
    if isinstance(wanted, dict) and isinstance(found, dict) and wanted.keys() == found.keys():
        return next((said for name in wanted if (said := differs(wanted[name], found[name], f"{place}/{name}"))), "")
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        pairs = enumerate(zip(wanted, found, strict=True))
        return next((said for n, pair in pairs if (said := differs(*pair, f"{place}/{n}"))), "")
    return "" if wanted == found else f"{place or '/'}: {wanted!r} is {found!r}"


async def test_the_tour_works_as_it_stands(tmp_path: Path) -> None:
    page = PAGE.read_text()
    configured, ending = SETTINGS.findall(page)
    region = region_with_api(tmp_path / "region", api="", more="")
    text = region.config.read_text()
    region.config.write_text(text[: text.index("[sources.orders]")] + configured + ending)
    steps = STEP.findall(page)
    assert len(steps) == len(re.findall("```sh", page)) == 5
    async with region:
        key = await grant(region, "shop", "api:*:*")
        for number, (script, answer) in enumerate(steps):
            if number == 2:
                await tell(
                    region,
                    {"kind": "STOCK", "sku": "A-1", "place": "B1", "qty": 7},
                    {"kind": "STOCK", "sku": "A-1", "place": "B2", "qty": 5},
                    {"kind": "SCAN", "parcel": "T1", "order": "1001", "code": "delivered"},
                )
            assert differs(json.loads(answer), await shell(script, URL=region.url, KEY=key)) == "", script


def test_the_comparison_itself_sees_a_difference() -> None:
    assert differs({"a": [1, ANYTHING]}, {"a": [1, "x"]}) == ""
    for wrong in ({"a": [2, "x"]}, {"a": [1]}, {"a": [1, "x"], "b": 1}, {}, {"a": [1, ""]}):
        assert differs({"a": [1, ANYTHING]}, wrong) != ""
