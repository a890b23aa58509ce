"""JSON Schema 2020-12 of every type, with the residency class of every leaf."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from runtime.canonical import TYPES
from runtime.canonical.leaves import leaves
from runtime.canonical.schema import json_schema

DOCUMENTS = json_schema()


@pytest.mark.parametrize("name", sorted(TYPES))
def test_a_document_names_its_dialect_and_itself(name: str) -> None:
    document = DOCUMENTS[name]
    assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert document["$id"] == f"urn:entrepot:schema:{name}:v1"
    assert document["x-business-key"] == TYPES[name].key_field


def test_every_document_has_an_id_of_its_own() -> None:
    assert len({document["$id"] for document in DOCUMENTS.values()}) == len(TYPES)


@pytest.mark.parametrize("name", sorted(TYPES))
def test_the_schema_states_the_class_of_every_leaf(name: str) -> None:
    document = DOCUMENTS[name]
    stated = dict(_classes(document, document["$defs"][document["$ref"].rsplit("/", 1)[-1]], ""))
    assert stated == {leaf.path: leaf.class_name for leaf in leaves(TYPES[name].struct)}


def _classes(document: dict[str, Any], definition: dict[str, Any], prefix: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, content in definition["properties"].items():
        many = content.get("type") == "array"
        inner = content["items"] if many else content
        path = f"{prefix}{name}[]" if many else f"{prefix}{name}"
        below = next((choice["$ref"] for choice in (inner, *inner.get("anyOf", ())) if "$ref" in choice), None)
        if below is None:
            found.append((path, inner["x-residency-class"]))
        else:
            found += _classes(document, document["$defs"][below.rsplit("/", 1)[-1]], f"{path}.")
    return found


def test_money_is_a_decimal_text_and_instants_are_date_times() -> None:
    price = DOCUMENTS["price.changed"]["$defs"]["PriceChanged"]["properties"]
    assert (price["price"]["type"], price["price"]["format"]) == ("string", "decimal")
    assert price["occurred_at"]["format"] == "date-time"


def test_documents_are_plain_json() -> None:
    assert msgspec.json.decode(msgspec.json.encode(DOCUMENTS)) == DOCUMENTS
