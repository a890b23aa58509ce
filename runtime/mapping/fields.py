"""Writes the code that builds one canonical struct: its fields one by one, objects and lists in it, the constructor."""

from __future__ import annotations

from typing import NoReturn

import msgspec
from msgspec import Struct

from runtime.mapping.code import Scope
from runtime.mapping.document import FieldRule, OutputRule
from runtime.mapping.expression import write_condition
from runtime.mapping.faults import Spot
from runtime.mapping.leaves import LeafWriter
from runtime.mapping.loops import write_loops
from runtime.mapping.paths import dotted
from runtime.mapping.targets import FieldTarget, fields_of


class FieldWriter(LeafWriter):
    """Writes one event."""

    def event(self, scope: Scope, output: OutputRule) -> tuple[str, dict[str, str]]:
        """Writes the whole struct; gives the constructor call, and the variable of each field at its top."""
        struct = output.type.struct
        variables, _ = self.members(scope, output.fields, struct, output.spot.child("fields"))
        return self.construct(struct, variables), variables

    def construct(self, struct: type[Struct], variables: dict[str, str]) -> str:
        name = self.code.constant(struct)
        return f"{name}({', '.join(f'{field}={value}' for field, value in variables.items())})"

    def members(
        self, scope: Scope, rules: dict[str, FieldRule], struct: type[Struct], spot: Spot
    ) -> tuple[dict[str, str], list[str]]:
        """Variables of all mapped fields, and conditions: is there a value that came from the message?"""
        targets = fields_of(struct)
        for name, rule in rules.items():
            if name not in targets:
                what = self.type_name if struct.__name__.lower() in self.type_name.replace(".", "") else struct.__name__
                rule.spot.fail(f"{what} has no such field", given=name, choices=targets)
        missing = [name for name, field in targets.items() if field.required and name not in rules]
        if missing:
            spot.fail(f"the required field {missing[0]} is not mapped")
        variables: dict[str, str] = {}
        from_message: list[str] = []
        for name, rule in rules.items():
            if name == "unit" and "unit_raw" in targets and "unit_raw" not in rules and rule.kind != "const":
                variables["unit"], variables["unit_raw"] = self.unit(scope, rule, targets[name])
                if rule.default is None:
                    from_message += [f"{variables[one]} is not None" for one in ("unit", "unit_raw")]
                continue
            if name == "occurred_at" and "time_quality" in targets and "time_quality" not in rules:
                variables["time_quality"] = self.code.name("q")
                self.code.line(f"{variables['time_quality']} = 'exact'")
            variables[name] = self.field(scope, rule, targets[name], variables.get("time_quality"))
            if rule.kind != "const" and rule.default is None:
                is_list = targets[name].target.kind == "list"
                from_message.append(variables[name] if is_list else f"{variables[name]} is not None")
        return variables, from_message

    # ------------------------------------------------------------ one field

    def field(self, scope: Scope, rule: FieldRule, field: FieldTarget, quality: str | None) -> str:
        """Writes one field; gives its variable (or a constant)."""
        target = field.target
        if target.kind == "object":
            return self.object(scope, rule, field)
        if target.kind == "list":
            return self.list(scope, rule, field)
        if rule.fields is not None or rule.each:
            rule.spot.fail("this field takes one value, not fields or each")
        if target.kind == "other":
            rule.spot.fail("fields of this kind cannot be mapped")
        if rule.kind == "const":
            return self.code.constant(self.fixed(rule.const, target, rule.spot.child("const")))
        return self.leaf(scope, rule, field, quality if field.name == "occurred_at" else None)

    def object(self, scope: Scope, rule: FieldRule, field: FieldTarget) -> str:
        """A struct inside the struct: at a path, or gathered; an optional one without any value is left out."""
        struct = field.target.struct
        assert struct is not None
        if rule.fields is None or rule.each:
            example = ", ".join(f'{name} = "…"' for name in list(fields_of(struct))[:2])
            rule.spot.fail(f"this field is an object: write {{ fields = {{ {example} }} }}")
        self.plain(rule, "an object")
        inner = self.inside(scope, rule, field)
        value, outer_lack = self.code.name("v"), self.lack
        if not field.required or outer_lack is not None:
            self.lack = self.code.name("lack")
            self.code.line(f"{self.lack} = -1")
        variables, told = self.members(inner, rule.fields, struct, rule.spot.child("fields"))
        if self.lack is None:
            self.code.line(f"{value} = {self.construct(struct, variables)}")
        else:
            seen = " or ".join(told) or "False"
            self.code.line(f"{value} = None")
            with self.code.block(f"if {seen}:"):
                with self.code.block(f"if {self.lack} >= 0:"):
                    self.code.line(f"at = {self.lack}")
                    self.code.line("fail('is missing')")
                self.code.line(f"{value} = {self.construct(struct, variables)}")
        self.lack = outer_lack
        if field.required and outer_lack is not None:
            self.code.line(f"if {value} is None and {outer_lack} < 0:")
            self.code.line(f"    {outer_lack} = {self.site(scope, rule)}")
        return value

    def inside(self, scope: Scope, rule: FieldRule, field: FieldTarget) -> Scope:
        """The scope of an object's fields; writes its variables if the rule has a path."""
        if rule.kind == "none":
            return scope
        path = rule.paths[0]
        raw, parent = self.code.value(scope, path, rule.spot)
        start = scope.enclosing(path, rule.spot)
        position, read = self.code.position(scope, path, rule.spot), start.read + path.segments
        self.code.reads.discard(read)
        inner = Scope(self.code.name("r"), self.code.name("e"), position, read, scope)
        self.code.line(f"{inner.raw} = {raw}")
        self.code.line(f"{inner.table} = {inner.raw}")
        with self.code.block(f"if {inner.raw}.__class__ is not dict:"):
            self.code.line(f"at = {self.site(scope, rule)}")
            self.code.line(f"optional_kind({inner.raw}, 'an object', {parent})")
            self.code.line(f"{inner.table} = NOTHING")
        return inner

    def list(self, scope: Scope, rule: FieldRule, field: FieldTarget) -> str:
        """A list: one element of the target for each element of the message's list."""
        target = field.target
        if not rule.each:
            rule.spot.fail('this field is a list: say each = "…" and what one element is')
        element = target.element
        assert element is not None
        if element.kind == "object" and rule.fields is None:
            rule.spot.fail("each element is an object: say fields = { … }")
        if element.kind != "object" and (rule.kind == "none" or rule.fields is not None):
            rule.spot.fail('each element is one value: say path = "…" (path = "." is the element itself)')
        rows, value, outer_lack = self.code.name("x"), self.code.name("v"), self.lack
        self.code.line(f"{rows} = []")
        self.lack = None

        def body(inner: Scope) -> None:
            if rule.where is not None:
                kept = write_condition(self.code, inner, rule.where, rule.spot.child("where"))
                self.code.line(f"if not {kept}:")
                self.code.line("    continue")
            one = FieldTarget(field.name, element, required=True)
            if element.kind == "object":
                bare = msgspec.structs.replace(rule, each=(), where=None)
                self.code.line(f"{rows}.append({self.object(inner, bare, one)})")
            else:
                bare = msgspec.structs.replace(rule, each=(), where=None, fields=None)
                self.code.line(f"{rows}.append({self.field(inner, bare, one, None)})")

        write_loops(self.code, scope, rule.each, rule.spot.child("each"), f"{self.type_name}.{field.name}", body)
        self.lack = outer_lack
        self.code.line(f"{value} = {f'tuple({rows})' if target.as_tuple else rows}")
        self.bounds(target, f"len({value})", self.site(scope, rule, rule.each[0]), "elements")
        if not field.required:
            self.code.line(f"if not {value}:")
            self.code.line(f"    {value} = {self.code.constant(field.default)}")
        else:
            with self.code.block(f"if not {value}:"):
                self.required(scope, rule, self.site(scope, rule, rule.each[0]), "NOTHING")
        return value

    def plain(self, rule: FieldRule, what: str) -> None:
        """Refuse keys that mean nothing for an object."""
        for name in ("convert", "table", "format"):
            if getattr(rule, name):
                self.refuse(rule.spot.child(name), what)

    def refuse(self, spot: Spot, what: str) -> NoReturn:
        spot.fail(f"means nothing for {what}; put it on one of its fields")


def shown(paths: frozenset[tuple[str | int, ...]]) -> frozenset[str]:
    """Paths as people write them."""
    return frozenset(dotted(path) for path in paths)
