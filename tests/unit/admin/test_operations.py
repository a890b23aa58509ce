"""What is asked wrongly is told to who asks; a defect of ours is none of that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runtime.errors import Permanent
from runtime.operations import Operations
from tests.support.kernel import region

pytestmark = pytest.mark.anyio


async def no_status() -> Any:
    raise AssertionError("nobody asks for it")


@pytest.mark.parametrize(
    ("verb", "parameters", "told"),
    [
        ("letters.list", {"sql": "drop"}, "letters.list: .*unexpected keyword argument 'sql'"),
        ("letters.show", {}, "letters.show: missing a required .*argument: 'id'"),
        ("letters.eat", {}, "knows no verb 'letters.eat'"),
    ],
)
async def test_a_parameter_that_a_verb_does_not_know_or_lacks_is_named(
    verb: str, parameters: dict[str, Any], told: str, tmp_path: Path
) -> None:
    async with region(tmp_path) as kernel:
        with pytest.raises(Permanent, match=told):
            await Operations(kernel, no_status, running=True).call(verb, parameters)


async def test_a_defect_inside_a_verb_is_not_blamed_on_the_parameters(tmp_path: Path) -> None:
    async def broken() -> Any:
        nothing: Any = None
        return int(nothing)  # a TypeError whose text speaks of an argument

    async with region(tmp_path) as kernel:
        with pytest.raises(TypeError):
            await Operations(kernel, broken, running=True).call("status", {})
