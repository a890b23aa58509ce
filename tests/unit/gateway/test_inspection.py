"""What a source asks of messages before they are kept, and what senders are told about its rate."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.gateway.limits import is_object
from runtime.gateway.settings import SourceLimits

pytestmark = pytest.mark.anyio


async def test_only_the_named_content_types_are_taken(start: Any) -> None:
    site = await start(limits=SourceLimits(content_types=["application/json"]))
    assert (await site.post("/in/open", b"{}", Content_Type="application/json; charset=utf-8"))[0] == 202
    assert (await site.post("/in/open", b"{}", Content_Type="Application/JSON"))[0] == 202
    for kind in ("text/xml", "application/x-ndjson", "application/json-seq"):
        status, said, headers = await site.post("/in/open", b"{}", Content_Type=kind)
        assert (status, said["type"]) == (415, "urn:entrepot:problem:wrong-type")
        assert headers["Accept"] == "application/json"
    assert len(site.intake.messages) == 2


async def test_what_is_no_object_is_refused_before_it_is_kept_and_named_by_its_line(start: Any) -> None:
    site = await start(limits=SourceLimits(json_object=True))
    kind = {"Content_Type": "application/json"}
    assert (await site.post("/in/open", b'{"a": [1]}', **kind))[0] == 202
    for body in (b"[1]", b"7", b"{", b'{"a": 1} x', b'{"a": }', b"\xff{}", b'{"a": "\xff"}', b"null"):
        status, said, _ = await site.post("/in/open", body, **kind)
        assert (status, said["type"]) == (400, "urn:entrepot:problem:no-object"), body
    status, said, _ = await site.post("/in/open", b'{"a": 1}\n\n[2]\n', Content_Type="application/x-ndjson")
    assert (status, said["errors"]) == (400, [{"pointer": "/3", "detail": "no JSON object"}])
    assert len(site.intake.messages) == 1


def test_depth_and_duplicates_do_not_confuse_the_look_at_an_object() -> None:
    assert is_object(b'{"a": 1, "a": 2}')
    assert is_object(b" {} ")
    assert not is_object(b"")


async def test_a_source_that_is_too_fast_is_told_its_policy_and_when_to_come_back(start: Any) -> None:
    site = await start(limits=SourceLimits(rate_per_second=0.5, burst=1))
    assert (await site.post("/in/open"))[0] == 202
    status, _, headers = await site.post("/in/open")
    assert (status, headers["Retry-After"]) == (429, "2")
    assert headers["RateLimit-Policy"] == '"rate";q=1;w=2'
    assert headers["RateLimit"] == '"rate";r=0;t=2'


async def test_a_path_beside_the_doors_is_not_there(start: Any) -> None:
    site = await start()
    for path in ("/check/open", "/check/nobody", "/check/open/x"):
        assert (await site.post(path))[0] == 404, "a door without a kernel behind it tries nothing"
    for path in ("/receipts/open/x", "/receipts/open", "/receipts/", "/receipts/nobody/x", "/receipts/open/x?y=z"):
        assert (await site.get(path))[0] == 404
    assert {path for path, _ in site.gateway.answers} == {""}, "a key must never become a label"
