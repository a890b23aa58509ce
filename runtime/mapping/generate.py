"""Turns checked rules into one Python function `translate(m, received_us, h, kind)`, straight code without interpretation.

`h` are the kept headers, `kind` what a pack calls the message. Gives `list[Event | Ignored]` or raises `Untranslatable` with the position. Outputs are numbered
`index * 10_000 + element`, so a number keeps its meaning while entries are only appended to the mapping.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from msgspec import Struct, ValidationError, convert

from runtime.envelope import Event, Ignored
from runtime.errors import Untranslatable
from runtime.mapping import instants, values
from runtime.mapping.code import Code, Scope, Site, Slot
from runtime.mapping.document import Document, OutputRule
from runtime.mapping.expression import write_condition
from runtime.mapping.faults import Bad, Spot
from runtime.mapping.fields import FieldWriter
from runtime.mapping.loops import write_loops
from runtime.mapping.paths import HEADER, Segment, pointer

ELEMENTS_MAX = 10_000
"""Of one output: the number of the output and of the element share one integer."""

Run = Callable[[Any, int, Mapping[str, str], str], list[Event | Ignored]]
Choose = Callable[[Any, Mapping[str, str], str], list[int]]

_HELPERS = {
    name: getattr(values, name)
    for name in (
        "NOTHING", "WRONG", "fail", "wrong_kind", "optional_kind", "raise_absent", "check_parent", "item", "as_list",
        "join", "first", "first_known", "code_text", "key_text", "join_key", "length", "starts", "ends", "contains", "lower", "upper",
        "found_in",
        "less", "at_most", "search",
    )
}  # fmt: skip


class Generated(Struct, frozen=True):
    """The function, its source, and what it reads: all paths, and those of each output."""

    run: Run
    choose: Choose
    source_text: str
    reads: frozenset[tuple[Segment, ...]]
    reads_by_output: tuple[frozenset[tuple[Segment, ...]], ...]
    readers: dict[tuple[Segment, ...], set[str]]
    """Path → keys of the rules that read it."""


def generate(document: Document) -> Generated:
    """Write and compile the function. Raises `ConfigError` for rules that do not fit the canonical types."""
    code = Code(document.headers, document.tables)
    code.site((), "the message", document.spot)
    message = Scope("m", "m0", (), (), None)
    code.line("m0 = m if m.__class__ is dict else WRONG")
    for rule in document.ignores:
        condition = write_condition(code, message, rule.when, rule.spot.child("when"))
        code.line(f"if {_for_kinds(code, rule.messages)}{condition}:")
        code.line(f"    return [Ignored(reason={rule.reason!r})]")
    before = frozenset(code.reads)
    by_output: list[frozenset[tuple[Segment, ...]]] = []
    for index, output in enumerate(document.outputs):
        code.reads = set(before)
        _write_output(code, document, message, output, index)
        by_output.append(frozenset(code.reads))
    _write_end(code, document)
    reads = frozenset(before.union(*by_output))
    source = _assemble(code)
    return Generated(
        _execute(code, document, source), _chooser(document), source, reads, tuple(by_output), code.readers
    )


def _chooser(document: Document) -> Choose:
    """A function that gives the outputs whose `when` holds, by index: what kind of message this is.

    It translates nothing, so it answers for messages that cannot be translated too. Empty for those that are ignored.
    """
    code = Code(document.headers, document.tables)
    code.site((), "the message", document.spot)
    message = Scope("m", "m0", (), (), None)
    code.line("m0 = m if m.__class__ is dict else WRONG")
    for rule in document.ignores:
        holds = write_condition(code, message, rule.when, rule.spot.child("when"))
        code.line(f"if {_for_kinds(code, rule.messages)}{holds}:")
        code.line("    return out")
    for index, output in enumerate(document.outputs):
        holds = write_condition(code, message, output.when or "true", output.spot.child("when"))
        code.line(f"if {_for_kinds(code, output.messages)}{holds}:")
        code.line(f"    out.append({index})")
    code.line("return out")
    run: Callable[[Any, int, Mapping[str, str], str], Any] = _execute(code, document, _assemble(code))
    return lambda message, headers, kind: run(message, 0, headers, kind)


def condition(text: str, headers: tuple[str, ...], spot: Spot) -> Callable[[Any, Mapping[str, str]], bool]:
    """An expression as a function of a message and its headers that never raises. Raises `ConfigError`."""
    code = Code(headers)
    code.line("m0 = m if m.__class__ is dict else WRONG")
    written = write_condition(code, Scope("m", "m0", (), (), None), text, spot)
    body = [line[4:] for line in code.lines]
    source = "\n".join(["def applies(m, h):", *body, f"    return bool({written})", ""])
    namespace: dict[str, Any] = {**_HELPERS, **code.constants}
    exec(compile(source, f"<{spot.key}>", "exec"), namespace)  # noqa: S102  as below
    found: Callable[[Any, Mapping[str, str]], bool] = namespace["applies"]
    return found


def _write_output(code: Code, document: Document, message: Scope, output: OutputRule, index: int) -> None:
    when = output.when or "true"
    condition = write_condition(code, message, when, output.spot.child("when"))
    with code.block(f"if {_for_kinds(code, output.messages)}{condition}:", message):
        code.line("hit = True")
        if output.each:
            _write_elements(code, document, message, output, index)
        else:
            _write_event(code, document, message, output, str(index * ELEMENTS_MAX))


def _for_kinds(code: Code, messages: frozenset[str]) -> str:
    return f"kind in {code.constant(messages)} and " if messages else ""


def _write_elements(code: Code, document: Document, message: Scope, output: OutputRule, index: int) -> None:
    """One loop a level; elements are counted before `where`, so that a changed filter renumbers nothing."""
    code.line("n = -1")
    spot = output.spot.child("each")

    def body(scope: Scope) -> None:
        code.line("n += 1")
        with code.block(f"if n >= {ELEMENTS_MAX}:"):
            site = code.site((), f"the list for {output.type.name}", spot)
            code.line(f"at = {site}")
            code.line(f"fail('has more than {ELEMENTS_MAX} elements')")
        if output.where is not None:
            kept = write_condition(code, scope, output.where, output.spot.child("where"))
            code.line(f"if not {kept}:")
            code.line("    continue")
        if output.only_first:
            _write_event(code, document, scope, output, str(index * ELEMENTS_MAX))
            code.line("break")
        else:
            _write_event(code, document, scope, output, f"{index * ELEMENTS_MAX} + n")

    write_loops(code, message, output.each, spot, output.type.name, body)


def _write_event(code: Code, document: Document, scope: Scope, output: OutputRule, number: str) -> None:
    writer = FieldWriter(code, document, output.type.name)
    data, variables = writer.event(scope, output)
    key = _write_key(code, scope, output, variables)
    once = ""
    if output.once is not None:
        found = [code.value(scope, path, output.spot.child("once"))[0] for path in output.once]
        position = code.position(scope, output.once[0], output.spot.child("once"))
        code.line(f"at = {code.site(position, f'once of {output.type.name}', output.spot.child('once'))}")
        once = f", once_key=join_key(({output.type.name!r}, {key}, {', '.join(found)}))"
    code.line(f"out.append(Event(data={data}, partition_key={key}, output={number}{once}))")


def _write_key(code: Code, scope: Scope, output: OutputRule, variables: dict[str, str]) -> str:
    """The partition key: as the mapping says, or the field that names the business object."""
    key, spot = code.name("k"), output.spot.child("partition_key")
    paths = output.partition_key
    if not paths:
        code.line(f"{key} = {variables[output.type.key_field]}")
        field = output.fields[output.type.key_field]
        position = code.position(scope, field.paths[0], spot) if field.paths else scope.position
    else:
        found = [code.value(scope, path, spot)[0] for path in paths]
        position = code.position(scope, paths[0], spot)
        joined = ", ".join([f"key_text({one})" for one in found])
        code.line(f"{key} = {found[0]}" if len(paths) == 1 else f"{key} = join_key(({joined},))")
    site = code.site(position, f"the partition key of {output.type.name}", spot)
    with code.block(f"if {key}.__class__ is not str or not 0 < len({key}) <= {values.KEY_CHARACTERS_MAX}:"):
        code.line(f"at = {site}")
        code.line(f"{key} = key_text({key})")
    return key


def _write_end(code: Code, document: Document) -> None:
    with code.block("if not hit:"):
        if document.unmatched == "ignore":
            code.line("return [Ignored(reason='no output applies')]")
        else:
            code.line("at = 0")
            code.line("fail('an object was expected' if m.__class__ is not dict else 'no output applies to it')")
    with code.block("if not out:"):
        code.line("return [Ignored(reason='nothing to tell: the list is empty, or where left nothing of it')]")
    code.line("return out")


def _assemble(code: Code) -> str:
    slots = [f"i{number}" for number in range(code.slots)]
    head = ["def translate(m, received_us, h, kind):", "    at = n = 0", "    hit = False", "    out = []"]
    head += [f"    {' = '.join(slots)} = 0"] if slots else []
    indexes = "(" + "".join(f"{slot}, " for slot in slots) + ")"
    tail = ["    except CAUGHT as error:", f"        raise place(at, {indexes}, error) from None"]
    return "\n".join([*head, "    try:", *code.lines, *tail, ""])


def _execute(code: Code, document: Document, source: str) -> Run:
    namespace: dict[str, Any] = {
        **_HELPERS,
        **code.constants,
        "Event": Event,
        "Ignored": Ignored,
        "Decimal": Decimal,
        "convert": convert,
        "ValidationError": ValidationError,
        "read_timed": instants.read_timed,
        "from_microseconds": instants.from_microseconds,
        "CAUGHT": (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError),
        "place": _placer(document, code.sites),
    }
    name = f"<mapping {document.name}>"
    exec(compile(source, name, "exec"), namespace)  # noqa: S102  the source holds no text of the mapping but repr()
    run: Run = namespace["translate"]
    return run


def _placer(document: Document, sites: list[Site]) -> Callable[[int, tuple[int, ...], Exception], Untranslatable]:
    """Makes the error of one value: which field, which rule, and where in the message."""
    title = f"{document.name} {document.version}"
    headers = {HEADER + name for name in document.headers}

    def place(at: int, indexes: tuple[int, ...], error: Exception) -> Untranslatable:
        site = sites[at]
        position = tuple(indexes[part.number] if isinstance(part, Slot) else part for part in site.position)
        problem = str(error) if isinstance(error, Bad) else f"cannot be used ({type(error).__name__})"
        rule = f", {site.key}" if site.key else ""
        text = str(position[0]) if position and position[0] in headers else pointer(position)
        return Untranslatable(f"{site.label}: {problem} (mapping {title}{rule})", position=text)

    return place
