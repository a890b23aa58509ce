"""The page for partners tells the truth: its requests, run as they stand, pass at the running agent, for every scheme."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest

from adapters.webhook import ADAPTER
from adapters.webhook.schemes import table
from runtime import onboarding as pages
from runtime.config.assemble import Configuration, load_configuration
from runtime.ports import Guide
from tests.packs.golden import expected, samples
from tests.support.nats import free_port
from tests.support.region import Region, fact, until

pytestmark = [pytest.mark.anyio, pytest.mark.needs("curl")]
SECRET = "a secret of 24 characters"
ENCODED = "whsec_" + base64.b64encode(SECRET.encode()).decode()
BY_PLATFORM = {"shipstation-v2"}
"""Only the platform holds the key."""
BY_FIELDS = {"usps", "jws"}
"""A GET cannot be signed."""
ANYBODY = {"none", "caller"}
SHOP = """
[sources.shop]
adapter = "webhook"
pack = "shopify"
auth = { scheme = "shopify", secrets = ["secret://shopify"] }
"""


def secret(scheme: str) -> str:
    row = table()[scheme]
    return ENCODED if row.get("secret_form") == "base64" else SECRET.replace(" ", "-")


def source(scheme: str) -> str:
    secrets = "" if scheme in ANYBODY | BY_PLATFORM else f', secrets = ["secret://{scheme}"]'
    return (
        f'[sources.{scheme}]\nadapter = "webhook"\nmapping = "mapping.toml"\n'
        f'auth = {{ scheme = "{scheme}"{secrets} }}\n'
    )


@pytest.fixture
async def region(tmp_path: Path) -> AsyncIterator[Region]:
    folder = tmp_path / "secrets"
    folder.mkdir()
    for scheme in table():
        (folder / scheme).write_text(secret(scheme))
    more = '[secrets]\ndir = "../secrets"\n' + "".join(map(source, table())) + SHOP
    async with Region(tmp_path / "region", f"nats://127.0.0.1:{free_port()}", more=more) as region:
        yield region


async def onboard(region: Region, name: str) -> dict[str, Any]:
    code, out, err = await region.run("onboard", name, "--json")
    assert code == 0, err
    return dict(json.loads(out))


def guide_of(configuration: Configuration, scheme: str) -> Guide:
    return ADAPTER.guide(configuration.sources[scheme].settings)


async def shell(script: str, folder: Path, **variables: str) -> tuple[int, Any]:
    """Status and body of the request that a script makes."""
    process = await asyncio.create_subprocess_exec(
        "sh", "-euc", script, cwd=folder, env=os.environ | variables, stdout=-1, stderr=-1
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    head, _, body = out.decode().replace("\r\n", "\n").partition("\n\n")
    return int(head.split(" ")[1]), json.loads(body)


async def test_the_requests_of_the_page_pass_for_every_scheme(region: Region, tmp_path: Path) -> None:
    code, out, err = await region.run("access", "grant", "partner", "--scope", "source:caller:*", "--json")
    assert code == 0, err
    key = json.loads(out)["key"]
    configuration = await anyio.to_thread.run_sync(load_configuration, region.config)
    for number, scheme in enumerate(table()):
        told = pages.page(configuration, configuration.sources[scheme], region.url, guide_of(configuration, scheme))
        assert SECRET not in str(told)
        scripts = [command.script for command in told.commands]
        needs = {command.needs for command in told.commands} - {""}
        if scheme in BY_PLATFORM:
            assert scripts == []
            continue
        assert len(scripts) == (2 if scheme in BY_FIELDS else 3), scheme
        folder = tmp_path / scheme
        folder.mkdir()
        body = fact(number) if scheme != "usps" else fact(number, timestamp="2026-01-01T00:00:00Z", payload="p")
        (folder / "message.json").write_bytes(body)
        variables = {"ID": f"id-{number}"} | dict.fromkeys(needs, key if scheme == "caller" else secret(scheme))
        status, tried = await shell(scripts[0], folder, **variables)
        assert (status, tried.get("result")) == (200, "events" if scheme != "jws" else "letter"), (scheme, tried)
        status, receipt = await shell(scripts[1], folder, **variables)
        assert status == 202, (scheme, receipt)
        assert not receipt["duplicate"]
        if scheme not in BY_FIELDS:
            status, fate = await shell(scripts[2], folder, **variables)
            assert (status, fate["intake_seq"]) == (200, receipt["intake_seq"]), (scheme, fate)
        if needs:
            wrong = variables | dict.fromkeys(needs, "wrong-" + secret(scheme)[6:])
            assert [(await shell(script, folder, **wrong))[0] for script in scripts] == [401] * len(scripts), scheme


async def test_without_a_message_of_ones_own_the_page_still_works(region: Region, tmp_path: Path) -> None:
    page = await onboard(region, "shopify")
    status, _ = await shell(page["commands"][1]["script"], tmp_path, SECRET=secret("shopify"))
    assert status == 202
    assert json.loads((tmp_path / "message.json").read_text()) == {"hello": "entrepot"}


async def test_a_message_of_a_pack_is_tried_with_the_headers_that_say_what_it_is(
    region: Region, tmp_path: Path
) -> None:
    sample = next(s for s in samples() if (s.parent.name, s.stem) == ("shopify", "orders-create"))
    (tmp_path / "message.json").write_bytes(sample.read_bytes())
    topic = {name.lower(): value for name, value in expected(sample)["headers"].items()}["x-shopify-topic"]
    page = await onboard(region, "shop")
    assert any("`x-shopify-topic`" in sentence for sentence in page["keys"])
    script = page["commands"][0]["script"] + f" -H 'X-Shopify-Topic: {topic}'"
    status, said = await shell(script, tmp_path, SECRET=secret("shopify"))
    assert (status, said["result"]) == (200, "events"), said
    wanted = [output["type"] for output in expected(sample)["becomes"][0]["outputs"]]
    assert [output["type"] for output in said["outputs"]] == wanted


async def test_a_get_that_nobody_can_sign_is_refused_with_a_sentence(region: Region, tmp_path: Path) -> None:
    for scheme in sorted(BY_FIELDS):
        script = f"curl -sS -i '{region.url}/receipts/{scheme}/m-1' -H 'X-HMAC: x'"
        status, said = await shell(script, tmp_path)
        assert status == 401
        assert "a GET proves nobody" in said["detail"]


async def test_the_page_says_200_where_a_platform_gets_it(region: Region) -> None:
    assert (await onboard(region, "shopify"))["answers"][0][0] == 202
    text = region.config.read_text()
    region.config.write_text(text.replace("[sources.shop]\n", "[sources.shop]\nanswer_status = 200\n"))
    assert (await onboard(region, "shop"))["answers"][0][:2] == [200, pages.ANSWERS[0][1]]


async def test_the_page_for_people_names_places_limits_and_answers(region: Region) -> None:
    code, out, _ = await region.run("onboard", "shopify", "--url", "https://gateway.example/")
    assert code == 0
    for words in (
        "POST https://gateway.example/in/shopify",
        "X-Shopify-Hmac-Sha256",
        "Retry-After",
        "| 409 |",
        "35 days",
    ):
        assert words in out
    code, _, err = await region.run("onboard", "shopfy")
    assert code == 2
    assert "did you mean 'shopify'" in err


async def test_receipts_of_a_signing_source_end_where_its_facts_are(region: Region, tmp_path: Path) -> None:
    """A letter is told with its reason to whoever signs as the source does, and the page's own script asks for it."""
    page = await onboard(region, "sendcloud")
    (tmp_path / "message.json").write_bytes(fact(7, qty="many"))
    variables = {"ID": "order 7", "SECRET": secret("sendcloud")}
    assert (await shell(page["commands"][1]["script"], tmp_path, **variables))[0] == 202

    async def told() -> Any:
        status, fate = await shell(
            page["commands"][2]["script"], tmp_path, KEY_OF_MESSAGE="order%207", SECRET=secret("sendcloud")
        )
        assert status == 200
        return fate if fate["state"] == "letter" else None

    fate = await until(told, "the letter")
    assert (fate["key"], fate["position"]) == ("order 7", "/qty")
