"""`entrepot --help` is quick because it imports nothing heavy."""

from __future__ import annotations

import json
import subprocess
import sys

HEAVY = {
    "msgspec",
    "rich",
    "aiohttp",
    "asyncio",
    "anyio",
    "nats",
    "aiosqlite",
    "sqlite3",
    "cryptography",
    "structlog",
    "orjson",
}
PROBE = """
import json, sys
from runtime.cli import main
code = main({words!r})
print("\\n" + json.dumps([code, sorted({{name.partition(".")[0] for name in sys.modules}})]))
"""


def modules_after(*words: str) -> tuple[int, set[str]]:
    run = subprocess.run(
        [sys.executable, "-c", PROBE.format(words=list(words))], capture_output=True, text=True, check=True, timeout=60
    )
    code, names = json.loads(run.stdout.splitlines()[-1])
    return code, set(names)


def test_help_imports_nothing_heavy() -> None:
    code, names = modules_after("--help")
    assert code == 0
    assert not names & HEAVY


def test_the_help_of_one_command_imports_nothing_heavy() -> None:
    code, names = modules_after("letters", "retry", "--help")
    assert code == 0
    assert not names & HEAVY


def test_the_probe_sees_heavy_imports() -> None:
    _, names = modules_after("schema")
    assert "msgspec" in names


def test_the_module_is_the_same_command() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "runtime.cli", "statsu"], capture_output=True, text=True, check=False, timeout=60
    )
    assert run.returncode == 2
    assert "did you mean 'status'?" in run.stderr
