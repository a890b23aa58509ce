"""`entrepot check` names the file, the key, what is wrong, and the nearest valid choice."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from runtime.doctor import files
from runtime.setup import place
from tests.support.example import change, copy_example, entrepot

TOML = "entrepot.toml"
WMS_AUTH = 'dedupe = "key"                  # a repeat is known by the header Idempotency-Key, else by the mapping\'s key\nauth = { scheme = "none" }'
WRONG = [
    (TOML, 'region = "eu-de"', 'regoin = "eu-de"', ["regoin", "did you mean 'region'?"]),
    (TOML, 'region = "eu-de"', "", ["the key 'region' is missing"]),
    (TOML, 'region = "eu-de"', 'region = "EU_DE"', ["region", "a-z, 0-9 and -"]),
    (TOML, 'region = "eu-de"', "region = 7", ["region", "a text"]),
    (TOML, 'jurisdiction = "DE"', 'jurisdiction = "Germany"', ["jurisdiction"]),
    (TOML, 'environment = "test"', 'environment = "tset"', ["environment", "did you mean 'test'?"]),
    (TOML, "[hub]", "[hub", [TOML, "no valid TOML", "line"]),
    (TOML, "[hub]", "[hubs]", ["hubs", "did you mean 'hub'?"]),
    (TOML, "servers =", "server =", ["hub.server", "did you mean 'servers'?"]),
    (TOML, "servers = [", "servers = [] #", ["hub.servers"]),
    (TOML, 'servers = ["nats://', 'servers = ["', ["hub.servers[0]", "tls://HOST:PORT"]),
    (TOML, 'servers = ["nats://', 'servers = ["https://', ["hub.servers[0]", "tls://HOST:PORT"]),
    (TOML, 'servers = ["nats://', 'servers = ["nats://ada:word@', ["hub.servers[0]", "user and password"]),
    (TOML, "[hub]", '[hub]\ncredentials = "away.creds"', [TOML, "[hub] credentials", "away.creds"]),
    (TOML, "[hub]", '[hub]\ncredentials = "policy.toml"', [TOML, "[hub] credentials", "BEGIN NATS USER JWT"]),
    (TOML, "[hub]", '[hub]\ntls_ca = "policy.toml"', [TOML, "[hub] tls_ca"]),
    (TOML, 'data_dir = "state"', 'data_dir = "policy.toml"', [TOML, "data_dir", "policy.toml is no folder"]),
    (TOML, "manage_streams = true", 'manage_streams = "yes"', ["hub.manage_streams"]),
    (TOML, 'listen = "127.0.0.1:8080"', 'listen = "8080"', ["gateway.listen", "host:port"]),
    (TOML, 'listen = "127.0.0.1:8080"', 'listen = "0.0.0.0:8080"', ["sources.", "loopback", "hmac-sha256"]),
    (TOML, 'listen = "127.0.0.1:8080"', "body_bytes_max = 0", ["gateway.body_bytes_max", "at least 1"]),
    (TOML, 'policy = "policy.toml"', 'policy = "polcy.toml"', ["residency.policy", "polcy.toml does not exist", "policy.toml"]),
    (TOML, '[lanes.bulk] ', '[lanes.blk] ', ["routes[0].lane is 'bulk'", "'blk'"]),
    (TOML, "[lanes.realtime]", "[lanes.checkpoints]", ["'checkpoints'", "reserved"]),
    (TOML, '[lanes.realtime]', '[lanes."Real Time"]', ["a-z, 0-9 and -"]),
    (TOML, 'when = { type', 'when = { tpye', ["routes[0].when.tpye", "did you mean 'type'?"]),
    (TOML, 'adapter = "file_drop"', 'adapter = "file-drop"', ["sources.legacy.adapter", "did you mean 'file_drop'?"]),
    (TOML, 'adapter = "file_drop"', "", ["sources.legacy.adapter", "missing"]),
    (TOML, 'path = "drops/legacy"', 'pth = "drops/legacy"', ["sources.legacy", "pth", "path"]),
    (TOML, "poll_seconds = 0.25", "poll_seconds = 0", ["sources.legacy.poll_seconds"]),
    (TOML, 'on_letter = "pass"', 'on_letter = "stop"', ["sources.wms.on_letter", "'pass'", "'park'"]),
    (TOML, 'dedupe = "key"', 'dedupe = "keys"', ["sources.wms.dedupe", "did you mean 'key'?"]),
    (TOML, 'mapping = "mappings/acme-wms.toml"', 'mapping = "mappings/acme-wsm.toml"', [TOML, "sources.wms.mapping", "mappings/acme-wsm.toml does not exist", "'acme-wms.toml'"]),
    (TOML, 'mapping = "mappings/acme-wms.toml"', 'mapping = "maps/acme-wms.toml"', ["sources.wms.mapping", "maps", "'mappings/acme-wms.toml'"]),
    (TOML, 'mapping = "mappings/acme-wms.toml"', "", ["sources.wms", "mapping", "translator"]),
    (TOML, WMS_AUTH, 'dedupe = "key"', ["sources.wms.auth", "missing"]),
    (TOML, WMS_AUTH, 'auth = { scheme = "hmac" }', ["sources.wms", "hmac"]),
    (TOML, WMS_AUTH, 'auth = { scheme = "bearer", secrets = ["secret://wms"] }', ["sources.wms.auth.secrets[0]", "'wms'"]),
    (TOML, WMS_AUTH, 'auth = { scheme = "bearer", secrets = ["hunter2"] }', ["sources.wms.auth.secrets", 'write "secret://NAME"']),
    ("mappings/acme-wms.toml", "version = 3", "version = three", ["acme-wms.toml", "no valid TOML"]),
    ("mappings/acme-wms.toml", 'type = "order.created"', 'type = "order.craeted"', ["order.craeted", "'order.created'"]),
    ("mappings/acme-wms.toml", 'order_id = "order.no"', 'ordre_id = "order.no"', ["ordre_id", "'order_id'"]),
    ("policy.toml", 'action = "mask"', 'action = "maks"', ["policy.toml", "maks", "'mask'"]),
    ("policy.toml", 'class = "business.confidential"', 'class = "busines.confidential"', ["policy.toml", "busines.confidential"]),
]  # fmt: skip


@pytest.mark.parametrize(("file", "old", "new", "told"), WRONG, ids=[f"{w[2] or w[1] + ' left out'}" for w in WRONG])
def test_what_is_wrong_is_named(
    file: str, old: str, new: str, told: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = copy_example(tmp_path)
    change(tmp_path / file, old, new)
    said = entrepot(capsys, "check", "--config", config)
    assert said.code == 2
    assert not said.out
    sentence = said.err.splitlines()[0]
    assert sentence.startswith("entrepot: ")
    assert "defect" not in sentence
    assert [part for part in told if part not in said.err] == []


@pytest.mark.parametrize(("file", "old", "new", "told"), WRONG[:3])
def test_the_agent_does_not_start_with_it(
    file: str, old: str, new: str, told: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = copy_example(tmp_path)
    change(tmp_path / file, old, new)
    said = entrepot(capsys, "run", "--config", config)
    assert said.code == 2
    assert [part for part in told if part not in said.err] == []
    assert not (tmp_path / "state").exists()


def test_a_secret_without_a_folder_for_secrets_is_one_clear_sentence_also_at_the_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = copy_example(tmp_path)
    change(config, WMS_AUTH, 'auth = { scheme = "bearer", secrets = ["secret://wms"] }')
    for verb in ("check", "run"):
        said = entrepot(capsys, verb, "--config", config)
        assert said.code == 2
        assert "sources.wms.auth.secrets[0]: secret 'wms' cannot be looked up: no [secrets] dir" in said.err
        assert "secrets/wms" in said.err


def test_a_secret_is_never_quoted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = copy_example(tmp_path)
    change(config, WMS_AUTH, 'auth = { scheme = "bearer", secrets = ["hunter2"] }')
    said = entrepot(capsys, "check", "--config", config)
    assert "hunter2" not in said.err + said.out


def test_the_example_fits_and_its_open_doors_are_warned_about(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = entrepot(capsys, "check", "--config", copy_example(tmp_path))
    assert said.code == 1
    assert "sources.wms: anyone on this machine can send" in said.out
    assert "3 sources, 2 lanes; 2 warnings" in said.out


def test_a_configuration_without_a_warning_is_fine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = copy_example(tmp_path)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "partner").write_text("0123456789abcdef0123456789abcdef\n")
    change(config, 'auth = { scheme = "none" }', 'auth = { scheme = "bearer", secrets = ["secret://partner"] }')
    change(config, "[residency]", '[secrets]\ndir = "secrets"\n[residency]')
    said = entrepot(capsys, "check", "--config", config)
    assert (said.code, said.err) == (0, "")
    assert "everything fits" in said.out


def test_for_programs_the_answer_is_an_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = entrepot(capsys, "check", "--json", "--config", copy_example(tmp_path)).json()
    assert answer["sources"] == ["carrier", "legacy", "wms"]
    assert len(answer["warnings"]) == 2


def test_check_makes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = copy_example(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    entrepot(capsys, "check", "--config", config)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_secret_that_its_scheme_cannot_use_is_named_with_its_source(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = copy_example(tmp_path)
    change(config, WMS_AUTH, 'auth = { scheme = "standard-webhooks", secrets = ["secret://wms"] }')
    change(config, "[residency]", '[secrets]\ndir = "secrets"\n[residency]')
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "wms").write_text("whsec_ no Base64 !")
    said = entrepot(capsys, "check", "--config", config)
    assert said.code == 2
    assert "sources.wms: the secret is not Base64" in said.err
    assert "no Base64 !" not in said.err


ORDER_SCHEMA = '{"type": "object", "required": ["order"]}'
WMS_MAPPING = 'mapping = "mappings/acme-wms.toml"'


@pytest.mark.parametrize(
    ("line", "content", "told"),
    [
        ('schema = "schemas/away.json"', ORDER_SCHEMA, "schemas/away.json cannot be read (No such file or directory)"),
        ('schema = "schemas"', ORDER_SCHEMA, "schemas cannot be read (Is a directory)"),
        ('schema = "schemas/wms.json"', "{", "schemas/wms.json is no valid JSON"),
        ('schema = "schemas/wms.json"', '{"$ref": "https://a.example/b"}', "leads out of the file"),
        ('schema = "schemas/wms.json"', '{"type": "objekt"}', "no JSON Schema that can be used"),
        ('schema = "schemas/wms.json"', b"\xff", "is not UTF-8 text"),
    ],
)
def test_a_schema_that_cannot_be_used_is_named_with_its_key(
    line: str, content: str | bytes, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = copy_example(tmp_path)
    change(config, WMS_MAPPING, f"{WMS_MAPPING}\n{line}")
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "wms.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    said = entrepot(capsys, "check", "--config", config)
    assert said.code == 2
    assert "sources.wms.schema: " in said.err
    assert told in said.err


def test_a_schema_stands_in_the_digest_and_a_source_of_files_has_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = copy_example(tmp_path)
    change(config, WMS_MAPPING, f'{WMS_MAPPING}\nschema = "wms.json"')
    digests = set()
    for text in (ORDER_SCHEMA, ORDER_SCHEMA.replace("order", "orders")):
        (tmp_path / "wms.json").write_text(text)
        digests.add(entrepot(capsys, "check", "--json", "--config", config).json()["digest"])
    assert len(digests) == 2
    change(config, 'adapter = "file_drop"', 'adapter = "file_drop"\nschema = "wms.json"')
    said = entrepot(capsys, "check", "--config", config)
    assert (said.code, "sources.legacy.schema: the adapter file_drop receives no HTTP" in said.err) == (2, True)


def test_something_else_in_the_place_of_a_drop_folder_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = copy_example(tmp_path)
    (tmp_path / "drops").mkdir()
    (tmp_path / "drops" / "legacy").write_text("")
    said = entrepot(capsys, "check", "--config", config)
    assert (said.code, "sources.legacy: path: " in said.err, "is no folder" in said.err) == (2, True, True)
    (tmp_path / "drops" / "legacy").unlink()
    (tmp_path / "drops" / "legacy" / "done").mkdir(parents=True)
    assert entrepot(capsys, "check", "--config", config).code == 1
    (tmp_path / "drops" / "legacy" / "failed").write_text("")
    said = entrepot(capsys, "check", "--config", config)
    assert (said.code, "legacy/failed is no folder" in said.err) == (2, True)


def test_something_else_in_the_place_of_the_journal_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = copy_example(tmp_path)
    journal = tmp_path / "state" / "journal.db"
    journal.mkdir(parents=True)
    said = entrepot(capsys, "check", "--config", config)
    assert (said.code, "data_dir: " in said.err, "is a folder" in said.err) == (2, True, True)
    journal.rmdir()
    journal.write_bytes(b"not a database" * 20)
    said = entrepot(capsys, "check", "--config", config)
    assert (said.code, "is not a database" in said.err) == (2, True)
    journal.unlink()
    assert entrepot(capsys, "check", "--config", config).code == 1


def test_root_is_told_what_the_agents_user_may_not_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = copy_example(tmp_path)
    monkeypatch.setattr(place, "SYSTEM_FOLDER", tmp_path)
    stranger = place.Owner(os.getuid() + 1, os.getgid() + 1)
    monkeypatch.setattr(place, "agent_user", lambda: stranger)
    monkeypatch.setattr(
        files, "_may", lambda owner, found, *bits: bool(found.st_mode & bits[2]) or not stat.S_ISREG(found.st_mode)
    )
    for file in tmp_path.rglob("*"):
        if file.is_file():
            file.chmod(0o644)
    assert "may not read" not in entrepot(capsys, "check", "--config", config).out
    closed = tmp_path / "mappings" / "acme-wms.toml"
    closed.chmod(0o640)
    warnings = entrepot(capsys, "check", "--json", "--config", config).json()["warnings"]
    [told] = [warning for warning in warnings if "may not read" in warning]
    assert f"the user entrepot, who may not read {closed};" in told
    assert "chgrp entrepot" in told
