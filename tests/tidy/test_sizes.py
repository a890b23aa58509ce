"""Files and functions stay small enough to be read in one go."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from tests.tidy import tree

FILE_LINES_MAX = 500
TEST_FILE_LINES_MAX = 800
FILE_LINES_MEDIAN_MAX = 150
FUNCTION_LINES_MAX = 70
FUNCTION_LINES_MEDIAN_MAX = 12
MODULE_DOCSTRING_LINES_MAX = 5
THE_MAP = Path("runtime/__init__.py")
"""The data path in reading order: the one module docstring that may be longer."""


def file_lines(file: Path) -> int:
    return len((tree.text(file) or "").splitlines())


def test_no_file_is_longer_than_its_limit() -> None:
    limits = {f: TEST_FILE_LINES_MAX if f.parts[0] == "tests" else FILE_LINES_MAX for f in tree.python_files()}
    long = [f"{f}: {file_lines(f)} lines, at most {limit}" for f, limit in limits.items() if file_lines(f) > limit]
    assert not long, "\n".join(long)


def test_the_median_file_of_the_product_is_short() -> None:
    assert median(file_lines(f) for f in tree.product_files()) <= FILE_LINES_MEDIAN_MAX


def test_no_function_is_longer_than_its_limit() -> None:
    long = [
        tree.at(file, function, f"{function.name} has {tree.lines(function)} lines, at most {FUNCTION_LINES_MAX}")
        for file in tree.python_files()
        for function in tree.functions(file)
        if tree.lines(function) > FUNCTION_LINES_MAX
    ]
    assert not long, "\n".join(long)


def test_the_median_function_of_the_product_is_short() -> None:
    """Declarations of Protocols are not counted: they would flatter the figure."""
    sizes = [
        tree.lines(function)
        for file in tree.product_files()
        for function in tree.functions(file)
        if not tree.is_declaration(function)
    ]
    assert median(sizes) <= FUNCTION_LINES_MEDIAN_MAX


def test_every_module_says_in_a_few_lines_what_it_owns() -> None:
    wrong = []
    for file in tree.python_files():
        docstring = tree.ast.get_docstring(tree.parsed(file)) or ""
        said = [line for line in docstring.splitlines() if line.strip()]
        if not said and tree.parsed(file).body:
            wrong.append(f"{file}: says nothing")
        if len(said) > MODULE_DOCSTRING_LINES_MAX and file != THE_MAP:
            wrong.append(f"{file}: the module docstring has {len(said)} lines, at most {MODULE_DOCSTRING_LINES_MAX}")
    assert not wrong, "\n".join(wrong)
