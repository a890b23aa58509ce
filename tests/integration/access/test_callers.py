"""Callers of a running agent: let in and out at once, told apart, limited, and written down; the hub is not needed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.nats import free_port
from tests.support.region import Region, fact, until

pytestmark = pytest.mark.anyio
MORE = """
[sources.dhl]
adapter = "webhook"
mapping = "mapping.toml"
auth = { scheme = "caller" }
[sources.ups]
adapter = "webhook"
mapping = "mapping.toml"
auth = { scheme = "caller" }
[access.roles]
carrier = ["source:dhl:write", "source:dhl:check"]
"""


@pytest.fixture
async def region(tmp_path: Path) -> AsyncIterator[Region]:
    async with Region(tmp_path / "region", f"nats://127.0.0.1:{free_port()}", more=MORE) as region:
        yield region


async def access(region: Region, *words: str) -> Any:
    code, out, err = await region.run("access", *words, "--json")
    assert code == 0, out + err
    return json.loads(out)


async def ask(
    region: Region, path: str, key: str = "", body: bytes | None = None, method: str = "POST", **headers: str
) -> tuple[int, Any, dict[str, str]]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if key:
        named["authorization"] = f"Bearer {key}"
    async with (
        aiohttp.ClientSession() as http,
        http.request(method, f"{region.url}{path}", data=body, headers=named) as answer,
    ):
        return answer.status, await answer.json(content_type=None), dict(answer.headers)


async def status(region: Region, path: str, key: str = "", number: int = 1) -> int:
    return (await ask(region, path, key, fact(number)))[0]


async def entries(region: Region, event: str) -> list[dict[str, Any]]:
    audit = await access(region, "audit")
    assert audit["ok"]
    return [entry for entry in audit["entries"] if entry["event"] == event]


async def test_a_caller_is_let_in_where_it_was_granted_and_nowhere_else(region: Region) -> None:
    assert await status(region, "/in/dhl") == 401
    granted = await access(region, "grant", "dhl-de", "--role", "carrier")
    key = granted["key"]
    assert await status(region, "/in/dhl", key) == 202
    assert await status(region, "/in/ups", key) == 403
    assert await status(region, "/in/dhl", key[:-2] + "xx") == 401
    await access(region, "grant", "dhl-de", "--scope", "source:ups:write")
    assert await status(region, "/in/ups", key) == 202
    await access(region, "revoke", "dhl-de", "--scope", "source:ups:write")
    assert await status(region, "/in/ups", key) == 403
    await access(region, "revoke", "dhl-de")
    assert await status(region, "/in/dhl", key) == 401


async def test_the_old_key_of_a_rotation_holds_for_the_named_time_and_no_longer(region: Region) -> None:
    old = (await access(region, "grant", "dhl-de", "--role", "carrier"))["key"]
    second = (await access(region, "rotate", "dhl-de", "--overlap", "1h"))["key"]
    assert [await status(region, "/in/dhl", key) for key in (old, second)] == [202, 202]
    third = (await access(region, "rotate", "dhl-de", "--overlap", "0h"))["key"]
    assert [await status(region, "/in/dhl", key) for key in (old, second, third)] == [401, 401, 202]


async def test_the_log_tells_every_decision_and_holds_no_secret(region: Region) -> None:
    key = (await access(region, "grant", "dhl-de", "--role", "carrier"))["key"]
    for _ in range(3):
        await status(region, "/in/dhl", key)
        await status(region, "/in/ups", key)
        await status(region, "/in/dhl", "entk_000000000000_" + "A" * 43)
    await region.run("reload")
    by = {(e["caller"], e["reason"], e["source"], e["count"]) for e in await entries(region, "denied")}
    assert by == {("dhl-de", "scope", "ups", 1), ("", "unknown", "dhl", 1)}
    assert [(e["caller"], e["count"]) for e in await entries(region, "used")] == [("dhl-de", 1)]
    assert [e["verb"] for e in await entries(region, "administered")] == ["reload"]
    await region.stop()
    assert ("dhl-de", 2) in [(e["caller"], e["count"]) for e in await entries(region, "used")]
    assert {e["count"] for e in await entries(region, "denied")} == {1, 2}
    secret = key.split("_", 2)[2].encode()
    assert secret not in region.log.encode()
    for file in region.state.rglob("*"):
        assert not file.is_file() or secret not in file.read_bytes(), file


async def test_the_log_cannot_be_changed_and_a_forced_change_is_found(region: Region) -> None:
    await access(region, "grant", "dhl-de", "--role", "carrier")
    await access(region, "revoke", "dhl-de")
    await region.stop()
    journal = sqlite3.connect(region.state / "journal.db", isolation_level=None)
    try:
        for statement in (
            "UPDATE access_log SET entry = '{}'",
            "DELETE FROM access_log",
            "INSERT OR REPLACE INTO access_log SELECT 1, '{}', chain FROM access_log WHERE number = 1",
        ):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                journal.execute(statement)
        journal.execute("DROP TRIGGER access_log_is_not_shortened")
        journal.execute("DELETE FROM access_log WHERE number = (SELECT max(number) FROM access_log)")
    finally:
        journal.close()
    code, out, _ = await region.run("access", "audit", "--json")
    assert code == 2
    assert "more were written" in out or "were written" in json.loads(out)["problem"]


async def test_grants_work_on_a_stopped_agent_and_hold_after_its_start(region: Region) -> None:
    await region.stop()
    key = (await access(region, "grant", "dhl-de", "--role", "carrier", "--requests-per-day-max", "2"))["key"]
    await region.start()
    assert [await status(region, "/in/dhl", key, number) for number in range(3)] == [202, 202, 429]
    await region.stop()
    await region.start()
    code, _, headers = await ask(region, "/in/dhl", key, fact(9))
    assert code == 429, "a restart gave the caller a second day"
    assert int(headers["Retry-After"]) <= 86_400
    assert headers["RateLimit-Policy"] == '"day";q=2;w=86400'
    assert headers["RateLimit"].startswith('"day";r=0;t=')


async def test_a_caller_is_told_what_is_left_and_to_wait(region: Region) -> None:
    limits = ("--rate-per-second", "0.001", "--burst", "2")
    key = (await access(region, "grant", "dhl-de", "--role", "carrier", *limits))["key"]
    other = (await access(region, "grant", "dhl-fr", "--role", "carrier"))["key"]
    code, _, headers = await ask(region, "/in/dhl", key, fact(1))
    assert (code, headers["RateLimit-Policy"]) == (202, '"rate";q=2;w=2000')
    assert headers["RateLimit"].startswith('"rate";r=1;t=')
    assert await status(region, "/in/dhl", key, 2) == 202
    code, said, headers = await ask(region, "/in/dhl", key, fact(3))
    assert (code, said["retryable"]) == (429, True)
    assert int(headers["Retry-After"]) > 900
    assert await status(region, "/in/dhl", other, 3) == 202, "one caller's limit holds for that caller alone"


async def test_a_role_that_is_changed_by_a_reload_counts_at_once(region: Region) -> None:
    key = (await access(region, "grant", "dhl-de", "--role", "carrier"))["key"]
    assert await status(region, "/in/ups", key) == 403
    text = region.config.read_text()
    region.config.write_text(text.replace('"source:dhl:check"]', '"source:dhl:check", "source:ups:write"]'))
    code, out, err = await region.run("reload", "--json")
    assert code == 0, err
    assert [change["part"] for change in json.loads(out)["changes"]] == ["access"]
    assert await status(region, "/in/ups", key) == 202


async def test_a_message_is_tried_without_leaving_a_fact(region: Region) -> None:
    key = (await access(region, "grant", "dhl-de", "--role", "carrier"))["key"]
    code, good, _ = await ask(region, "/check/dhl", key, fact(1))
    assert (code, good["result"], good["key"]) == (200, "events", "m-1")
    assert [output["type"] for output in good["outputs"]] == ["stock.snapshot"]
    assert good["outputs"][0]["data"]["sku"] == "A-1"
    code, bad, _ = await ask(region, "/check/dhl", key, fact(2, qty="many"))
    assert (code, bad["result"], bad["position"]) == (200, "letter", "/qty")
    assert (await ask(region, "/check/dhl", key, fact(3, kind="PING")))[1]["outputs"][0]["ignored"] == "heartbeat"
    assert (await ask(region, "/check/dhl", "", fact(1)))[0] == 401
    assert (await ask(region, "/check/ups", key, fact(1)))[0] == 403
    assert (await ask(region, "/check/dhl", key, method="GET"))[0] == 405
    assert (await region.status())["facts"] == 0


async def test_a_caller_learns_what_became_of_its_own_messages_alone(region: Region) -> None:
    scopes = ("--role", "carrier", "--scope", "source:dhl:receipts")
    mine = (await access(region, "grant", "dhl-de", *scopes))["key"]
    other = (await access(region, "grant", "dhl-fr", *scopes))["key"]
    await ask(region, "/in/dhl", mine, fact(1), idempotency_key="order/1 #2")
    await ask(region, "/in/dhl", mine, fact(2, qty="many"))

    async def fate(key: str, caller: str = mine) -> tuple[int, Any]:
        code, said, _ = await ask(region, f"/receipts/dhl/{key}", caller, method="GET")
        return code, said

    async def translated() -> bool:
        return (await fate("m-2"))[1]["state"] == "letter"

    await until(translated, "the second message is a letter")
    code, letter = await fate("m-2")
    assert (code, letter["position"]) == (200, "/qty")
    assert letter["reason"]
    code, sent = await fate("order%2F1%20%232")
    assert (code, sent["state"], sent["intake_seq"]) == (200, "translated", 1)
    assert [event["type"] for event in sent["events"]] == ["stock.snapshot"]
    assert (await fate("m-2", other))[0] == 404, "another caller's receipt"
    assert (await fate("m-9"))[0] == 404
    assert (await fate("m-2", ""))[0] == 401
    assert (await fate("m-2", other))[1].keys() == (await fate("m-9"))[1].keys(), "the two must look alike"


async def test_a_source_that_signs_shows_receipts_to_whoever_has_a_key_for_them(region: Region) -> None:
    assert await status(region, "/in/wms") == 202
    key = (await access(region, "grant", "shop", "--scope", "source:wms:receipts"))["key"]
    code, said, _ = await ask(region, "/receipts/wms/m-1", key, method="GET")
    assert (code, said["intake_seq"]) == (200, 1)
    no = (await access(region, "grant", "shop-2", "--scope", "source:dhl:receipts"))["key"]
    assert (await ask(region, "/receipts/wms/m-1", no, method="GET"))[0] == 403


async def test_bad_words_are_one_sentence_with_a_next_step(region: Region) -> None:
    for words, said in (
        (("grant", "dhl-de", "--scope", "source:dhl:wirte"), "did you mean 'write'"),
        (("grant", "dhl-de", "--role", "carier"), "did you mean 'carrier'"),
        (("grant", "dhl-de"), "would be allowed nothing"),
        (("grant", "Mr X", "--role", "carrier"), "is no name"),
        (("rotate", "nobody"), "there is no caller"),
        (("revoke",), "revoke what?"),
        (("revoke", "--jti", "x"), "no identity provider"),
        (("grant", "x", "--role", "carrier", "--expires", "soon"), "is no time span"),
        (("grant", "x", "--role", "carrier", "--fingerprint", "zz"), "64 hex digits"),
    ):
        code, out, err = await region.run("access", *words)
        assert code == 2, out + err
        assert said in err
        assert "Traceback" not in err
