"""The first run: every wrong answer is a sentence, the result passes `check`, and nobody's work is overwritten."""

from __future__ import annotations

import io
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import nkeys
import pytest

from runtime.config.assemble import load_configuration
from runtime.errors import ConfigError
from runtime.setup import answers, documents, place
from runtime.setup.dialogue import Dialogue
from tests.support.example import entrepot

BASIS = 'region = "eu-de"\njurisdiction = "DE"\nenvironment = "test"\n'
SOURCES = '[sources.wms]\n[sources.carrier]\nauth = "bearer"\n[sources.legacy]\nadapter = "file_drop"\n'


def answered(folder: Path, text: str = BASIS + SOURCES) -> Path:
    file = folder / "answers.toml"
    file.write_text(text)
    return file


def creds(folder: Path) -> Path:
    seed = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER).decode()
    jwt = "eyJ0eXAiOiJKV1QifQ.eyJleHAiOjB9.c2ln"
    file = folder / "region.creds"
    file.write_text(
        f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n"
        f"-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )
    return file


def state_of(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(folder)): (path.read_bytes() if path.is_file() else b"", path.stat().st_mode)
        for path in sorted(folder.rglob("*"))
    }


def test_answers_make_a_region_that_passes_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "region" / "entrepot.toml"
    said = entrepot(capsys, "init", "--answers", answered(tmp_path), "--config", config, "--json")
    assert said.code == 0
    configuration = load_configuration(config)
    assert sorted(configuration.sources) == ["carrier", "legacy", "wms"]
    assert configuration.policy.rules == ()
    public = (tmp_path / "region" / "state" / "identity" / "signing.pub").read_text().strip()
    told = said.json()
    assert (told["public_key"], told["changed"]) == (public, True)
    assert len(told["fingerprint"]) == 16
    assert told["next"] == [f"entrepot run --config {config}", f"entrepot doctor --config {config}"]
    assert entrepot(capsys, "check", "--config", config).code == 1


def test_keys_and_secrets_are_for_the_agent_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "region" / "entrepot.toml"
    entrepot(capsys, "init", "--answers", answered(tmp_path), "--config", config)
    modes = {name: stat.S_IMODE(mode) for name, (_, mode) in state_of(config.parent).items()}
    private = {
        "secrets",
        "secrets/wms",
        "state/identity",
        "state/identity/signing.key",
        "state/identity/commitment.key",
    }
    assert {name for name in private if modes[name] & 0o077} == set()
    assert {name for name, mode in modes.items() if mode & 0o007} == {"state/identity/signing.pub"}
    secrets = [(config.parent / "secrets" / name).read_text() for name in ("wms", "carrier")]
    assert len(set(secrets)) == 2
    assert {len(secret) for secret in secrets} == {65}


@pytest.fixture
def passable() -> Iterator[Path]:
    """A folder that another user gets to: the one that pytest gives lies behind a closed door."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_the_agents_user_owns_what_it_must_keep_and_root_the_rest(
    passable: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    uid, gid = (65_534, 65_534) if os.geteuid() == 0 else (os.getuid(), os.getgid())
    monkeypatch.setattr(place, "agent_user", lambda: place.Owner(uid, gid))
    config = passable / "region" / "entrepot.toml"
    assert entrepot(capsys, "init", "--answers", answered(passable), "--config", config, "--json").code == 0
    assert os.geteuid() == os.getuid()
    owners = {name: (config.parent / name).stat() for name in state_of(config.parent)}
    agents = {name for name, found in owners.items() if found.st_uid == uid}
    assert {"state", "state/identity/signing.key", "secrets", "secrets/wms"} <= agents
    assert {found.st_gid for found in owners.values()} == {gid}
    if os.geteuid() == 0:
        assert agents & {"entrepot.toml", "policy.toml", "mappings"} == set()


def test_the_same_answers_change_nothing_not_even_after_somebody_has_edited_the_result(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "region" / "entrepot.toml"
    words = ("init", "--answers", answered(tmp_path), "--config", config, "--json")
    entrepot(capsys, *words)
    config.write_text(config.read_text() + "\n[evidence]\ncheckpoint_seconds = 5\n")
    (config.parent / "policy.toml").write_text('policy = "mine"\nversion = 4\n')
    before = state_of(config.parent)
    said = entrepot(capsys, *words)
    assert (said.code, said.json()["changed"]) == (0, False)
    assert state_of(config.parent) == before


def test_what_is_missing_is_made_again_but_never_a_key_of_a_journal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "region" / "entrepot.toml"
    words = ("init", "--answers", answered(tmp_path), "--config", config, "--json")
    entrepot(capsys, *words)
    (config.parent / "mappings" / "wms.toml").unlink()
    said = entrepot(capsys, *words)
    assert [name for name, what in said.json()["files"].items() if what == "written"] == [
        str(config.parent / "mappings" / "wms.toml")
    ]
    (config.parent / "state" / "journal.db").write_bytes(b"x")
    (config.parent / "state" / "identity" / "signing.key").unlink()
    said = entrepot(capsys, *words)
    assert said.code == 2
    assert "signing.key" in said.json()["error"]
    assert not (config.parent / "state" / "identity" / "signing.key").exists()


@pytest.mark.parametrize(
    "there", ['region = "mine"\n', "not even TOML [", f"{documents.MARK}{'0' * 64}\nregion = 'x'\n"]
)
def test_a_configuration_that_is_there_is_refused_and_nothing_is_written(
    there: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "region" / "entrepot.toml"
    config.parent.mkdir()
    config.write_text(there)
    before = state_of(config.parent)
    said = entrepot(capsys, "init", "--answers", answered(tmp_path), "--config", config)
    assert said.code == 2
    assert "it is not overwritten" in said.err
    assert "move it away" in said.err
    assert state_of(config.parent) == before


def test_the_unanswered_file_of_a_package_is_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "region" / "entrepot.toml"
    config.parent.mkdir()
    config.write_text(documents.TEMPLATE)
    assert "`entrepot init` asks" in entrepot(capsys, "check", "--config", config).err
    (config.parent / "policy.toml").write_text('policy = "mine"\nversion = 4\n')
    said = entrepot(capsys, "init", "--answers", answered(tmp_path), "--config", config, "--json")
    assert said.json()["files"][str(config.parent / "policy.toml")] == "kept"
    assert load_configuration(config).policy.name == "mine"


def test_credentials_of_another_kind_are_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "region" / "entrepot.toml"
    (config.parent / "secrets").mkdir(parents=True)
    (config.parent / "secrets" / "hub.creds").write_text("those of yesterday")
    text = BASIS + f'[hub]\nservers = ["tls://hub.example:4222"]\ncredentials = "{creds(tmp_path).name}"\n'
    said = entrepot(capsys, "init", "--answers", answered(tmp_path, text), "--config", config)
    assert said.code == 2
    assert "hub.creds is there with another content" in said.err
    assert not config.exists()
    (config.parent / "secrets" / "hub.creds").unlink()
    assert entrepot(capsys, "init", "--answers", answered(tmp_path, text), "--config", config).code == 0
    assert (config.parent / "secrets" / "hub.creds").read_bytes() == creds_of(tmp_path)
    assert 'credentials = "secret://hub.creds"' in config.read_text()


def creds_of(folder: Path) -> bytes:
    return (folder / "region.creds").read_bytes()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("region", "regoin", ["'regoin'", "did you mean 'region'?"]),
        ('region = "eu-de"\n', "", ["the key 'region' is missing"]),
        ('"eu-de"', '"EU_DE"', ["region: 'EU_DE'", "a-z, 0-9 and -", "did you mean 'eu-de'?"]),
        ('"DE"', '"Germany"', ["jurisdiction: 'Germany' is no country code", "DE, FR"]),
        ('"DE"', '"DF"', ["jurisdiction: 'DF'", "did you mean"]),
        ('"test"', '"prd"', ["environment is 'prd'", "did you mean 'prod'?"]),
        ('"test"\n', '"test"\nlisten = "8080"\n', ["listen", "host:port"]),
        ('"test"\n', '"test"\n[hub]\nservers = []\n', ["hub.servers"]),
        ('"test"\n', '"test"\n[hub]\nservers = ["nat://h:1"]\n', ["hub.servers[0]", "'nat'", "'nats'"]),
        ('"test"\n', '"test"\n[hub]\nservers = ["hub.example"]\n', ["did you mean 'tls://hub.example:4222'?"]),
        ('"test"\n', '"test"\n[hub]\nservers = ["tls://h:99999"]\n', ["no usable port"]),
        ('"test"\n', '"test"\n[hub]\nservers = ["tls://me:pw@h:1"]\n', ["no user or password", "credentials file"]),
        ('"test"\n', '"test"\n[hub]\nreplicas = 9\n', ["hub.replicas"]),
        ('"test"\n', '"test"\n[hub]\ncredentials = "answer.toml"\n', ["hub.credentials", "did you mean 'answers.toml'?"]),
        ('"test"\n', '"test"\n[hub]\ncredentials = "answers.toml"\n', ["hub.credentials", "BEGIN NATS USER JWT"]),
        ('"test"\n', '"test"\n[hub]\nca = "answers.toml"\n', ["hub.ca", "tls_ca"]),
        ('"test"\n', '"test"\n[sources.erp]\n[sources.wms]\nadapter = "web-hook"\n', ["sources.wms.adapter", "did you mean 'webhook'?"]),
        ('"test"\n', '"test"\n[sources."My WMS"]\n', ["sources: 'My WMS'", "did you mean 'my-wms'?"]),
    ],
)  # fmt: skip
def test_a_wrong_answer_is_one_sentence_and_nothing_is_written(
    old: str, new: str, told: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "region" / "entrepot.toml"
    said = entrepot(capsys, "init", "--answers", answered(tmp_path, BASIS.replace(old, new, 1)), "--config", config)
    assert said.code == 2
    assert "answers.toml" in said.err
    assert [part for part in told if part not in said.err] == []
    assert "pw@" not in said.err
    assert not config.parent.exists()


def test_answers_may_come_from_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "region" / "entrepot.toml"
    monkeypatch.setattr("sys.stdin", io.StringIO(BASIS))
    assert entrepot(capsys, "init", "--answers", "-", "--config", config).code == 0
    assert load_configuration(config).model.region == "eu-de"
    monkeypatch.setattr("sys.stdin", io.StringIO("region ="))
    assert "standard input is no valid TOML" in entrepot(capsys, "init", "--answers", "-", "--config", config).err


def test_without_anybody_to_ask_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    said = entrepot(capsys, "init", "--config", tmp_path / "entrepot.toml")
    assert said.code == 2
    assert "--answers FILE" in said.err
    assert not list(tmp_path.iterdir())


def conversation(*lines: str) -> tuple[answers.Answers, list[str]]:
    said: list[str] = []
    typed = iter(lines)

    def read(prompt: str) -> str:
        said.append(prompt)
        try:
            return next(typed)
        except StopIteration:
            raise EOFError from None

    return Dialogue(read, said.append).answers(), said


def test_enter_takes_the_defaults() -> None:
    given, said = conversation("eu-fr", "", "", "", "", "", "")
    assert (given.region, given.jurisdiction, given.environment, given.listen) == (
        "eu-fr",
        "FR",
        "test",
        answers.LISTEN,
    )
    assert given.hub.servers == [answers.LOCAL_HUB]
    assert any("whose law" in line for line in said)


def test_a_wrong_answer_is_explained_and_asked_again() -> None:
    given, said = conversation("EU FR", "eu-fr", "FRR", "fr", "prdo", "prod", "", "", "", "WMS", "wms", "", "", "")
    assert (given.region, given.environment, list(given.sources)) == ("eu-fr", "prod", ["wms"])
    explained = [line for line in said if line.startswith("  ")]
    assert [part for part in ("'eu-fr'", "country code", "'prod'", "'wms'") if part not in " ".join(explained)] == []


def test_a_cluster_with_a_private_authority_is_asked_for_it(tmp_path: Path) -> None:
    asked = conversation("eu-fr", "", "prod", "tls://a:4222, tls://b", "", "none", "", "")
    assert asked[0].hub.servers == ["tls://a:4222", "tls://b:4222"]
    assert any("private authority" in line for line in asked[1])
    assert not any("private authority" in line for line in conversation("eu-fr", "", "", "", "", "", "")[1])


def test_answers_that_end_early_write_nothing() -> None:
    with pytest.raises(ConfigError, match="ended before all was asked"):
        conversation("eu-fr", "")


def test_an_answer_cannot_break_out_of_its_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "region" / "entrepot.toml"
    text = BASIS + 'data_dir = "a\\"\\nregion = \\"b\\\\ \\u007f"\n'
    assert entrepot(capsys, "init", "--answers", answered(tmp_path, text), "--config", config).code == 0
    assert load_configuration(config).model.data_dir == 'a"\nregion = "b\\ \x7f'


@pytest.mark.parametrize(("instance", "unit"), [("", "entrepot"), ("eu-de", "entrepot@eu-de")])
def test_after_a_package_the_next_step_is_its_service(
    instance: str, unit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(place, "SYSTEM_FOLDER", tmp_path / "etc")
    monkeypatch.setattr(place, "SYSTEM_DATA", tmp_path / "lib")
    monkeypatch.setattr(place, "UNITS_FOLDER", tmp_path / "units")
    config = tmp_path / "etc" / instance / "entrepot.toml"
    listening = BASIS + 'listen = "192.0.2.1:8443"\n' + SOURCES
    words = ("init", "--answers", answered(tmp_path, listening), "--config", config, "--json")
    said = entrepot(capsys, *words).json()
    assert said["next"][0] == f"systemctl enable --now {unit}.socket {unit}.service"
    assert said["next"][1] == "entrepot doctor" + (f" --config {config}" if instance else "")
    assert said["public_key_file"] == str(tmp_path / "lib" / instance / "identity" / "signing.pub")
    dropped = (tmp_path / "units" / f"{unit}.socket.d" / "listen.conf").read_text()
    assert dropped.splitlines()[-3:] == ["[Socket]", "ListenStream=", "ListenStream=192.0.2.1:8443"]
    assert entrepot(capsys, *words).json()["changed"] is False


def test_an_agent_that_is_only_tried_out_keeps_its_data_beside_the_configuration() -> None:
    given = answers.Answers(region="a", jurisdiction="DE", environment="test")
    assert place.places(Path("/etc/entrepot/entrepot.toml"), given).data_dir == "/var/lib/entrepot"
    assert place.places(Path("/etc/entrepot/x/entrepot.toml"), given).data_dir == "/var/lib/entrepot/x"
    assert place.places(Path("entrepot.toml"), given).data_dir == "state"
    assert place.places(Path("/etc/other/entrepot.toml"), given).data_dir == "state"


def test_init_shows_the_fingerprint_that_status_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "entrepot.toml"
    said = entrepot(capsys, "init", "--answers", answered(tmp_path), "--config", config)
    identity = place.load_or_create(tmp_path / "state" / "identity", journal_is_new=False)
    assert f"fingerprint {identity.key_id}" in said.out
