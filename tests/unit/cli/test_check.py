"""`entrepot check` names the file, the key, what is wrong, and the nearest valid choice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.example import change, copy_example, entrepot

TOML = "entrepot.toml"
WMS_AUTH = 'dedupe = "key"                  # a repeat is known by the header Idempotency-Key, else by the mapping\'s key\nauth = { scheme = "none" }'
WRONG = [
    (TOML, 'region = "eu-de"', 'regoin = "eu-de"', ["regoin", "did you mean 'region'?"]),
    (TOML, 'region = "eu-de"', "", ["the key 'region' is missing"]),
    (TOML, 'region = "eu-de"', 'region = "EU_DE"', ["region", "a-z, 0-9 and -"]),
    (TOML, 'region = "eu-de"', "region = 7", ["region", "str"]),
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
    (TOML, 'listen = "127.0.0.1:8080"', "body_bytes_max = 0", ["gateway.body_bytes_max", ">= 1"]),
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
