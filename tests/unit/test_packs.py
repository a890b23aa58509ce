"""Installed packs are found through entry points, in the configuration and on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runtime import packs
from runtime.config.assemble import load_configuration
from runtime.errors import ConfigError
from tests.support.example import change, copy_example, entrepot

LINE = '[sources.shop]\nadapter = "webhook"\nlane = "realtime"\nauth = { scheme = "none" }\n'


def configured(tmp_path: Path, lines: str) -> Path:
    tmp_path.mkdir(exist_ok=True)
    path = copy_example(tmp_path)
    path.write_text(path.read_text() + LINE + lines)
    return path


def test_a_source_with_a_pack_is_translated_by_it_and_its_digest_is_part_of_the_configuration(tmp_path: Path) -> None:
    first = load_configuration(configured(tmp_path / "a", 'pack = "csv-stock"\n'))
    second = load_configuration(configured(tmp_path / "b", 'pack = "csv-stock"\noptions = { sku = "Artikel" }\n'))
    assert first.sources["shop"].rules.translator.version.startswith("csv-stock 1 (")
    assert first.digest != second.digest


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ('pack = "csv-stock"\nmapping = "mappings/acme-wms.toml"\n', "sources.shop has mapping and pack"),
        ("", "sources.shop does not say how its messages are translated"),
        ('pack = "csv-stok"\n', "sources.shop.pack: there is no pack 'csv-stok'; did you mean 'csv-stock'"),
        ('pack = "csv-stock"\noptions = { skuu = "x" }\n', "sources.shop.pack: csv-stock/pack.toml: options.skuu"),
        ('mapping = "mappings/acme-wms.toml"\noptions = { sku = "x" }\n', "options are those of a pack"),
    ],
)
def test_a_mistake_with_a_pack_is_one_sentence_with_its_place(tmp_path: Path, lines: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_configuration(configured(tmp_path, lines))
    assert says in str(caught.value)


def test_the_command_lists_packs_and_shows_one(capsys: pytest.CaptureFixture[str]) -> None:
    listed = json.loads(entrepot(capsys, "packs", "list", "--json").out)
    assert "csv-stock" in {entry["pack"] for entry in listed}
    shown = json.loads(entrepot(capsys, "packs", "show", "csv-stock", "--json").out)
    assert [message["events"] for message in shown["messages"]] == [["stock.snapshot"]]
    assert "csv-stock" in entrepot(capsys, "packs", "show", "csv-stock").out


def test_a_pack_that_does_not_exist_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    said = entrepot(capsys, "packs", "show", "csv-stok")
    assert (said.code, "did you mean 'csv-stock'" in said.err) == (2, True)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["x.toml"], "takes a mapping and at least one message"),
        (["x.toml", "y.json", "--option", "a=b"], "--option is for a pack"),
        (["y.json", "--pack", "csv-stock", "--header", "oops"], "--header takes NAME:VALUE"),
        (["y.json", "--pack", "csv-stok"], "did you mean 'csv-stock'"),
    ],
)
def test_a_trial_with_wrong_words_is_one_sentence(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = entrepot(capsys, "map", "test", *words)
    assert (said.code, says in said.err) == (2, True)


@pytest.mark.parametrize("name", [name for name in packs.names() if packs.load(name).manifest.platform.scheme])
def test_a_source_is_configured_with_the_pack_and_the_signature_scheme_that_it_names(name: str, tmp_path: Path) -> None:
    scheme = packs.load(name).manifest.platform.scheme
    auth = f'auth = {{ scheme = "{scheme}", secrets = ["secret://shop-new", "secret://shop-old"] }}\n'
    path = configured(tmp_path, f'pack = "{name}"\n')
    change(path, 'auth = { scheme = "none" }\npack', auth + "pack")
    source = load_configuration(path).sources["shop"]
    assert source.rules.translator.headers == packs.load(name).headers
