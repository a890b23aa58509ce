"""Cross-reference tables: data files of the region, with a stated answer to a code that they lack."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runtime import packs
from runtime.cli.entry import main
from runtime.errors import ConfigError
from runtime.mapping import load, try_mapping, try_pack

LEVEL = {
    "inventory_item_id": 38440146567331,
    "location_id": 9,
    "available": 6,
    "updated_at": "2026-03-02T15:51:26+01:00",
}
FILES = {"tables/skus.csv": "Inventory item,SKU\n38440146567331,MUG-BLUE\n", "places.csv": "id;site\n9;BER-1\n"}
HEADERS = {"x-shopify-topic": "inventory_levels/update"}
MAPPING = """
mapping = "acme"
version = 1
[tables.skus]
file = "export.csv"
key = "Item no"
value = "Our SKU"
[[outputs]]
type = "stock.snapshot"
[outputs.fields]
sku = { path = "item", table = "skus" }
on_hand = "qty"
occurred_at = { missing = "received" }
"""
EXPORT = "Name,Our SKU,Colour,Item no\nMug,MUG-BLUE,blue,17\nCup,CUP-RED,red,18\n"


def stock(**options: str) -> Any:
    pack = packs.load("shopify", options, read_region=FILES.__getitem__)
    (trial,) = try_pack(pack, json.dumps(LEVEL).encode(), headers=HEADERS)
    return trial


def test_a_pack_names_items_by_the_table_of_the_region() -> None:
    data = stock(skus="tables/skus.csv", locations="places.csv").outputs[0]["data"]
    assert (data["sku"], data["location_id"]) == ("MUG-BLUE", "BER-1")


def test_without_a_table_the_number_stands_for_itself() -> None:
    data = stock().outputs[0]["data"]
    assert (data["sku"], data["location_id"]) == ("38440146567331", "9")


def test_an_unlisted_code_is_a_letter_with_reason_and_place_if_the_region_says_so() -> None:
    (problem,) = stock(skus="tables/skus.csv", unlisted="letter").errors
    assert "is a code that table locations does not have" in problem.message
    assert problem.position == "/location_id"


def test_the_columns_of_a_table_are_found_by_name() -> None:
    mapping = load(MAPPING, "acme.toml", {"export.csv": EXPORT}.__getitem__)
    (output,) = try_mapping(mapping, b'{"item": "18", "qty": 2}').outputs
    assert output["data"]["sku"] == "CUP-RED"


def test_a_column_that_is_not_there_is_named_with_the_nearest() -> None:
    with pytest.raises(
        ConfigError, match=r"""no column "Our SKUU"; did you mean 'Our SKU'\? \(at line 7, column 1\)"""
    ):
        load(MAPPING.replace("Our SKU", "Our SKUU"), "acme.toml", {"export.csv": EXPORT}.__getitem__)


@pytest.mark.parametrize("name", ["../skus.csv", "/etc/passwd.csv"])
def test_a_table_outside_the_region_s_folder_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"a table file lies beside entrepot[.]toml"):
        stock(skus=name)


def test_a_changed_entry_changes_the_version_of_the_pack(monkeypatch: pytest.MonkeyPatch) -> None:
    before = packs.load("shopify", {"skus": "tables/skus.csv"}, read_region=FILES.__getitem__).version
    monkeypatch.setitem(FILES, "tables/skus.csv", "Inventory item,SKU\n38440146567331,MUG-RED\n")
    assert packs.load("shopify", {"skus": "tables/skus.csv"}, read_region=FILES.__getitem__).version != before


def test_map_test_takes_the_table_of_an_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    Path("skus.csv").write_text(FILES["tables/skus.csv"])
    Path("level.json").write_text(json.dumps(LEVEL))
    topic = ["--header", "X-Shopify-Topic:inventory_levels/update"]
    assert main(["map", "test", "--pack", "shopify", *topic, "--option", "skus=skus.csv", "level.json", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["outputs"][0]["data"]["sku"] == "MUG-BLUE"
