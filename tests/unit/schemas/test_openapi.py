"""The OpenAPI document is one, and says of every operation what the code does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import msgspec
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31

from runtime.cli.entry import main
from runtime.gateway.api.openapi import openapi
from runtime.gateway.api.operations import OPERATIONS
from runtime.gateway.api.settings import ApiSettings
from runtime.gateway.problems import invalid
from runtime.standing import records

DOCUMENT = msgspec.json.decode(msgspec.json.encode(openapi()))


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        yield from ([part["$ref"]] if "$ref" in part else [])
        for inner in part.values():
            yield from references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from references(inner)


def resolved(document: Any, reference: str) -> Any:
    for step in reference.removeprefix("#/").split("/"):
        document = document[step.replace("~1", "/").replace("~0", "~")]
    return document


def test_the_document_is_what_the_specification_calls_one() -> None:
    """By the official metaschema, and each schema in it by that of JSON Schema 2020-12."""
    jsonschema.Draft202012Validator(OPENAPI_31).validate(DOCUMENT)
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(OPENAPI_31).validate(DOCUMENT | {"path": {}})


def test_every_operation_of_the_table_is_in_the_document_and_nothing_else() -> None:
    api = {
        (path, method): said
        for path, methods in DOCUMENT["paths"].items()
        for method, said in methods.items()
        if path.startswith("/api/v1/") and not path.endswith(".json")
    }
    assert api.keys() == {(operation.template, operation.method.lower()) for operation in OPERATIONS}
    for operation in OPERATIONS:
        said = api[operation.template, operation.method.lower()]
        assert (said["operationId"], said["x-scope"]) == (operation.id, ":".join(operation.scope))


def test_every_reference_leads_somewhere_and_every_id_is_used_once() -> None:
    for reference in references(DOCUMENT):
        assert resolved(DOCUMENT, reference)
    ids = [said["operationId"] for methods in DOCUMENT["paths"].values() for said in methods.values()]
    assert len(ids) == len(set(ids)) == 15


@pytest.mark.parametrize("name", ["Shipment", "StockLevel", "Product", "Partner", "Entry"])
def test_a_record_holds_the_fields_of_its_schema_and_no_others(name: str) -> None:
    struct = getattr(records, name)
    assert list(DOCUMENT["components"]["schemas"][name]["properties"]) == list(struct.__struct_fields__)


def test_a_problem_fits_its_schema_and_a_wrong_one_does_not() -> None:
    schema = {"$ref": "#/components/schemas/Problem", "components": DOCUMENT["components"]}
    said = msgspec.to_builtins(invalid("x", "/a", "").problem("c"))
    jsonschema.Draft202012Validator(schema).validate(said)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate(said | {"status": "422"})


def test_settings_bound_the_pages_of_the_document() -> None:
    document = openapi(ApiSettings(page_rows_max=7))
    limit = next(p for p in document["paths"]["/api/v1/stock"]["get"]["parameters"] if p["name"] == "limit")
    assert (limit["schema"]["maximum"], limit["schema"]["default"]) == (7, 7)


def test_the_command_prints_the_same_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "--openapi"]) == 0
    assert json.loads(capsys.readouterr().out) == DOCUMENT
