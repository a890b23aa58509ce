"""Promise 8 on a real agent and a real hub: canaries in every personal field never appear anywhere outside."""

from __future__ import annotations

import base64
import json
from hashlib import md5, sha256
from pathlib import Path
from urllib.parse import quote, quote_plus

import aiohttp
import pytest

from tests.support.nats import NatsServer
from tests.support.region import Region, stored

pytestmark = pytest.mark.anyio
EXAMPLE = Path(__file__).parents[3] / "examples" / "eu-de"
RECIPIENT = ("name", "street", "zip", "city")
PERSONAL = {
    "01-order-new.json": [*(f"order.recipient.{f}" for f in (*RECIPIENT, "email", "phone")), "order.note"],
    "02-pick.json": ["pick.by"],
    "03-ship.json": ["shipment.driver", *(f"shipment.recipient.{f}" for f in RECIPIENT)],
    "04-receipt.json": ["receipt.by", "receipt.supplier.name"],
    "05-adjust.json": ["adjustments.0.by", "adjustments.1.note"],
}
"""Of each sample, the places of personal data and of free text."""


def _messages() -> tuple[list[bytes], list[str]]:
    """The example messages with a marker in every personal field and in every remark, and the markers."""
    markers: list[str] = []
    bodies = []
    for sample, paths in PERSONAL.items():
        message = json.loads((EXAMPLE / "samples" / "wms" / sample).read_text())
        for path in paths:
            *parents, leaf = path.split(".")
            holder = message
            for part in parents:
                holder = holder[int(part)] if part.isdigit() else holder[part]
            assert leaf in holder or leaf == "note", f"{sample} has no {path}"
            marker = f"Zq {leaf} ü{len(markers):02d}@"
            markers.append(marker)
            holder[leaf] = marker
        bodies.append(json.dumps(message).encode())
    return bodies, markers


def _shapes(marker: str) -> list[str]:
    """How a leak might look: as it is, escaped, encoded wherever it stands in what was encoded, hashed without a key."""
    raw = marker.encode()
    shapes = [marker, quote(marker), quote_plus(marker), json.dumps(marker)[1:-1], repr(raw)[2:-1], raw.hex()]
    shapes += [marker.casefold(), marker.upper(), sha256(raw).hexdigest(), md5(raw).hexdigest()]
    for before, cut in ((0, 0), (1, 2), (2, 3)):
        whole = (before + len(raw)) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            shapes.append(encode(bytes(before) + raw).decode()[cut:whole])
    return shapes


def _found(markers: list[str], texts: list[str]) -> list[tuple[str, str]]:
    return [(m, t[max(0, t.index(s) - 80) :][:200]) for m in markers for s in _shapes(m) for t in texts if s in t]


async def test_promise_8_no_personal_field_leaves_by_any_channel(hub: NatsServer, tmp_path: Path) -> None:
    region = Region(
        tmp_path / "region",
        hub.url,
        mapping=(EXAMPLE / "mappings" / "acme-wms.toml").read_text(),
        policy=(EXAMPLE / "policy.toml").read_text(),
    )
    bodies, markers = _messages()
    markers.append("Zq qty")  # what cannot be translated is not quoted either
    rubbish = [
        bodies[0].replace(b'"NEW"', b'"NONSENSE"').replace(b"sk-0", b"sk-1"),
        bodies[1].replace(b'"qty": 2', b'"qty": "Zq qty"').replace(b"sk-0", b"sk-2"),
        bodies[2][:-20],
    ]
    async with region:
        for body in bodies + rubbish:
            assert (await region.send(body))[0] == 202
        # The key is the sender's own word too: it must not come back in a problem, nor in the log.
        assert (await region.send(rubbish[0], key=quote(markers[0])))[0] == 202
        assert (await region.send(rubbish[1], key=quote(markers[0])))[0] == 409
        status = await region.settled()
        assert status["delivered"] == len(bodies) + 1, "the list of adjustments has two events"
        assert status["dead_lettered"] == len(rubbish) + 1
        messages = await stored(hub.url)
        at_hub = [f"{m.subject}\n{m.headers}\n{m.data.decode()}" for m in messages]
        assert "SO-104711" in at_hub[0], "the order itself did leave"
        at_hub += [m.data.decode() for m in await stored(hub.url, "EU-DE_CHECKPOINTS")]
        shown = [json.dumps(status, ensure_ascii=False)]
        shown += [
            (await region.run(*words))[1] for words in (["letters", "list"], ["letters", "show", "1"], ["status"])
        ]
        async with aiohttp.ClientSession() as http, http.get(f"{region.url}/metrics") as answer:
            shown.append(await answer.text())
        assert await region.stop() == 0
        shown.append(region.log)
    assert not _found(markers, at_hub)
    assert not _found(markers, shown)


def test_every_shape_of_a_leak_is_seen() -> None:
    marker = "Zq name ü07@"
    for before in range(4):
        encoded = base64.b64encode(b"x" * before + marker.encode() + b"and more").decode()
        assert _found([marker], [encoded])
    assert _found([marker], [json.dumps({"a": marker})])
    assert _found([marker], [f"/in/wms?q={quote_plus(marker)}"])
    assert not _found([marker], ["Zq name ü08@"])


async def test_promise_8_a_withheld_event_leaves_a_stub_of_constant_size(hub: NatsServer, tmp_path: Path) -> None:
    policy = 'policy = "closed"\nversion = 1\n[[rules]]\nid = "only-returns"\nwhen = { type = "return.*", class = "business" }\naction = "allow"\n'
    region = Region(tmp_path / "region", hub.url, policy=policy)
    async with region:
        for number, sku in ((1, "A"), (2, "A-very-much-longer-sku-that-would-show-in-the-size")):
            body = json.dumps(
                {"id": f"{number}", "kind": "STOCK", "sku": sku, "qty": number, "at": "2026-03-02T08:14:09Z"}
            )
            assert (await region.send(body.encode()))[0] == 202
        status = await region.settled()
        assert (status["withheld"], status["delivered"]) == (2, 0)
        first, second = await stored(hub.url)
        assert len(first.data) == len(second.data)
        assert first.subject == second.subject == "ev.eu-de.realtime.entrepot.withheld"
        assert set(first.headers) == set(second.headers)
        assert "ce-subject" not in first.headers
        assert "ce-correlationid" not in first.headers
