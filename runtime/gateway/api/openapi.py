"""The OpenAPI 3.1 document: the table of operations, the doors for messages, and the structs that are really answered. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec

from runtime.canonical.orders import OrderCreated
from runtime.envelope import Receipt
from runtime.gateway.api.operations import CURSOR_CHARS_MAX, LIMIT_DEFAULT, OPERATIONS, ROOT, Operation, Parameter
from runtime.gateway.api.settings import ApiSettings
from runtime.gateway.inlet import BatchReceipt
from runtime.gateway.keys import KEY_CHARS_MAX
from runtime.gateway.problems import Problem
from runtime.gateway.trial import Verdict
from runtime.journal.fate import Fate

DOCUMENT_VERSION = "1.0.0"
"""Of the API, not of the program: raised with each change that callers can see."""
_SOURCE = {"type": "string", "pattern": "^[a-z0-9-]{1,40}$"}
_REF = "#/components/schemas/{name}"
_STRUCTS = (Receipt, BatchReceipt, Verdict, Fate, Problem, *(operation.answer for operation in OPERATIONS))
ORDER = "OrderCreated"
_MEANS = {
    400: "The request is broken; the answer says where.",
    401: "The credential is missing or wrong.",
    403: "The caller is known and lacks the scope.",
    404: "Nothing is there.",
    408: "The request came too slowly.",
    409: "The idempotency key was used for another body.",
    413: "Larger than the limit.",
    415: "Another content type or encoding is expected.",
    422: "Not valid; nothing was accepted.",
    429: "Faster than agreed: wait as `Retry-After` says.",
    431: "The headers are too large.",
    500: "A defect of ours; nothing is promised.",
    503: "Not available now.",
    507: "No room on the disk.",
}
_ANYWHERE = (408, 431, 500, 503)
Document = dict[str, Any]


def openapi(settings: ApiSettings | None = None) -> Document:
    """The document; `settings` marks what is deprecated, and bounds pages."""
    settings = settings or ApiSettings()
    paths: dict[str, Document] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.template, {})[operation.method.lower()] = _operation(operation, settings)
    paths |= _doors() | _pages()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Entrepot, one region",
            "version": DOCUMENT_VERSION,
            "summary": "Messages taken in, and questions about the region answered from its own journal.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {
                "caller": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key (`entk_…`), or a signed token of the identity provider.",
                }
            },
        },
    }


@cache
def _schemas() -> Document:
    _, found = msgspec.json.schema_components([*_STRUCTS, OrderCreated], ref_template=_REF)
    schemas: Document = msgspec.json.decode(msgspec.json.encode(found))
    for schema in schemas.values():
        _bound(schema)
    order = schemas[ORDER]["properties"]
    order["order_id"] |= {"minLength": 1, "maxLength": 200}
    order["lines"]["minItems"] = 1
    return schemas


def _bound(schema: Any) -> None:
    """Says with a pattern what `format: decimal` means here; a format alone is not checked by most readers."""
    if isinstance(schema, dict):
        if schema.get("format") == "decimal":
            schema["pattern"] = DECIMAL
        for part in schema.values():
            _bound(part)
    elif isinstance(schema, list):
        for part in schema:
            _bound(part)


DECIMAL = r"^-?[0-9]{1,15}(\.[0-9]{1,9})?$"

# ---------------------------------------------------------------- the table


def _operation(operation: Operation, settings: ApiSettings) -> Document:
    parameters = [_parameter(p, "path") for p in operation.path_parameters]
    parameters += [_parameter(p, "query") for p in operation.filters]
    if operation.pages:
        parameters += _page_parameters(settings.page_rows_max)
    refusals: Sequence[int] = (400, 401, 403, 404, 429)
    found: Document = {
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [operation.scope[1]],
        "security": [{"caller": []}],
        "x-scope": ":".join(operation.scope),
    }
    if operation.kind == "order":
        parameters.append(_KEY)
        found["requestBody"] = _body({"application/json": {"schema": {"$ref": _REF.format(name=ORDER)}}})
        refusals = (400, 401, 403, 404, 409, 413, 415, 422, 429, 507)
    success = "202" if operation.kind == "order" else "200"
    found["parameters"] = parameters
    found["responses"] = _responses(success, operation.answer.__name__, refusals)
    if settings.deprecation(operation.id) is not None:
        found["deprecated"] = True
        found["responses"][success]["headers"] |= {
            "Deprecation": _field("RFC 9745: since when."),
            "Sunset": _field("RFC 8594: until when it answers."),
        }
    return found


def _parameter(parameter: Parameter, where: str) -> Document:
    schema: Document = {"type": "string"}
    if parameter.choices:
        schema["enum"] = list(parameter.choices)
    else:
        schema |= {"minLength": 1, "maxLength": parameter.chars_max}
    return {
        "name": parameter.name,
        "in": where,
        "required": where == "path",
        "description": parameter.says,
        "schema": schema,
    }


def _page_parameters(rows_max: int) -> list[Document]:
    limit = {"type": "integer", "minimum": 1, "maximum": rows_max, "default": min(LIMIT_DEFAULT, rows_max)}
    cursor = {"type": "string", "minLength": 1, "maxLength": CURSOR_CHARS_MAX}
    return [
        {"name": "limit", "in": "query", "required": False, "description": "Rows of one answer.", "schema": limit},
        {
            "name": "cursor",
            "in": "query",
            "required": False,
            "description": "`next` of the page before, with the same filters.",
            "schema": cursor,
        },
    ]


_KEY: Document = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A key of your own for this message: a repetition is answered with the first receipt. "
    "Without it the message's own key counts, if it has one.",
    "schema": {
        "type": "string",
        "pattern": r'^("([ !#-\[\]-~]|\\["\\])+"|[!#-~]([ !#-~]*[!#-~])?)$',
        "minLength": 1,
        "maxLength": KEY_CHARS_MAX,
    },
}


def _body(content: Document) -> Document:
    return {"required": True, "content": content}


def _responses(success: str, answer: str, refusals: Sequence[int]) -> Document:
    """`answer`: the name of a struct."""
    content = {"application/json": {"schema": {"$ref": _REF.format(name=answer)}}}
    problem = {"application/problem+json": {"schema": {"$ref": _REF.format(name="Problem")}}}
    found: Document = {
        success: {
            "description": "Stored: committed and flushed." if success == "202" else "What was asked for.",
            "headers": {
                "RateLimit-Policy": _field("The limits that hold for the caller."),
                "RateLimit": _field("What is left of them."),
            },
            "content": content,
        }
    }
    for status in sorted({*refusals, *_ANYWHERE}):
        found[str(status)] = {"description": _MEANS[status], "content": problem}
        if status == 429:
            found["429"]["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "string"}}}
    return found


def _field(says: str) -> Document:
    return {"description": says, "schema": {"type": "string"}}


# ---------------------------------------------------------------- the doors for messages, and the pages beside them

_DOOR = (
    "Each source knows its senders by a scheme of its own: a signature, a key, a token or a certificate. "
    "A message may be of any content type, unless the source says otherwise; it may not be empty."
)
_TEXT = {"type": "string", "minLength": 1}
_MESSAGE = {kind: {"schema": _TEXT} for kind in ("text/plain", "application/octet-stream")}


def _doors() -> Document:
    source = {"name": "source", "in": "path", "required": True, "description": "A source.", "schema": _SOURCE}
    message = {
        "application/json": {"schema": {}},
        "application/x-ndjson": {"schema": _TEXT | {"pattern": r"\S", "description": "A message on each line."}},
        **_MESSAGE,
    }
    refusals = (400, 401, 403, 404, 409, 413, 415, 422, 429, 507)
    taken = _responses("202", "Receipt", refusals)
    ref = [{"$ref": _REF.format(name=name)} for name in ("Receipt", "BatchReceipt")]
    taken["202"]["content"]["application/json"]["schema"] = {"anyOf": ref}
    # Some platforms count nothing but 200 as taken: `answer_status` of the source.
    taken["200"] = taken["202"]
    key = source | {"name": "key", "description": "The idempotency key.", "schema": {"type": "string", "minLength": 1}}
    return {
        "/in/{source}": {
            "post": {
                "operationId": "send",
                "summary": "Send a message: stored as it is, translated later",
                "description": _DOOR,
                "tags": ["messages"],
                "security": [{"caller": []}, {}],
                "parameters": [source, _KEY],
                "requestBody": _body(message),
                "responses": taken,
            }
        },
        "/check/{source}": {
            "post": {
                "operationId": "check",
                "summary": "Try a message; nothing is kept of it",
                "description": _DOOR,
                "tags": ["messages"],
                "security": [{"caller": []}, {}],
                "parameters": [source, _KEY],
                "requestBody": _body({"application/json": {"schema": {}}, **_MESSAGE}),
                "responses": _responses("200", "Verdict", refusals),
            }
        },
        "/receipts/{source}/{key}": {
            "get": {
                "operationId": "receipt",
                "summary": "What became of a message of one's own",
                "description": _DOOR,
                "tags": ["messages"],
                "security": [{"caller": []}, {}],
                "parameters": [source, key],
                "responses": _responses("200", "Fate", (401, 403, 404, 429)),
            }
        },
    }


def _pages() -> Document:
    problem = {"application/problem+json": {"schema": {"$ref": _REF.format(name="Problem")}}}
    status = {"type": "object", "properties": {"status": {"type": "string"}}, "required": ["status"]}

    def page(name: str, summary: str, content: Document, *statuses: int) -> Document:
        responses: Document = {"200": {"description": summary, "content": content}}
        for number in (*statuses, 431, 500):
            responses[str(number)] = {"description": _MEANS[number], "content": problem}
        return {
            "get": {
                "operationId": name,
                "summary": summary,
                "tags": ["health"],
                "security": [],
                "responses": responses,
            }
        }

    plain = {"application/json": {"schema": status}}
    return {
        "/live": page("live", "The process turns", plain),
        "/ready": page("ready", "Messages would be taken now", plain, 503),
        "/metrics": page("metrics", "Prometheus metrics", {"text/plain": {"schema": {"type": "string"}}}),
        f"{ROOT}/openapi.json": page("document", "This document", {"application/json": {"schema": {"type": "object"}}}),
    }
