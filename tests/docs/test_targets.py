"""The examples of docs/targets.md load as they stand there, and render what the page shows."""

from __future__ import annotations

import base64
import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from adapters.sdk.renderings import read_rendering
from runtime import plugins
from runtime.config.load import convert
from runtime.ports import TargetContext
from runtime.rendering import event_tree
from tests.support.deliveries import delivery_of

PAGE = (Path(__file__).parents[2] / "docs" / "targets.md").read_text("utf-8")
BLOCK = re.compile(r"^```(\w+) (file|rendered)=(\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [(match[2], match[3], match[4]) for match in BLOCK.finditer(PAGE)]
SHARED = {"adapter"}
"""Keys of the core that the examples name."""
RENDERED = {name: text for kind, name, text in BLOCKS if kind == "rendered"}
SECRET = b"whsec_" + base64.b64encode(bytes(32))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The files of the page; those of one name are one file."""
    for kind, name, text in BLOCKS:
        if kind == "file":
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text((path.read_text("utf-8") if path.exists() else "") + text, "utf-8")
    return tmp_path


@pytest.mark.parametrize("name", ["partner", "wms", "erp", "legacy", "pick"])
def test_an_example_makes_a_target(name: str, place: Path) -> None:
    raw = tomllib.loads((place / "entrepot.toml").read_text("utf-8"))["targets"][name]
    adapter = plugins.target(raw["adapter"], where="the page")
    own = {key: value for key, value in raw.items() if key not in SHARED}
    settings = convert(own, adapter.settings, where="the page", at=f"targets.{name}")
    assert adapter.check(settings, loopback=False) == []
    context = TargetContext(
        name=name,
        region="eu-de",
        secret=lambda _name: SECRET,
        directory=str(place),
        log=lambda _event, **_fields: None,
        now_us=lambda: 0,
    )
    target = adapter.target(settings, context)
    assert target.idempotent
    wants = {"partner": "io.entrepot.shipment.dispatched.v1"}.get(name, "io.entrepot.order.created.v1")
    assert target.wants(wants, {"subject": "A-1"})


@pytest.mark.parametrize("name", list(RENDERED))
def test_an_example_renders_what_the_page_shows(name: str, place: Path) -> None:
    rendering = read_rendering(name, str(place))
    event = msgspec.json.decode((place / "event.json").read_bytes())
    written = rendering.render(event_tree(delivery_of(event), "eu-de"))
    text = written.decode("windows-1252" if rendering.format == "csv" else "utf-8").replace("\r\n", "\n")
    assert text.rstrip("\n") + "\n" == RENDERED[name]


def test_every_example_of_the_page_was_found() -> None:
    assert (len(BLOCKS), len(RENDERED)) == (11, 3)
