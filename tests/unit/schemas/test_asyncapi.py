"""The AsyncAPI document names every lane, every type and every header, and real records fit it.

The official metaschema is a third of a megabyte and in no library for Python, so the part of it that the document uses is
written down here: objects, their required and allowed fields, and references.
"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from runtime import record
from runtime.asyncapi import asyncapi
from runtime.canonical.registry import TYPES
from runtime.cli.entry import main
from tests.support.kernel import Bench, configure, message
from tests.unit.schemas.test_openapi import references, resolved

DOCUMENT = msgspec.json.decode(msgspec.json.encode(asyncapi("eu-de", ["realtime", "bulk"])))
NAME = r"^[\w\d\.\-_]+$"
REFERENCE = {
    "type": "object",
    "required": ["$ref"],
    "properties": {"$ref": {"type": "string"}},
    "additionalProperties": False,
}


def closed(required: list[str], **properties: Any) -> dict[str, Any]:
    return {
        "type": "object", "required": required, "properties": properties,
        "patternProperties": {r"^x-[\w\d\.\-_]+$": {}}, "additionalProperties": False,
    }  # fmt: skip


def named(schema: Any) -> dict[str, Any]:
    return {"type": "object", "propertyNames": {"pattern": NAME}, "additionalProperties": schema}


TEXT = {"type": "string"}
SCHEMA = {"type": "object"}
PARAMETER = closed(
    [], description=TEXT, default=TEXT, location=TEXT, enum={"type": "array", "items": TEXT, "uniqueItems": True}
)
CHANNEL = closed(
    [], address={"type": ["string", "null"]}, messages=named(REFERENCE), parameters=named(PARAMETER), title=TEXT,
    summary=TEXT, description=TEXT,
)  # fmt: skip
OPERATION = closed(
    ["action", "channel"], action={"enum": ["send", "receive"]}, channel=REFERENCE, messages={"type": "array"}
)
CORRELATION = closed(["location"], location={"type": "string", "pattern": r"^\$message\.(header|payload)#(/[^/]+)+$"})
MESSAGE = closed(
    [], name=TEXT, title=TEXT, summary=TEXT, description=TEXT, headers=SCHEMA, payload=SCHEMA, contentType=TEXT,
    correlationId=CORRELATION,
)  # fmt: skip
LICENSE = closed(["name"], name=TEXT, url=TEXT)
META = closed(
    ["asyncapi", "info"], asyncapi={"const": "3.1.0"}, defaultContentType=TEXT,
    info=closed(["title", "version"], title=TEXT, version=TEXT, description=TEXT, license=LICENSE),
    channels=named(CHANNEL), operations=named(OPERATION),
    components=closed([], messages=named(MESSAGE), schemas=named(SCHEMA)),
)  # fmt: skip


@pytest.mark.parametrize("document", [DOCUMENT, asyncapi()], ids=["of a region", "of any"])
def test_the_document_has_the_shape_of_the_specification(document: Any) -> None:
    plain = msgspec.json.decode(msgspec.json.encode(document))
    jsonschema.Draft202012Validator(META).validate(plain)
    for reference in references(plain):
        assert resolved(plain, reference)


def test_the_shape_itself_refuses_what_is_wrong() -> None:
    for change in ({"asyncapi": "2.6.0"}, {"chanels": {}}, {"operations": {"x": {"action": "publish"}}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.Draft202012Validator(META).validate(DOCUMENT | change)


def test_every_lane_is_a_channel_with_a_message_for_every_type() -> None:
    assert DOCUMENT["channels"].keys() == {"realtime", "bulk", "checkpoints"}
    for lane in ("realtime", "bulk"):
        channel = DOCUMENT["channels"][lane]
        assert channel["address"] == f"ev.eu-de.{lane}.{{event}}"
        assert channel["messages"].keys() == {*TYPES, "withheld", "epoch"}
        assert set(channel["parameters"]["event"]["enum"]) == {*TYPES, record.WITHHELD, record.EPOCH_RECORD}
    assert DOCUMENT["channels"]["checkpoints"]["address"] == "cp.eu-de"


def test_what_is_really_sealed_fits_its_message(tmp_path: Path) -> None:
    bench = Bench(configure(tmp_path), durable=False)
    bench.accept(message("A", 5), message("A", 1, withhold=True))
    bench.translate()
    rows = bench.ship()
    bench.close()
    for row, name in zip(rows, ["stock.snapshot", "withheld"], strict=True):
        headers = record.parse_header_block(row.headers) | {record.CHAIN_HEADER: row.chain.hex()}
        said = DOCUMENT["components"]["messages"][name]
        for part, value in ((said["headers"], headers), (said["payload"], msgspec.json.decode(row.data))):
            schema = {"allOf": [part], "components": DOCUMENT["components"]}
            jsonschema.Draft202012Validator(schema).validate(value)
        assert headers.keys() <= said["headers"]["properties"].keys()
        assert row.subject == DOCUMENT["channels"]["realtime"]["address"].replace(
            "{event}", row.subject.split(".", 3)[3]
        )
    assert Decimal(json.loads(rows[0].data)["on_hand"]) == 5


def test_the_command_takes_lanes_from_the_configuration_that_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["schema", "--asyncapi", "--config", "examples/eu-de/entrepot.toml"]) == 0
    assert json.loads(capsys.readouterr().out)["channels"].keys() == {"realtime", "bulk", "checkpoints"}
    assert main(["schema", "--openapi", "--asyncapi", "--out", str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"openapi.json", "asyncapi.json"}
    assert main(["schema", "--openapi", "--asyncapi"]) == 2
