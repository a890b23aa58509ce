"""How a rollout looks to a person and to a program, and what the command line says about mistakes."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from runtime.cli.entry import main
from runtime.cli.fleet_rollout import _drawn, sentence, summary
from runtime.fleet.judgement import Fate, Limits
from runtime.fleet.rollout import Rollout, Step
from runtime.headquarters.conduct import Look
from tests.support.simulated_fleet import HEAD, REGIONS

ROLLOUT = Rollout(
    id="one",
    state="aborting",
    waves=[["a"], ["b", "c"]],
    wave=1,
    wave_since_us=1,
    target={"a": 2, "b": 2, "c": 2},
    before={"a": 1, "b": 1, "c": 1},
    limits=Limits(),
)
FATES = {
    "a": Fate(word="confirmed"),
    "b": Fate(word="broken", reason="reverted: no\x1b[31m hub"),
    "c": Fate(word="pending"),
}
LOOK = Look(ROLLOUT, Step(rollout=ROLLOUT, says="stopped", fates=FATES), {}, ["c: its revision is lost"], progress=True)


def test_a_look_is_one_line_of_counts() -> None:
    assert sentence(LOOK) == (
        "aborting, wave 2 of 2; stopped; 1 broken, 1 confirmed, 1 pending; c: its revision is lost"
    )
    assert summary(LOOK)["counts"] == {"confirmed": 1, "broken": 1, "pending": 1}


def test_a_terminal_shows_each_wave_and_why_a_region_is_broken_and_obeys_no_control_character() -> None:
    console = Console(file=io.StringIO(), width=120)
    console.print(_drawn(LOOK))
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "rollout one: aborting; stopped" in shown
    assert "b: reverted: no" in shown
    assert "\x1b" not in shown
    assert [line.split()[:2] for line in shown.splitlines()[1:3]] == [["1", "1"], ["2", "2"]]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["ls", "--fleet", "nowhere"], "nowhere/fleet.toml does not exist"),
        (["ls"], "there is no fleet.toml"),
        (["lss"], "there is no action 'lss'; did you mean 'ls'?"),
        (["plan", "eu-dee", "--fleet", "f"], "fleet.toml has no region 'eu-dee'; did you mean 'eu-de'?"),
        (["ls", "--fleet", "f"], "cannot connect to nats://127.0.0.1:1"),
        (["rollback", "eu-de", "--reason", "x", "--fleet", "f"], "regions and --to VERSION go together"),
        (["apply", "eu-de", "--fleet", "f"], "release_key: f/release.key cannot be read"),
        (["action", "eu-de", "pause", "--expires", "soon", "--fleet", "f"], "'soon' is no time span"),
        (["diagnose", "eu-de", "shell", "--fleet", "f"], "there is no probe 'shell'"),
    ],
)
def test_a_mistake_is_one_sentence(
    words: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "fleet.toml").write_text(HEAD.replace(":4222", ":1") + REGIONS)
    assert main(["fleet", *words]) == 2
    shown = capsys.readouterr()
    assert says in shown.err
    assert "Traceback" not in shown.err


def test_a_key_that_the_fleet_does_not_trust_signs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fleet.toml").write_text(HEAD + REGIONS)
    assert main(["fleet", "keygen"]) == 0
    assert "public key: " in capsys.readouterr().out
    assert main(["fleet", "apply", "eu-de", "--yes"]) == 2
    assert "not among the release_keys" in capsys.readouterr().err
    assert main(["fleet", "keygen"]) == 2
    assert "never overwritten" in capsys.readouterr().err
