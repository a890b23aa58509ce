"""What the rules look at: every file of the project that a person wrote, read and parsed once."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("runtime", "adapters", "sync")
PURE = (
    "runtime/access/",
    "runtime/canonical/",
    "runtime/clearance/",
    "runtime/fleet/audit.py",
    "runtime/fleet/judgement.py",
    "runtime/fleet/layers.py",
    "runtime/fleet/plan.py",
    "runtime/fleet/rollout.py",
    "runtime/fleet/sight.py",
    "runtime/mapping/",
    "runtime/policy/",
    "runtime/rendering/",
    "runtime/standing/",
    "runtime/envelope.py",
    "runtime/errors.py",
    "runtime/record.py",
)
"""What decides. It never acts, waits or asks."""

_LEFT_OUT = {"build", "dist", "node_modules", "out", "state", "__pycache__"}
_HIDDEN_KEPT = {".ci", ".gitignore"}
_PASSING = re.compile(r"tmp[a-z0-9_]{8}|.*\.egg-info")
"""What `tempfile` and an installation leave for a moment."""


@cache
def files() -> tuple[Path, ...]:
    """Every written file, relative to the root; caches, results and hidden folders are left out."""
    return tuple(sorted(_walk()))


def _walk() -> Iterator[Path]:
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [f for f in folders if _written(f) and not Path(folder, f, "pyvenv.cfg").exists()]
        yield from (Path(folder, name).relative_to(ROOT) for name in names if _written(name))


def _written(name: str) -> bool:
    return name in _HIDDEN_KEPT or not (
        name.startswith((".", "tmp")) or name in _LEFT_OUT or name.endswith(".egg-info")
    )


@cache
def python_files() -> tuple[Path, ...]:
    return tuple(f for f in files() if f.suffix == ".py")


@cache
def product_files() -> tuple[Path, ...]:
    return tuple(f for f in python_files() if f.parts[0] in PRODUCT)


@cache
def text(file: Path) -> str | None:
    """The file's text; None for what is not UTF-8 text."""
    try:
        return (ROOT / file).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


@cache
def parsed(file: Path) -> ast.Module:
    return ast.parse((ROOT / file).read_bytes(), filename=str(file))


Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(file: Path) -> Iterator[Function]:
    for node in ast.walk(parsed(file)):
        if isinstance(node, Function):
            yield node


def is_declaration(function: Function) -> bool:
    """True for the methods of a Protocol: a docstring, `...`, or both, and nothing that runs."""
    return all(isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant) for s in function.body)


def lines(function: Function) -> int:
    """From `def` to the last line; decorators are not counted, the docstring is."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def at(file: Path, node: ast.stmt | ast.expr, why: str) -> str:
    return f"{file}:{node.lineno}: {why}"
