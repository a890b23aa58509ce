"""Calls that a linter does not see: who may spawn, shield, wait, and who only decides."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.tidy import tree

SHIELDING = {Path("runtime/journal/writer.py"), Path("runtime/journal/journal.py")}
"""The places that must finish what they began: between BEGIN and COMMIT, and the last commit before closing."""
SPAWNING = {"create_task", "ensure_future", "run_coroutine_threadsafe"}
ACTING_NAMES = {"open", "print", "input", "breakpoint"}
NOW = {"now", "utcnow", "today"}
AWAITING = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)


def called(node: ast.AST) -> str:
    """The last name of what a call calls: `asyncio.create_task(…)` → `create_task`."""
    if not isinstance(node, ast.Call):
        return ""
    match node.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def shields(node: ast.AST) -> bool:
    if called(node) == "shield":
        return True
    if isinstance(node, ast.keyword) and node.arg == "shield":
        return not (isinstance(node.value, ast.Constant) and node.value.value is False)
    targets = node.targets if isinstance(node, ast.Assign) else []
    return any(isinstance(target, ast.Attribute) and target.attr == "shield" for target in targets)


def product_nodes() -> Iterator[tuple[Path, ast.AST]]:
    for file in tree.product_files():
        for node in ast.walk(tree.parsed(file)):
            yield file, node


def pure_nodes() -> Iterator[tuple[Path, ast.AST]]:
    return ((f, n) for f, n in product_nodes() if f.as_posix().startswith(tree.PURE))


def test_no_task_is_spawned_outside_a_task_group() -> None:
    wrong = [tree.at(f, n, called(n)) for f, n in product_nodes() if isinstance(n, ast.Call) and called(n) in SPAWNING]
    assert not wrong, "\n".join(wrong)


def test_nothing_is_shielded_from_cancellation_outside_the_writer() -> None:
    wrong = [f"{f}:{n.lineno}" for f, n in product_nodes() if f not in SHIELDING and shields(n)]  # type: ignore[attr-defined]
    assert not wrong, "\n".join(wrong)


def test_what_decides_never_waits() -> None:
    wrong = [tree.at(f, n, type(n).__name__) for f, n in pure_nodes() if isinstance(n, AWAITING)]
    assert not wrong, "\n".join(wrong)


def test_what_decides_touches_no_file_and_asks_no_clock() -> None:
    wrong = []
    for file, node in pure_nodes():
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id in ACTING_NAMES:
            wrong.append(tree.at(file, node, node.func.id))
        if isinstance(node.func, ast.Attribute) and node.func.attr in NOW:
            wrong.append(tree.at(file, node, node.func.attr))
    assert not wrong, "\n".join(wrong)


def test_the_rules_of_this_file_can_be_broken() -> None:
    source = "import asyncio, anyio\nasyncio.create_task(f())\nanyio.CancelScope(shield=True)\nscope.shield = True\n"
    nodes = list(ast.walk(ast.parse(source)))
    assert [called(n) for n in nodes if called(n) in SPAWNING] == ["create_task"]
    assert sum(shields(n) for n in nodes) == 2
