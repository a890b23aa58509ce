"""What a support bundle may say: deny by default, a second wall behind it, the same bytes for the same files."""

from __future__ import annotations

import io
import json
import stat
import tarfile
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from runtime.doctor import bundle, collect, concealment
from runtime.errors import ConfigError
from runtime.ports import Finding
from tests.support.example import copy_example, entrepot

CANARY = "K4NAR1-Erika-Mustermann"
FINE = [Finding("clock", "ok", "12:00")]


def unpacked(content: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as tar:
        found = {}
        for member in tar:
            file = tar.extractfile(member)
            assert file is not None
            found[member.name.removeprefix("entrepot-support/")] = file.read()
        return found


def test_a_setting_is_shown_only_if_its_key_is_known() -> None:
    raw: dict[str, Any] = {
        "region": "eu-de",
        "hub": {
            "servers": [f"tls://{CANARY}:pw@hub.example:4222/{CANARY}", f"{CANARY}@h:1"],
            "password": CANARY,
            "token": 12345,
            "user": CANARY,
            "credentials": f"secret://{CANARY}",
        },
        "alerts": {"webhook": f"https://hooks.example/{CANARY}?t={CANARY}", "timeout_seconds": 3},
        "sources": {"wms": {"adapter": "webhook", "future": {"key": [CANARY]}, "path": CANARY}},
        "free": CANARY,
    }
    shown = concealment.settings(raw)
    assert CANARY not in json.dumps(shown)
    assert "12345" not in json.dumps(shown)
    assert shown["hub"]["servers"] == ["tls://hub.example:4222", "?://h:1"]
    assert shown["alerts"] == {"webhook": "https://hooks.example", "timeout_seconds": 3}
    assert shown["sources"]["wms"]["adapter"] == "webhook"


def test_the_words_of_a_policy_stay_and_its_rules_go() -> None:
    rule = {"id": "trade", "when": {"class": ["public"]}, "action": "allow", "basis": CANARY, "note": CANARY}
    shown = concealment.settings({"policy": "floor", "description": CANARY, "rules": [rule]})
    assert shown["rules"][0] == {
        "id": "trade",
        "when": {"class": ["public"]},
        "action": "allow",
        "basis": "(hidden)",
        "note": "(hidden)",
    }
    assert CANARY not in json.dumps(shown)


@pytest.mark.parametrize(
    "entry",
    [
        {"MESSAGE": json.dumps({"event": "refused", "level": "error", "lane": "bulk", "remark": CANARY, "body": CANARY})},
        {"MESSAGE": f"refused {CANARY}", "ENTREPOT_EVENT": "refused", "ENTREPOT_LEVEL": "error", "ENTREPOT_LANE": "bulk", "ENTREPOT_REMARK": CANARY},
    ],
    ids=["JSON", "native"],
)  # fmt: skip
def test_a_line_of_ours_is_redacted_once_more(entry: dict[str, Any]) -> None:
    shown = concealment.journal_entry(entry | {"__REALTIME_TIMESTAMP": "17"})
    assert shown is not None
    assert (shown["event"], shown["level"], shown["lane"], shown["remark"]) == ("refused", "error", "bulk", "(hidden)")
    assert CANARY not in json.dumps(shown)


@pytest.mark.parametrize(
    "entry",
    [
        {"MESSAGE": f"Traceback: {CANARY}"},
        {"MESSAGE": [75, 52]},
        {"MESSAGE": f'["{CANARY}"]'},
        {"MESSAGE": "[" * 100_000},
        {"MESSAGE": CANARY, "SYSLOG_IDENTIFIER": "systemd", "_PID": "77"},
        {},
    ],
    ids=["text", "bytes", "list", "deep", "forged systemd", "nothing"],
)
def test_text_that_cannot_be_judged_is_left_out(entry: dict[str, Any]) -> None:
    assert concealment.journal_entry(entry) is None


def test_the_words_of_systemd_itself_are_shown() -> None:
    shown = concealment.journal_entry({"MESSAGE": "Started entrepot.", "SYSLOG_IDENTIFIER": "systemd", "_PID": "1"})
    assert shown == {"at_us": None, "from": "systemd", "event": "Started entrepot."}


def test_the_reason_that_a_person_gave_stays() -> None:
    stats = {"used_bytes": 7, "incidents": [{"at_us": 1, "kind": "adopted", "lane": "bulk", "text": CANARY}]}
    shown = concealment.journal_stats(stats)
    assert shown == {"used_bytes": 7, "incidents": [{"at_us": 1, "kind": "adopted", "lane": "bulk"}]}


def options(config: Path) -> Namespace:
    return Namespace(config=str(config), json=False)


def test_a_part_in_which_a_secret_stands_all_the_same_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = copy_example(tmp_path)
    config.write_text(config.read_text() + '[secrets]\ndir = "s"\n')
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "wms").write_text(CANARY + "\n")
    said = [Finding("clock", "ok", f"it is {CANARY}")]
    content, manifest = bundle.build(options(config), said)
    assert "findings.json" in manifest["left_out"]  # type: ignore[operator]
    assert CANARY.encode() not in b"".join(unpacked(content).values())
    monkeypatch.setattr(collect, "versions", lambda: {"disguised": CANARY.encode().hex()})
    _, manifest = bundle.build(options(config), FINE)
    assert "versions.json" in manifest["left_out"]  # type: ignore[operator]
    assert "findings.json" in manifest["files"]  # type: ignore[operator]


def test_the_manifest_lists_what_is_inside_and_what_was_left_out(tmp_path: Path) -> None:
    content, manifest = bundle.build(options(copy_example(tmp_path)), FINE)
    files = unpacked(content)
    assert json.loads(files.pop("manifest.json")) == manifest
    assert set(files) == set(manifest["files"])  # type: ignore[call-overload]
    assert {"findings.json", "configuration.json", "policy.json", "files.json", "versions.json"} <= set(files)
    assert "no journal" in manifest["left_out"]["status.json"]  # type: ignore[index]
    names = {row["name"] for row in json.loads(files["files.json"])}
    assert {"entrepot.toml", "policy.toml", "mappings/acme-wms.toml"} <= names


def test_the_same_files_give_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle.clock, "now_us", lambda: 1_750_000_000_000_000)
    config = copy_example(tmp_path)
    assert bundle.build(options(config), FINE)[0] == bundle.build(options(config), FINE)[0]


def test_a_bundle_is_for_its_owner_alone_and_overwrites_nothing(tmp_path: Path) -> None:
    config = copy_example(tmp_path)
    path = tmp_path / "b.tar.gz"
    bundle.write(path, options(config), FINE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(ConfigError, match="is there already"):
        bundle.write(path, options(config), FINE)


def test_a_bundle_can_be_made_where_nothing_else_works(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = entrepot(capsys, "doctor", "--json", "--config", tmp_path / "none.toml", "--bundle", tmp_path / "b")
    assert said.code == 2
    assert set(said.json()["manifest"]["files"]) >= {"findings.json", "versions.json"}
    assert said.json()["bundle"] == str(tmp_path / "b")
    assert "does not exist" in said.json()["manifest"]["left_out"]["configuration.json"]
