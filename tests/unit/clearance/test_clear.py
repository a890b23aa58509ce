"""Single decisions, spelled out: required fields, masks, dates, destinations, subjects, evidence."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Any

import msgspec
import pytest

from runtime.canonical import CanonicalType
from runtime.canonical.classes import Class
from runtime.canonical.moments import Canonical, Occurrence
from runtime.clearance import Clearance, Cleared, Rule, Withheld, compile_policy
from runtime.clearance.compiled import make_disposition
from tests.unit.clearance.specimens import ALL_CLASSES_ALLOWED, body_of, policy, rule

TODAY = date(2026, 11, 23)
TRADE = rule("trade", "allow", classes=("business",))
STOCK = {"occurred_at": "2026-11-23T09:00:00+01:00", "sku": "A-1", "on_hand": "5.50", "location_id": "HAM"}
ORDER: dict[str, Any] = {
    "occurred_at": "2026-11-23T09:00:00+01:00",
    "order_id": "SO-1",
    "lines": [{"line_id": "1", "sku": "A", "quantity": "2"}, {"line_id": "2", "sku": "B", "quantity": "1"}],
}


def compiled(*rules: Rule, today: date = TODAY, destination: str = "hub") -> Clearance:
    return compile_policy(policy(*rules), today=today, destination=destination)


def clear(name: str, event: dict[str, Any], *rules: Rule) -> Cleared | Withheld:
    return compiled(*rules).clear(name, body_of(name, event))


def cleared(name: str, event: dict[str, Any], *rules: Rule) -> Any:
    outcome = clear(name, event, *rules)
    assert isinstance(outcome, Cleared), outcome.rule
    return msgspec.json.decode(outcome.data)


def withheld_by(name: str, event: dict[str, Any], *rules: Rule) -> str:
    outcome = clear(name, event, *rules)
    assert isinstance(outcome, Withheld)
    assert {action for _, _, action, _ in outcome.disposition.fields} <= {"drop", "hold_event"}
    return outcome.rule


def test_what_is_released_in_full_leaves_byte_for_byte() -> None:
    body = body_of("stock.snapshot", STOCK)
    outcome = compiled(TRADE).clear("stock.snapshot", body)
    assert isinstance(outcome, Cleared)
    assert outcome.data == body
    assert (outcome.subject, outcome.time) == ("A-1", "2026-11-23T09:00:00+01:00")


def test_without_rules_nothing_leaves() -> None:
    assert withheld_by("stock.snapshot", STOCK) == "required-field:occurred_at"


def test_an_unknown_type_is_withheld_as_unclassified() -> None:
    outcome = compiled(ALL_CLASSES_ALLOWED).clear("stock.imagined", b"{}")
    assert isinstance(outcome, Withheld)
    assert (outcome.rule, outcome.disposition.fields) == ("unclassified", ())


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'{"sku":5}', b'{"sku":"\xff"}', b"[" * 100_000, b'{"sku":"A","on_hand":5}']
)
def test_a_body_that_cannot_be_read_is_withheld(body: bytes) -> None:
    outcome = compiled(TRADE).clear("stock.snapshot", body)
    assert isinstance(outcome, Withheld)
    assert outcome.rule == "unreadable"
    assert {action for _, _, action, _ in outcome.disposition.fields} == {"drop"}


def test_a_field_that_no_struct_knows_does_not_leave() -> None:
    body = body_of("stock.snapshot", STOCK)[:-1] + b',"passport":"C01X"}'
    outcome = compiled(ALL_CLASSES_ALLOWED).clear("stock.snapshot", body)
    assert isinstance(outcome, Cleared)
    assert b"passport" not in outcome.data


def test_a_dropped_required_field_withholds_the_event_under_its_name() -> None:
    assert (
        withheld_by("stock.snapshot", STOCK, TRADE, rule("no", "drop", paths=("on_hand",))) == "required-field:on_hand"
    )


def test_a_required_field_inside_a_required_list_withholds_the_event() -> None:
    rules = (TRADE, rule("no", "drop", paths=("lines[].sku",)))
    assert withheld_by("order.created", ORDER, *rules) == "required-field:lines[].sku"


def test_a_required_field_inside_an_optional_list_withholds_the_list_alone() -> None:
    rules = (TRADE, rule("no", "drop", paths=("lines[].sku",)))
    kept = cleared("order.changed", ORDER, *rules)
    assert kept["order_id"] == "SO-1"
    assert "lines" not in kept
    rows = {row.path: (row.action, row.rule) for row in compiled(*rules).explain("order.changed")}
    assert rows["lines[].quantity"] == ("drop", "required-field:lines[].sku")
    assert rows["lines[].sku"] == ("drop", "no")
    assert rows["order_id"] == ("allow", "trade")


def test_a_type_of_which_nothing_is_allowed_is_withheld() -> None:
    rules = (rule("all", "mask", types=("stock.snapshot",)),)
    assert withheld_by("stock.snapshot", STOCK, *rules) == "required-field:occurred_at"


def test_the_strictest_of_all_matching_rules_counts_whatever_their_order() -> None:
    strict = rule("a", "drop", paths=("location_id",))
    loose = rule("z", "allow", paths=("location_id",))
    for rules in ((TRADE, strict, loose), (loose, strict, TRADE)):
        assert "location_id" not in cleared("stock.snapshot", STOCK, *rules)


def test_a_mask_writes_a_constant_whether_or_not_there_was_a_value() -> None:
    mask = rule("names", "mask", paths=("customer.name",))
    named = {**ORDER, "customer": {"name": "Erika", "party_id": "7"}}
    assert cleared("order.created", named, TRADE, mask)["customer"]["name"] == "***"
    assert cleared("order.created", named, TRADE, mask) == cleared("order.created", ORDER, TRADE, mask)


def test_masking_what_is_no_free_text_drops_it() -> None:
    mask = rule("hide", "mask", paths=("reserved", "status", "best_before", "unit"))
    event = {**STOCK, "reserved": "4", "status": "blocked", "best_before": "2027-01-01", "unit": "H87"}
    assert cleared("stock.snapshot", event, TRADE, mask) == STOCK
    rows = {row.path: row.rule for row in compiled(TRADE, mask).explain("stock.snapshot")}
    assert rows["reserved"] == "hide+cannot-mask"


def test_a_masked_list_does_not_tell_its_length() -> None:
    event = {"occurred_at": STOCK["occurred_at"], "order_id": "1", "line_ids": ["1", "2"]}
    mask = rule("hide", "mask", paths=("line_ids[]",))
    assert "line_ids" not in cleared("order.cancelled", event, TRADE, mask)


def test_a_list_in_which_only_masks_stand_does_not_leave() -> None:
    event = {"occurred_at": STOCK["occurred_at"], "shipment_id": "1", "packages": [{"package_id": "P1"}, {}]}
    key = rule("key", "allow", paths=("occurred_at", "shipment_id"))
    mask = rule("hide", "mask", paths=("packages[].package_id",))
    assert "packages" not in cleared("shipment.dispatched", event, key, mask)
    rows = {row.path: (row.action, row.rule) for row in compiled(key, mask).explain("shipment.dispatched")}
    assert rows["packages[].package_id"] == ("drop", "no-released-leaf")


def test_a_mask_alone_does_not_make_up_for_a_required_field() -> None:
    without = (rule("trade", "allow", classes=("business",)),)
    mask = rule("number", "mask", paths=("partner_id",))
    allow = rule("number-allowed", "allow", paths=("partner_id",))
    event = {"occurred_at": STOCK["occurred_at"], "partner_id": "K-1", "active": True}
    assert withheld_by("partner.changed", event, *without, mask) == "required-field:partner_id"
    assert cleared("partner.changed", event, *without, mask, allow)["partner_id"] == "***"


@pytest.mark.parametrize("action", ["drop", "mask"])
def test_a_key_or_time_that_is_not_released_is_no_attribute_either(action: str) -> None:
    hide = rule("hide", action, paths=("order_id",))
    event = {"occurred_at": STOCK["occurred_at"], "receipt_id": "R", "lines": [], "order_id": "4711"}
    outcome = clear("goods.received", event, TRADE, hide)
    assert isinstance(outcome, Cleared)
    assert outcome.subject == "R"
    masked_key = clear("goods.received", event, TRADE, rule("hide", "mask", paths=("receipt_id",)))
    assert isinstance(masked_key, Cleared)
    assert masked_key.subject is None


def test_an_event_is_held_by_the_rule_that_holds_one_of_its_fields() -> None:
    assert withheld_by("stock.snapshot", STOCK, TRADE, rule("wait", "hold_event", paths=("location_id",))) == "wait"


@pytest.mark.parametrize(
    ("day", "leaves"),
    [(date(2025, 12, 31), False), (date(2026, 1, 1), True), (date(2026, 6, 30), True), (date(2026, 7, 1), False)],
)
def test_a_rule_counts_from_its_first_day_to_its_last(day: date, leaves: bool) -> None:
    dated = rule("dated", "allow", since=date(2026, 1, 1), until=date(2026, 6, 30))
    outcome = compiled(dated, today=day).clear("stock.snapshot", body_of("stock.snapshot", STOCK))
    assert isinstance(outcome, Cleared) == leaves


def test_the_next_day_of_change_is_known() -> None:
    dated = rule("dated", "allow", since=date(2026, 1, 1), until=date(2026, 6, 30))
    later = rule("later", "drop", since=date(2026, 3, 1))
    days = [date(2025, 1, 1), date(2026, 1, 1), date(2026, 3, 1), date(2026, 7, 1)]
    assert [compiled(dated, later, today=day).changes_on for day in days] == [
        date(2026, 1, 1), date(2026, 3, 1), date(2026, 7, 1), None,
    ]  # fmt: skip


def test_the_digest_changes_when_a_date_makes_the_same_policy_act_otherwise() -> None:
    dated = rule("dated", "allow", until=date(2026, 6, 30))
    first, same, later = (compiled(dated, today=date(2026, month, 1)) for month in (1, 2, 7))
    assert first.digest == same.digest
    assert first.digest != later.digest
    assert first.policy.digest == later.policy.digest


def test_a_rule_for_another_destination_does_not_count() -> None:
    backup = rule("backup", "allow", destinations=("backup",))
    body = body_of("stock.snapshot", STOCK)
    assert isinstance(compiled(backup).clear("stock.snapshot", body), Withheld)
    assert isinstance(compiled(backup, destination="backup").clear("stock.snapshot", body), Cleared)


def test_events_of_one_type_share_one_disposition() -> None:
    clearance = compiled(TRADE)
    one, two = (clearance.clear("stock.snapshot", body_of("stock.snapshot", {**STOCK, "sku": sku})) for sku in "AB")
    assert one.disposition is two.disposition
    assert one.disposition in clearance.dispositions()


def test_a_disposition_names_every_leaf_with_class_action_and_rule() -> None:
    outcome = clear("order.created", ORDER, TRADE, rule("names", "mask", classes=("personal.direct",)))
    fields = {path: (class_name, action, by) for path, class_name, action, by in outcome.disposition.fields}
    assert fields["lines[].sku"] == ("business", "allow", "trade")
    assert fields["customer.name"] == ("personal.direct", "mask", "names")
    assert fields["remarks"] == ("free_text", "drop", "default-deny")
    assert len(fields) == len(outcome.disposition.fields)


def test_a_disposition_id_is_stable_and_fits_a_signed_64_bit_column() -> None:
    fields = (("sku", "business", "allow", "trade"),)
    one, same = make_disposition("stock.snapshot", fields), make_disposition("stock.snapshot", fields)
    assert (one.id, one.digest) == (same.id, same.digest)
    assert 0 <= one.id < 2**63
    assert make_disposition("stock.adjusted", fields).id != one.id


def test_explanations_carry_the_basis_and_all_deciding_rules() -> None:
    both = compiled(TRADE, rule("a", "allow", paths=("sku",), basis="contract 7"))
    row = next(row for row in both.explain("stock.snapshot") if row.path == "sku")
    assert (row.rule, row.basis, row.class_name) == ("a+trade", "contract 7", "business")


def test_explaining_an_unknown_type_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        compiled(TRADE).explain("stock.imagined")


class _Inner(Canonical, frozen=True, kw_only=True):
    code: Annotated[str, Class("business")] | None = None
    odd: Annotated[dict[str, str], Class("business")] | None = None


class _Tried(Occurrence, frozen=True, kw_only=True):
    tried_id: Annotated[str, Class("business")]
    inner: _Inner
    unmarked: str | None = None
    misspelt: Annotated[str, Class("bussiness")] | None = None


TRIED = {"thing.tried": CanonicalType(name="thing.tried", struct=_Tried, key_field="tried_id")}


def test_leaves_without_a_known_class_and_shapes_that_are_no_leaves_stay() -> None:
    clearance = compile_policy(policy(ALL_CLASSES_ALLOWED), today=TODAY, types=TRIED)
    event = _Tried(
        occurred_at=datetime(2026, 1, 1, tzinfo=UTC),
        tried_id="1",
        inner=_Inner(code="c", odd={"who": "Erika"}),
        unmarked="Erika",
        misspelt="Erika",
    )
    outcome = clearance.clear("thing.tried", msgspec.json.encode(event))
    assert isinstance(outcome, Cleared)
    assert outcome.data == b'{"occurred_at":"2026-01-01T00:00:00Z","tried_id":"1","inner":{"code":"c"}}'


def test_an_unclassified_leaf_can_be_released_by_its_path_alone() -> None:
    named = policy(ALL_CLASSES_ALLOWED, rule("named", "allow", paths=("unmarked",)))
    rows = {row.path: row.action for row in compile_policy(named, today=TODAY, types=TRIED).explain("thing.tried")}
    assert (rows["unmarked"], rows["misspelt"], rows["inner.odd"]) == ("allow", "drop", "drop")


class _Loose(Canonical, frozen=True, kw_only=True):
    loose_id: Annotated[str, Class("business")] | None = None
    name: Annotated[str, Class("personal.direct")] | None = None


def test_an_event_of_constants_alone_is_withheld() -> None:
    struct: Any = _Loose
    types = {"thing.loose": CanonicalType(name="thing.loose", struct=struct, key_field="loose_id")}
    masks = policy(rule("hide", "mask"))
    outcome = compile_policy(masks, today=TODAY, types=types).clear("thing.loose", b'{"name":"Erika"}')
    assert isinstance(outcome, Withheld)
    assert outcome.rule == "no-released-leaf"
    assert {action for _, _, action, _ in outcome.disposition.fields} == {"drop"}
