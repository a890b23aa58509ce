"""`when` and `where`: a small language over paths, read with Python's own parser and written as Python source.

Allowed: and, or, not, comparisons, in, texts, numbers, true, false, null, paths, and eleven functions. Nothing else
can be said, so nothing else can happen. It never raises on a message: what is absent is null.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NoReturn

from runtime.mapping.code import Code, Scope
from runtime.mapping.faults import Spot
from runtime.mapping.paths import HEADER, BadPath, Path, Segment, parse_path
from runtime.nearest import nearest

CHARACTERS_MAX = 2000
NODES_MAX = 500
DEPTH_MAX = 40
"""Python's own parser gives up at 200 brackets; the generated source needs some of them."""

FUNCTIONS = {
    "len": ("length", 1),
    "startswith": ("starts", 2),
    "endswith": ("ends", 2),
    "contains": ("contains", 2),
    "lower": ("lower", 1),
    "upper": ("upper", 1),
    "exists": ("", 1),
    "path": ("", 1),
    "header": ("", 1),
    "first": ("first", -1),
    "table": ("found_in", 2),
}
_WORDS = {"true": True, "false": False, "null": None, "none": None}
_COMPARE = {ast.Eq: "{0} == {1}", ast.NotEq: "{0} != {1}", ast.Is: "{0} is {1}", ast.IsNot: "{0} is not {1}",
            ast.Lt: "less({0}, {1})", ast.Gt: "less({1}, {0})", ast.LtE: "at_most({0}, {1})",
            ast.GtE: "at_most({1}, {0})", ast.In: "contains({1}, {0})", ast.NotIn: "not contains({1}, {0})"}  # fmt: skip
_PLAIN = (str, int, bool, Decimal, type(None))
_SIGNS = {"BinOp": "arithmetic", "Lambda": "lambda", "JoinedStr": "f-text", "ListComp": "a comprehension"}


def write_condition(code: Code, scope: Scope, text: str, spot: Spot) -> str:
    """Source of a condition over `scope`; writes the variables that it needs. Raises `ConfigError` with a column."""
    if len(text) > CHARACTERS_MAX:
        spot.fail(f"an expression has at most {CHARACTERS_MAX} characters")
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except SyntaxError as error:
        spot.fail(f"not an expression: {error.msg} (column {error.offset or 1})")
    except (ValueError, RecursionError, MemoryError):
        spot.fail("not an expression: it holds a null character, or is nested too deeply")
    if sum(1 for _ in ast.walk(tree)) > NODES_MAX:
        spot.fail(f"an expression has at most {NODES_MAX} parts")
    return _Writer(code, scope, spot).write(tree.body, 0)


class _Writer:
    def __init__(self, code: Code, scope: Scope, spot: Spot) -> None:
        self.code, self.scope, self.spot = code, scope, spot

    def fail(self, node: ast.AST, problem: str) -> NoReturn:
        self.spot.fail(f"{problem} (column {getattr(node, 'col_offset', 0) + 1})")

    def write(self, node: ast.expr, depth: int) -> str:
        if depth > DEPTH_MAX:
            self.fail(node, "nested too deeply")
        writers: dict[type[ast.expr], Callable[..., str]] = {
            ast.BoolOp: self.combined,
            ast.UnaryOp: self.negated,
            ast.Compare: self.compared,
            ast.Constant: self.literal,
            ast.Name: self.looked_up,
            ast.Attribute: self.looked_up,
            ast.Subscript: self.looked_up,
            ast.Call: self.called,
            ast.Tuple: self.listed,
            ast.List: self.listed,
            ast.Set: self.listed,
        }
        writer = writers.get(type(node))
        if writer is None:
            what = _SIGNS.get(type(node).__name__, type(node).__name__)
            hint = '; a key with a hyphen is written path("order-no")' if isinstance(node, ast.BinOp) else ""
            self.fail(node, f"{what} is not allowed here{hint}")
        return writer(node, depth + 1)

    def combined(self, node: ast.BoolOp, depth: int) -> str:
        word = " and " if isinstance(node.op, ast.And) else " or "
        return "(" + word.join([self.write(part, depth) for part in node.values]) + ")"

    def negated(self, node: ast.UnaryOp, depth: int) -> str:
        if isinstance(node.op, ast.Not):
            return f"(not {self.write(node.operand, depth)})"
        value = _constant(node)
        if value.__class__ not in (int, Decimal):
            self.fail(node, "a sign stands before a number only")
        return self.code.constant(value)

    def compared(self, node: ast.Compare, depth: int) -> str:
        if len(node.ops) > 1:
            self.fail(node, "one comparison at a time; join two with and")
        left, right = self.write(node.left, depth), self.write(node.comparators[0], depth)
        form = _COMPARE[type(node.ops[0])]
        inside = isinstance(node.ops[0], ast.In | ast.NotIn)
        if inside and isinstance(node.comparators[0], ast.Tuple | ast.List | ast.Set):
            form = "{0} in {1}" if isinstance(node.ops[0], ast.In) else "{0} not in {1}"
        if isinstance(node.ops[0], ast.Is | ast.IsNot) and right not in ("None", "True", "False"):
            self.fail(node, "is compares with true, false or null only; write ==")
        return f"({form.format(left, right)})"

    def literal(self, node: ast.Constant, depth: int) -> str:
        value = _constant(node)
        if value.__class__ not in _PLAIN:
            self.fail(node, "expected a text, a number, true, false or null")
        return self.code.constant(value)

    def listed(self, node: ast.Tuple | ast.List | ast.Set, depth: int) -> str:
        values = [_constant(part) for part in node.elts]
        for part, value in zip(node.elts, values, strict=True):
            if value.__class__ not in _PLAIN:
                self.fail(part, "a list holds texts, numbers, true, false and null only")
        return self.code.constant(tuple(values))

    def called(self, node: ast.Call, depth: int) -> str:
        if not isinstance(node.func, ast.Name):
            self.fail(node.func, "only functions can be called")
        name = node.func.id
        if name not in FUNCTIONS:
            self.fail(node.func, f'there is no function "{name}"' + nearest(name, FUNCTIONS))
        function, count = FUNCTIONS[name]
        if node.keywords or any(isinstance(part, ast.Starred) for part in node.args):
            self.fail(node, f"{name} takes plain values")
        if count >= 0 and len(node.args) != count:
            self.fail(node, f"{name} takes {count} value{'s' if count > 1 else ''}, not {len(node.args)}")
        if name in ("path", "header"):
            return self.by_text(node.args[0], name)
        if name == "table":
            return self.by_table(node, depth)
        inner = [self.write(part, depth) for part in node.args]
        if name == "exists":
            return f"({inner[0]} not in (None, ''))"  # as for a field: an empty text is no value
        return f"first(({', '.join(inner)},))" if name == "first" else f"{function}({', '.join(inner)})"

    def by_text(self, node: ast.expr, name: str) -> str:
        value = _constant(node)
        if not isinstance(value, str):
            example = "order-no" if name == "path" else "x-topic"
            self.fail(node, f'{name} takes a text: {name}("{example}")')
        try:
            return self.found(parse_path(value if name == "path" else HEADER + value))
        except BadPath as error:
            self.fail(node, f"no path: {error}")

    def by_table(self, node: ast.Call, depth: int) -> str:
        value = _constant(node.args[0])
        tables = self.code.tables
        if not isinstance(value, str):
            self.fail(node, 'table takes the name of a table and a code: table("movements", code)')
        if value not in tables:
            self.spot.fail(f'there is no table "{value}"', given=value, choices=tables)
        return f"found_in({self.code.constant(dict(tables[value]))}, {self.write(node.args[1], depth)})"

    def looked_up(self, node: ast.expr, depth: int) -> str:
        if isinstance(node, ast.Name) and node.id.lower() in _WORDS:
            return repr(_WORDS[node.id.lower()])
        segments: list[Segment] = []
        while not isinstance(node, ast.Name):
            if isinstance(node, ast.Attribute):
                segments.append(node.attr)
                node = node.value
            elif isinstance(node, ast.Subscript):
                key = _constant(node.slice)
                if key.__class__ not in (int, str):
                    self.fail(node, "a key in brackets is a number or a text")
                segments.append(key)
                node = node.value
            else:
                self.fail(node, "a path starts with a key")
        segments.append(node.id)
        segments.reverse()
        root = segments[0] == "root"
        return self.found(Path(tuple(segments[1:] if root else segments), root=root))

    def found(self, path: Path) -> str:
        return self.code.value(self.scope, path, self.spot)[0]


def _constant(node: ast.expr) -> Any:
    """The value of a literal; `...` for anything else. Numbers with a fraction are exact decimals."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _constant(node.operand)
        return -value if isinstance(value, int | Decimal) and not isinstance(value, bool) else ...
    if isinstance(node, ast.Name) and node.id.lower() in _WORDS:
        return _WORDS[node.id.lower()]
    if isinstance(node, ast.Constant):
        return Decimal(repr(node.value)) if isinstance(node.value, float) else node.value
    return ...
