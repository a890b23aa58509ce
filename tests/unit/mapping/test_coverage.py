"""Coverage of samples: what is read, guessed or unread, which leaves are filled, and what the policy lets out."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from runtime.clearance import compile_policy, load_policy
from runtime.cli.entry import main
from runtime.mapping import load, try_mapping
from runtime.mapping.coverage import Coverage, measure

EXAMPLE = Path(__file__).parents[3] / "examples" / "eu-de"
MAPPING = """
mapping = "acme"
version = 1
[[outputs]]
type = "stock.snapshot"
[outputs.fields]
sku = "sku"
on_hand = "qty"   # guess 60 %: the name says so
lot = { first = ["batch", "lot"] }
occurred_at = "at"
"""
NOTHING_LEAVES = 'policy = "none"\nversion = 1\n'


def covered(messages: list[dict[str, object]], policy: str = NOTHING_LEAVES) -> Coverage:
    mapping = load(MAPPING, "acme.toml", {}.__getitem__)
    clearance = compile_policy(load_policy(policy, where="policy.toml"), today=date(2026, 3, 2))
    return measure([try_mapping(mapping, json.dumps(message).encode()) for message in messages], clearance)


MESSAGE: dict[str, object] = {"sku": "A", "qty": 0, "at": "2026-03-02T08:00:00Z", "note": "x", "batch": "L1"}


def test_each_field_is_read_guessed_or_unread() -> None:
    uses = {field.path: field.use for field in covered([MESSAGE]).fields}
    assert uses == {"sku": "read", "qty": "guessed", "at": "read", "note": "unread", "batch": "read"}


def test_a_confirmed_guess_is_no_guess_any_more() -> None:
    mapping = load(MAPPING.replace("   # guess 60 %: the name says so", ""), "acme.toml", {}.__getitem__)
    assert try_mapping(mapping, json.dumps(MESSAGE).encode()).guessed == []


def test_what_a_confirmed_rule_reads_is_no_guess_although_a_guess_reads_it_too() -> None:
    both = MAPPING.replace('occurred_at = "at"', 'available = "qty"\noccurred_at = "at"')
    assert try_mapping(load(both, "acme.toml", {}.__getitem__), json.dumps(MESSAGE).encode()).guessed == []


def test_zero_fills_a_leaf_and_an_absent_value_does_not() -> None:
    found = {leaf.path: leaf.filled for leaf in covered([MESSAGE, {**MESSAGE, "batch": ""}]).leaves}
    assert (found["on_hand"], found["lot"], found["bin"]) == (2, 1, 0)


def test_without_a_rule_everything_stays_and_the_event_too() -> None:
    found = covered([MESSAGE])
    assert {leaf.hub for leaf in found.leaves} == {"withheld"}
    assert [(one.type, one.events, one.withheld) for one in found.types] == [("stock.snapshot", 1, 1)]


def test_the_policy_decides_leaf_by_leaf() -> None:
    rules = """policy = "p"
version = 1
[[rules]]
id = "trade"
when = { class = "business" }
action = "allow"
[[rules]]
id = "lots"
when = { type = "stock.snapshot", path = "lot" }
action = "mask"
"""
    found = covered([MESSAGE], rules)
    decided = {leaf.path: (leaf.hub, leaf.rule) for leaf in found.leaves if leaf.path in {"sku", "lot"}}
    assert decided == {"sku": ("released", "trade"), "lot": ("masked", "lots")}
    assert found.types[0].withheld == 0


def test_a_rejected_message_is_counted_and_ends_with_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "m.toml").write_text(MAPPING)
    (tmp_path / "s.json").write_text('{"sku": "A", "qty": "many"}')
    assert main(["map", "coverage", str(tmp_path / "m.toml"), str(tmp_path / "s.json"), "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["rejected"] == 1


def test_the_region_s_own_policy_is_taken_when_there_is_a_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    files = [str(EXAMPLE / "mappings" / "acme-wms.toml"), str(EXAMPLE / "samples" / "wms" / "01-order-new.json")]
    main(["--config", str(EXAMPLE), "map", "coverage", *files, "--json"])
    answer = json.loads(capsys.readouterr().out)
    assert answer["policy"].endswith("policy.toml")
    hub = {leaf["path"]: leaf["hub"] for leaf in answer["leaves"]}
    assert (hub["order_id"], hub["ship_to.name"], hub["ship_to.email"]) == ("released", "masked", "withheld")


def test_a_pack_is_covered_message_by_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample = tmp_path / "cart.json"
    sample.write_text('{"id": 1}')
    header = ["--header", "X-Shopify-Topic:carts/update"]
    assert main(["map", "coverage", "--pack", "shopify", *header, str(sample), "--json"]) in {0, 1}
    assert json.loads(capsys.readouterr().out)["ignored"] == 1
