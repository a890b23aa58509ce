"""Bytes of a message to plain values: JSON, XML, or JSON inside a signed token (JWS). Errors name line and column.

Numbers with a fraction become exact decimals. In JSON a byte order mark is skipped, the last of two equal keys counts
(as msgspec does), NaN and Infinity are refused.
"""

from __future__ import annotations

import codecs
import re
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct

from runtime.errors import Refused, Untranslatable
from runtime.mapping.xmltree import PLAIN, XmlForm, decode_xml
from runtime.policy import jws

_decode = msgspec.json.Decoder(float_hook=Decimal).decode
_CHARSET = re.compile(r'charset\s*=\s*"?([A-Za-z0-9._-]{1,40})')
_BYTE = re.compile(r"\(byte ([0-9]+)\)")

JSON = "application/json"
FORMATS = ("json", "xml", "jws", "csv", "ndjson-line")
"""What a mapping can say its messages are; a content type that says XML or JWS outranks json."""
_SUBTYPES = {"xml": "xml", "jose": "jws", "jwt": "jws"}


class Form(Struct, frozen=True, kw_only=True):
    """How the bytes of a source become values."""

    format: str = "json"
    xml: XmlForm = PLAIN


ANY = Form()


def format_of(content_type: str, form: Form) -> str:
    """json, xml or jws. `application/xml`, `text/xml` and `…+xml` (RFC 7303) are XML, `application/jose` is a token."""
    if form.format in ("xml", "jws") or content_type == JSON:
        return form.format if form.format in ("xml", "jws") else "json"
    subtype = content_type.partition(";")[0].strip().lower().rpartition("/")[2]
    return _SUBTYPES.get(subtype.rpartition("+")[2], "json")


def decode(body: bytes, content_type: str, form: Form = ANY) -> Any:
    """Plain values of a body. Raises `Untranslatable`."""
    found = format_of(content_type, form)
    if found == "json":
        return decode_json(body, content_type)
    if found == "xml":
        match = _CHARSET.search(content_type)
        return decode_xml(body, match[1] if match else "", form.xml)
    try:
        return decode_json(jws.split(body).payload, JSON)
    except Refused as error:
        raise Untranslatable(str(error), position="line 1, column 1") from None


def decode_json(body: bytes, content_type: str) -> Any:
    """Dicts, lists, texts, ints, decimals, booleans and None. Raises `Untranslatable`."""
    try:
        if "charset" in content_type or body[:3] == codecs.BOM_UTF8:
            body = _as_utf8(body, content_type)
        return _decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError, ArithmeticError, ValueError) as error:
        raise _explain(body, error) from None


def _as_utf8(body: bytes, content_type: str) -> bytes:
    match = _CHARSET.search(content_type)
    name = match[1].lower() if match else "utf-8"
    if name in ("utf-8", "utf8"):
        return body.removeprefix(codecs.BOM_UTF8)
    try:
        return body.decode(name).removeprefix("\ufeff").encode()
    except LookupError:
        raise Untranslatable(f"{name} is no known character set", position="line 1, column 1") from None


def _explain(body: bytes, error: Exception) -> Untranslatable:
    if not body.strip():
        return Untranslatable("the message is empty", position="line 1, column 1")
    if isinstance(error, RecursionError):
        return Untranslatable("the JSON is nested too deeply", position="line 1, column 1")
    if isinstance(error, UnicodeError):
        return Untranslatable(
            "the text is not valid UTF-8",
            position=_place(body, _bad_byte(body)),
            hint="if the sender writes Latin-1, its content type must say so: application/json; charset=iso-8859-1",
        )
    if isinstance(error, ArithmeticError) or "out of range" in str(error):
        return Untranslatable("a number is beyond all bounds", position=_place(body, 0))
    match = _BYTE.search(str(error))
    problem = _BYTE.sub("", str(error)).strip()
    place = _place(body, int(match[1]) if match else len(body))
    return Untranslatable(f"not valid JSON: {problem}", position=place, hint=_other(body))


def _other(body: bytes) -> str:
    """What the bytes look like, if it is another format that can be read."""
    begin = body[:16].removeprefix(codecs.BOM_UTF8).lstrip()
    if begin.startswith(b"<"):
        return 'this looks like XML: the content type must say so, or the mapping: format = "xml"'
    if begin.startswith(b"eyJ"):
        return (
            'this looks like a signed token: the content type must say application/jose, or the mapping: format = "jws"'
        )
    return ""


def _bad_byte(body: bytes) -> int:
    try:
        body.decode()
    except UnicodeDecodeError as error:
        return error.start
    return 0


def _place(body: bytes, offset: int) -> str:
    """`line 3, column 7`, both from 1; columns count characters."""
    before = body[:offset]
    start = before.rfind(b"\n") + 1
    line = before.count(b"\n") + 1
    return f"line {line}, column {len(before[start:].decode(errors='replace')) + 1}"
