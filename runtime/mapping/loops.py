"""Writes loops over the lists of a message, also over lists inside lists; an absent list has no elements."""

from __future__ import annotations

from collections.abc import Callable

from runtime.mapping.code import Code, Scope, Slot
from runtime.mapping.document import Query
from runtime.mapping.faults import Spot
from runtime.mapping.paths import EACH, Path, Segment


def write_loops(
    code: Code, scope: Scope, levels: tuple[Path | Query, ...], spot: Spot, name: str, body: Callable[[Scope], None]
) -> None:
    """One loop a level; `body` writes what happens with one element of the innermost list."""
    source, *rest = levels
    position = code.position(scope, source, spot) if isinstance(source, Path) else scope.position
    rows = _write_list(code, scope, source, spot, code.site(position, f"the list for {name}", spot))
    slot = code.slot()
    element = _element_scope(code, scope, source, spot, slot)
    with code.block(f"for i{slot}, {element.raw} in enumerate({rows} or ()):", scope):
        code.line(f"{element.table} = {element.raw} if {element.raw}.__class__ is dict else WRONG")
        if rest:
            write_loops(code, element, tuple(rest), spot, name, body)
        else:
            body(element)


def _write_list(code: Code, scope: Scope, source: Path | Query, spot: Spot, site: int) -> str:
    """The variable of a list, or of None where there is none."""
    name = code.name("l")
    if isinstance(source, Query):
        code.read_query(scope, source, spot)
        code.line(f"at = {site}")
        code.line(f"{name} = as_list(search({code.constant(source.compiled)}, {scope.raw}), NOTHING)")
        return name
    raw, parent = code.value(scope, source, spot)
    code.line(f"{name} = {raw}")
    with code.block(f"if {name}.__class__ is not list:"):
        code.line(f"at = {site}")
        code.line(f"{name} = as_list({name}, {parent})")
    return name


def _element_scope(code: Code, scope: Scope, source: Path | Query, spot: Spot, slot: int) -> Scope:
    position: tuple[Segment | Slot, ...] = (*scope.position, Slot(slot))
    read: tuple[Segment, ...] = (*scope.read, EACH)
    if isinstance(source, Path):
        start = scope.enclosing(source, spot)
        position = (*start.position, *source.segments, Slot(slot))
        read = (*start.read, *source.segments, EACH)
        code.reads.discard(start.read + source.segments)
    return Scope(code.name("r"), code.name("e"), position, read, scope)
