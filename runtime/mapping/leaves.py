"""Writes the code for one plain value: where it comes from, its converters and table, what happens without it.

Every value is checked against the annotation of its field, because a struct's constructor checks nothing.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import msgspec

from runtime.canonical.units import UNITS
from runtime.mapping import instants
from runtime.mapping.code import Code, Scope
from runtime.mapping.converters import CONVERTERS, INTEGER_MAX, SPELLINGS
from runtime.mapping.document import Document, FieldRule
from runtime.mapping.faults import Bad, Spot
from runtime.mapping.paths import Path
from runtime.mapping.targets import FieldTarget, Target

IMPLICIT = {"decimal": "decimal", "date": "date", "float": "float"}
"""Kinds that JSON does not have: these converters apply when the mapping names none."""
EXPECTED = {"text": ("str", "text"), "integer": ("int", "a whole number"), "boolean": ("bool", "true or false")}
FROM_CONVERTER = {
    "decimal": Decimal, "decimal_comma": Decimal, "money_implied2": Decimal, "absolute": Decimal, "negated": Decimal, "integer": int,
    "float": float, "boolean": bool, "date": date, "instant": datetime, "utc": datetime, "epoch_s": datetime, "epoch_ms": datetime,
    "dotnet_date": datetime,
}  # fmt: skip
"""What a converter gives; all others give text."""
KIND_OF = {Decimal: "decimal", int: "integer", float: "float", bool: "boolean", date: "date", datetime: "instant"}


class LeafWriter:
    """Writes the fields of one event type that are no objects and no lists."""

    def __init__(self, code: Code, document: Document, type_name: str) -> None:
        self.code, self.document, self.type_name = code, document, type_name
        self.lack: str | None = None
        """Inside an object that may be left out as a whole: the variable that notes a missing required field."""

    def leaf(self, scope: Scope, rule: FieldRule, field: FieldTarget, quality: str | None) -> str:
        target, code = field.target, self.code
        self.sensible(rule, target)
        value = code.name("v")
        parent = self.source(scope, rule, value)
        site = self.site(scope, rule)
        if target.kind in EXPECTED and self.simple(rule, field):
            self.quick(scope, rule, field, value, parent, site)
        elif target.kind == "text" and rule.convert == ("string",) and rule.table is None:
            # Nearly all identifiers come as text, and then nothing is left to do.
            with code.block(f"if {value}.__class__ is not str or {value} == '':"):
                self.full(scope, rule, field, value, parent, site, quality)
        else:
            self.full(scope, rule, field, value, parent, site, quality)
        self.limits(target, value, site)
        return value

    def full(
        self, scope: Scope, rule: FieldRule, field: FieldTarget, value: str, parent: str, site: int, quality: str | None
    ) -> None:
        """Convert and look up what is there, say what to do without it, check what is left."""
        code, target = self.code, field.target
        with code.block(f"if {value} is None or {value} == '':"):
            code.line(f"{value} = None")
        with code.block("else:"):
            code.line(f"at = {site}")
            self.convert(rule, target, value, quality)
            self.look_up(rule, target, value)
        with code.block(f"if {value} is None:"):
            self.absent(scope, rule, field, value, parent, site, quality)
        if self.unchecked(rule, target):
            with code.block("else:"):
                self.check(target, value, parent, site)

    def sensible(self, rule: FieldRule, target: Target) -> None:
        """Refuse keys that could have no effect: somebody meant something else."""
        if rule.format is not None and target.kind not in ("instant", "date"):
            rule.spot.child("format").fail("a form is for times and dates; this field takes " + target.kind)
        if rule.zone is not None and target.kind not in ("instant", "date"):
            rule.spot.child("zone").fail("a zone is for times; this field takes " + target.kind)
        if rule.unknown and rule.table is None:
            rule.spot.child("unknown").fail(
                "unknown says what to do with a code that the table lacks; there is no table"
            )
        if rule.unknown == "keep" and target.kind != "text":
            rule.spot.child("unknown").fail("only a text field can keep a code as it is")
        if rule.where is not None:
            rule.spot.child("where").fail("where filters the elements of each; there is no each")
        if rule.kind == "none" and rule.missing != "received":
            rule.spot.fail("expected one of path, first, join, const or jmespath")

    def simple(self, rule: FieldRule, field: FieldTarget) -> bool:
        """Whether nothing but the kind of the value matters."""
        options = rule.convert or rule.table or rule.missing or rule.unknown
        return not options and rule.default is None and (self.lack is None or not field.required)

    def quick(self, scope: Scope, rule: FieldRule, field: FieldTarget, value: str, parent: str, site: int) -> None:
        """Text, whole numbers and booleans as they are: one class check on the way that nearly all values take."""
        class_name, expected = EXPECTED[field.target.kind]
        blank = f" or {value} == ''" if class_name == "str" else ""
        with self.code.block(f"if {value}.__class__ is not {class_name}{blank}:"):
            self.code.line(f"at = {site}")
            if field.required:
                self.code.line(f"wrong_kind({value}, {expected!r}, {parent})")
            else:
                self.code.line(f"if {value} is not None or {parent} is WRONG:")
                self.code.line(f"    optional_kind({value}, {expected!r}, {parent})")
                self.code.line(f"{value} = {self.code.constant(field.default)}")

    def source(self, scope: Scope, rule: FieldRule, value: str) -> str:
        """Writes the raw value into `value`; gives the variable of the object that should hold it."""
        if rule.kind == "jmespath":
            assert rule.query is not None
            self.code.read_query(scope, rule.query, rule.spot)
            self.code.line(f"at = {self.site(scope, rule)}")
            self.code.line(f"{value} = search({self.code.constant(rule.query.compiled)}, {scope.raw})")
            return "NOTHING"
        if rule.kind == "none":
            self.code.line(f"{value} = None")
            return "NOTHING"
        found = [self.code.value(scope, path, rule.spot) for path in rule.paths]
        if rule.kind == "path":
            self.code.line(f"{value} = {found[0][0]}")
            return found[0][1]
        if rule.kind == "first":
            self.first(scope, rule, value, [one for one, _ in found])
        else:
            parts = ", ".join(one for one, _ in found)
            self.code.line(f"at = {self.site(scope, rule)}")
            self.code.line(f"{value} = join(({parts},), {rule.separator!r})")
        return found[0][1]

    def first(self, scope: Scope, rule: FieldRule, value: str, found: list[str]) -> None:
        alternatives, left = "", iter(found)
        for count in rule.joined:
            parts = [next(left) for _ in range(count)]
            alternatives += (parts[0] if count == 1 else f"join(({', '.join(parts)}), ' ')") + ", "
        if rule.table is not None or len(rule.joined) < len(found):
            self.code.line(f"at = {self.site(scope, rule)}")
        if rule.table is None and len(rule.joined) == len(found):
            self.code.line(f"{value} = {found[0]}")
            for other in found[1:]:
                self.code.line(f"if {value} is None or {value} == '':")
                self.code.line(f"    {value} = {other}")
            return
        if rule.table is None:
            self.code.line(f"{value} = first(({alternatives}))")
            return
        codes = self.code.constant(frozenset(self.document.tables[rule.table]))
        changes = self.code.constant(tuple(CONVERTERS[name] for name in rule.convert if name != "instant"))
        self.code.line(f"{value} = first_known(({alternatives}), {codes}, {changes})")

    def convert(self, rule: FieldRule, target: Target, value: str, quality: str | None) -> None:
        names = list(rule.convert)
        if target.kind == "instant" and not any(FROM_CONVERTER.get(name) is datetime for name in names):
            names.append("instant")
        elif rule.table is None and rule.format is not None and target.kind == "date" and "date" not in names:
            names.append("date")
        elif rule.table is None and target.kind in IMPLICIT and self.result(names) is str:
            names.append(IMPLICIT[target.kind])
        for position, name in enumerate(names):
            if name == "instant" or (rule.format is not None and name == "date"):
                self.instant(rule, target, value, quality)
            else:
                guard = f" if {value} is not None else None" if position else ""
                self.code.line(f"{value} = {self.code.constant(CONVERTERS[name])}({value}){guard}")

    def instant(self, rule: FieldRule, target: Target, value: str, quality: str | None) -> None:
        zone = self.code.constant(rule.zone or self.document.zone)
        read = "read_timed" if rule.format is None else self.code.constant(instants.by_format(rule.format))
        if target.kind == "date":
            day = self.code.name("d")
            self.code.line(f"{day} = {read}({value}, {self.code.constant(UTC)})[0]")
            self.code.line(f"{value} = None if {day} is None else {day}.date()")
        elif quality is not None:
            self.code.line(f"{value}, {quality} = {read}({value}, {zone})")
        else:
            self.code.line(f"{value} = {read}({value}, {zone})[0]")

    def result(self, names: list[str]) -> type:
        return FROM_CONVERTER.get(names[-1], str) if names else str

    def look_up(self, rule: FieldRule, target: Target, value: str) -> None:
        if rule.table is None:
            return
        spot = rule.spot.top("tables", rule.table)
        content = self.document.tables[rule.table]
        table = self.code.constant({code: self.fixed(to, target, spot.child(code)) for code, to in content.items()})
        found = self.code.name("c")
        with self.code.block(f"if {value} is not None:"):
            self.code.line(f"{found} = {value} if {value}.__class__ is str else code_text({value})")
            if rule.unknown == "keep":
                self.code.line(f"{value} = {table}.get({found}, {found})")
                return
            self.code.line(f"{value} = {table}.get({found})")
            if rule.unknown != "omit" and rule.default is None:
                with self.code.block(f"if {value} is None:"):
                    self.code.line(f"fail({f'is a code that table {rule.table} does not have'!r})")

    def absent(
        self, scope: Scope, rule: FieldRule, field: FieldTarget, value: str, parent: str, site: int, quality: str | None
    ) -> None:
        """What to do without a value: the default, the time of acceptance, a letter, or leave the field out."""
        if rule.default is not None:
            default = self.fixed(rule.default, field.target, rule.spot.child("default"))
            self.code.line(f"{value} = {self.code.constant(default)}")
        elif rule.missing == "received":
            if field.target.kind != "instant":
                rule.spot.child("missing").fail("the time of acceptance can stand in for a time only")
            self.code.line(f"{value} = from_microseconds(received_us)")
            if quality is not None:
                self.code.line(f"{quality} = 'received'")
        elif rule.missing == "letter" or field.required:
            if rule.missing == "omit":
                rule.spot.child("missing").fail("this field is required and cannot be left out")
            self.required(scope, rule, site, parent, always=rule.missing == "letter")
        else:
            with self.code.block(f"if {parent} is WRONG:"):
                self.code.line(f"at = {site}")
                self.code.line(f"check_parent({parent})")
            self.code.line(f"{value} = {self.code.constant(field.default)}")

    def required(self, scope: Scope, rule: FieldRule, site: int, parent: str, *, always: bool = False) -> None:
        if self.lack is not None and not always:
            self.code.line(f"{self.lack} = {site}")
            return
        self.code.line(f"at = {site}")
        self.code.line(f"raise_absent({parent})")

    # ------------------------------------------------------------ checks

    def unchecked(self, rule: FieldRule, target: Target) -> bool:
        """Whether the value can still be of another kind than the field, as far as the rules tell."""
        if rule.table is not None and rule.unknown != "keep":
            return False
        if target.kind in ("choice", "text", "integer", "boolean"):
            given = self.result(list(rule.convert))
            if rule.convert and target.kind != "choice" and KIND_OF.get(given, "text") != target.kind:
                name = rule.convert[-1]
                rule.spot.child("convert").fail(
                    f"{name} gives {KIND_OF.get(given, 'text')}, the field takes {target.kind}"
                )
            return not rule.convert or target.kind == "choice"
        given = self.result(list(rule.convert))
        if given is not str and KIND_OF[given] != target.kind:
            rule.spot.child("convert").fail(f"{rule.convert[-1]} gives {KIND_OF[given]}, the field takes {target.kind}")
        return rule.table is not None

    def check(self, target: Target, value: str, parent: str, site: int) -> None:
        self.code.line(f"at = {site}")
        if target.kind in EXPECTED:
            class_name, expected = EXPECTED[target.kind]
            with self.code.block(f"if {value}.__class__ is not {class_name}:"):
                self.code.line(f"wrong_kind({value}, {expected!r}, {parent})")
        elif target.kind == "choice":
            choices = self.code.constant(frozenset(target.choices))
            shown = ", ".join(target.choices[:8]) + (", …" if len(target.choices) > 8 else "")
            with self.code.block(f"if {value}.__class__ is not str or {value} not in {choices}:"):
                self.code.line(f"fail({f'is none of {shown}'!r})")
        else:
            self.code.line(f"{value} = convert({value}, {self.code.constant(target.type)})")

    def limits(self, target: Target, value: str, site: int) -> None:
        """Bounds and patterns of the annotation; whole numbers stay within 64 bits."""
        bounds = target.bounds
        if target.kind == "integer":
            bounds = (*bounds, (">=", -INTEGER_MAX), ("<=", INTEGER_MAX))
        if bounds or target.pattern is not None:
            with self.code.block(f"if {value} is not None:"):
                sized = f"len({value})" if target.kind == "text" else value
                self.bounds(Target(target.kind, None, bounds=bounds), sized, site, "characters")
                if target.pattern is not None:
                    with self.code.block(f"if {self.code.constant(target.pattern.search)}({value}) is None:"):
                        self.code.line(f"at = {site}")
                        self.code.line(f"fail({f'does not have the form {target.pattern.pattern}'!r})")

    def bounds(self, target: Target, sized: str, site: int, unit: str) -> None:
        for operator, limit in target.bounds:
            words = f" {unit}" if sized.startswith("len(") else ""
            with self.code.block(f"if not {sized} {operator} {self.code.constant(limit)}:"):
                self.code.line(f"at = {site}")
                self.code.line(f"fail({f'must be {operator} {limit}{words}'!r})")

    # ------------------------------------------------------------ units, constants, places

    def unit(self, scope: Scope, rule: FieldRule, field: FieldTarget) -> tuple[str, str]:
        """`unit` and `unit_raw`: a known code, or what the source wrote; never a guess."""
        if rule.fields is not None or rule.each:
            rule.spot.fail("this field takes one value, not fields or each")
        known = {code: code for code in UNITS}
        if rule.table is not None:
            spot = rule.spot.top("tables", rule.table)
            content = self.document.tables[rule.table]
            known = {code: self.fixed(to, field.target, spot.child(code)) for code, to in content.items()}
        elif "unit" in rule.convert:
            known.update(SPELLINGS)
        code, value, raw = self.code, self.code.name("u"), self.code.name("u")
        parent = self.source(scope, rule, value)
        site = self.site(scope, rule)
        code.line(f"{raw} = None")
        with code.block(f"if {value} is None or {value} == '':"):
            self.absent(scope, rule, field, value, parent, site, None)
        with code.block("else:"):
            code.line(f"at = {site}")
            code.line(f"{raw} = code_text({value}).strip()")
            for name in rule.convert:
                if name != "unit":
                    code.line(f"{raw} = {code.constant(CONVERTERS[name])}({raw})")
            upper = ".upper()" if "unit" in rule.convert and rule.table is None else ""
            code.line(f"{value} = {code.constant(known)}.get({raw}{upper})")
            with code.block(f"if {value} is not None or not {raw}:"):
                code.line(f"{raw} = None")
            if rule.unknown in ("letter", "omit") or rule.default is not None:
                with code.block("else:"):
                    self.unknown_unit(rule, field, value, raw)
        return value, raw

    def unknown_unit(self, rule: FieldRule, field: FieldTarget, value: str, raw: str) -> None:
        if rule.unknown == "letter":
            self.code.line("fail('is a unit that is not known')")
            return
        self.code.line(f"{raw} = None")
        if rule.unknown != "omit":
            default = self.fixed(rule.default, field.target, rule.spot.child("default"))
            self.code.line(f"{value} = {self.code.constant(default)}")

    def fixed(self, given: Any, target: Target, spot: Spot) -> Any:
        """A value from the mapping itself (const, default, table), as the field's type. Raises `ConfigError`."""
        if isinstance(given, datetime) and given.tzinfo is None:
            spot.fail("a time needs its offset")
        if isinstance(given, time):
            spot.fail("a time of day is no value of any field")
        if target.kind == "decimal" and isinstance(given, int | float | str) and not isinstance(given, bool):
            try:
                return CONVERTERS["decimal"](str(given))
            except Bad as error:
                spot.fail(f"{error}")
        try:
            return msgspec.convert(given, target.type)
        except msgspec.ValidationError as error:
            if target.choices:
                spot.fail(f'"{given}" is not possible', given=given, choices=target.choices)
            spot.fail(f"does not fit the field: {error}")

    def site(self, scope: Scope, rule: FieldRule, path: Any = None) -> int:
        chosen = path if isinstance(path, Path) else rule.paths[0] if rule.paths else None
        if chosen is None:
            return self.code.site(scope.position, self.label(rule), rule.spot)
        return self.code.site(self.code.position(scope, chosen, rule.spot), self.label(rule), rule.spot)

    def label(self, rule: FieldRule) -> str:
        tail = rule.spot.key.split(".fields.", 1)[-1].replace(".fields.", ".")
        return f"{tail} of {self.type_name}"
