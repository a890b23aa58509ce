"""The detector of blocking calls catches what it claims to catch, and nothing else."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import anyio
import anyio.to_thread
import pytest

from tests.blocking_calls import PRODUCT, BlockingCallError

pytestmark = pytest.mark.anyio


def product_function(source: str) -> Callable[[], Any]:
    """A function that seems to stand in a file of the product."""
    names: dict[str, Any] = {}
    exec(compile(source, f"{PRODUCT[0]}imaginary.py", "exec"), names)
    return names["act"]  # type: ignore[no-any-return]


SLEEPER = "import time\ndef act():\n    time.sleep(0)\n"
SWALLOWER = "import time\ndef act():\n    try:\n        time.sleep(0)\n    except Exception:\n        return 'hidden'\n"


@pytest.fixture
def seen(_watched_calls: list[str]) -> list[str]:
    return _watched_calls


@pytest.mark.parametrize(
    "source",
    [
        SLEEPER,
        "import os\ndef act():\n    os.fsync(0)\n",
        "import sqlite3\ndef act():\n    sqlite3.connect(':memory:')\n",
        "import subprocess\ndef act():\n    subprocess.run(['true'])\n",
        "import socket\ndef act():\n    socket.getaddrinfo('localhost', 1)\n",
        "import socket\ndef act():\n    with socket.socket() as s:\n        s.connect(('127.0.0.1', 1))\n",
        "from concurrent.futures import Future\ndef act():\n    Future().result(0)\n",
    ],
)
async def test_product_code_that_blocks_the_loop_is_stopped_and_remembered(source: str, seen: list[str]) -> None:
    with pytest.raises(BlockingCallError):
        product_function(source)()
    assert len(seen) == 1
    assert "imaginary.py" in seen[0]
    seen.clear()


async def test_a_blocking_call_is_remembered_even_when_the_product_swallows_the_error(seen: list[str]) -> None:
    assert product_function(SWALLOWER)() == "hidden"
    assert len(seen) == 1
    seen.clear()


async def test_product_code_may_block_in_a_worker_thread(seen: list[str]) -> None:
    await anyio.to_thread.run_sync(product_function(SLEEPER))
    assert seen == []


async def test_a_test_may_block_by_itself(seen: list[str]) -> None:
    time.sleep(0)
    with open(os.devnull) as sink, pytest.raises(OSError):
        os.fsync(sink.fileno())
    assert seen == []


async def test_a_socket_that_does_not_block_may_connect(seen: list[str]) -> None:
    source = (
        "import socket\n"
        "def act():\n"
        "    with socket.socket() as s:\n"
        "        s.setblocking(False)\n"
        "        try:\n"
        "            s.connect(('127.0.0.1', 1))\n"
        "        except OSError:\n"
        "            return 'asked'\n"
    )
    assert product_function(source)() == "asked"
    assert seen == []
