"""Words and options: every command explains itself, and a mistake is one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runtime.cli.parser import VERBS, build, chosen_verb
from runtime.errors import ConfigError
from tests.support.example import copy_example, entrepot

ACTIONS = [
    *(("letters", action) for action in ("list", "show", "retry", "release", "discard")),
    *(("topology", action) for action in ("show", "apply")),
    *(("journal", action) for action in ("verify", "stats", "export")),
    ("map", "test"),
    *(("packs", action) for action in ("list", "show")),
]


@pytest.mark.parametrize("words", [[], *([verb] for verb in VERBS), *ACTIONS], ids=" ".join)
def test_every_command_explains_itself(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    said = entrepot(capsys, *words, "--help")
    assert said.code == 0
    assert "--json" in said.out
    assert "--config" in said.out
    assert not said.err


def test_without_words_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    said = entrepot(capsys)
    assert said.code == 0
    assert all(verb in said.out for verb in VERBS)


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert entrepot(capsys, "--version").out.startswith("entrepot 0.")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["statsu"], "there is no command 'statsu'; did you mean 'status'?"),
        (["letters", "shwo", "1"], "there is no action 'shwo'; did you mean 'show'?"),
        (["letters", "show", "one"], "argument id: invalid int value: 'one'"),
        (["letters"], "the following arguments are required: ACTION"),
        (["status", "--jsno"], "unrecognized arguments: --jsno"),
        (["replay", "--from", "1"], "the following arguments are required: --source"),
        (["adopt"], "the following arguments are required: --reason"),
        (["--json"], "which command?"),
        (["demo", "--seconds", "-3"], "argument --seconds: '-3' is no number of seconds between 0 and a week"),
        (["demo", "--rate", "many"], "argument --rate: 'many' is no rate between 1 and 5000 messages a second"),
        (["letters", "list", "--state", "opne"], "there is no --state 'opne'; did you mean 'open'?"),
    ],
)
def test_a_mistake_is_one_sentence_with_a_next_step(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = entrepot(capsys, *words)
    assert said.code == 2
    told = json.loads(said.out)["error"] if "--json" in words else said.err
    assert sentence in told
    assert "--help` shows" in said.err + said.out
    assert "Traceback" not in said.err


@pytest.mark.parametrize("place", [0, 1, 2])
def test_shared_options_may_stand_anywhere(place: int) -> None:
    words = ["letters", "list"]
    words[place:place] = ["--config", "status", "--json"]
    options = build(chosen_verb(words)).parse_args(words)
    assert (options.verb, options.action, options.config, options.json) == ("letters", "list", "status", True)


def test_without_shared_options_they_have_their_defaults() -> None:
    options = build("status").parse_args(["status"])
    assert (options.config, options.json) == (None, False)


def test_a_value_of_an_option_is_no_command() -> None:
    assert chosen_verb(["--config", "status", "check"]) == "check"
    with pytest.raises(ConfigError):
        chosen_verb(["--json", "chekc"])


def test_a_missing_configuration_says_what_was_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    said = entrepot(capsys, "status")
    assert said.code == 2
    assert str(tmp_path / "entrepot.toml") in said.err
    assert "/etc/entrepot/entrepot.toml" in said.err
    assert "entrepot demo" in said.err


def test_a_configuration_in_this_folder_is_found_and_a_folder_may_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copy_example(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert entrepot(capsys, "check").code == 1
    assert entrepot(capsys, "check", "--config", tmp_path).code == 1
