"""Whatever goes wrong, a person gets one sentence and a program gets one JSON object; never a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.cli import failures, run, schema
from runtime.cli.entry import DEBUG_VARIABLE
from runtime.errors import (
    ConfigError,
    IdentityMissing,
    JournalInUse,
    Permanent,
    Refused,
    StorageFailed,
    StorageFull,
    first,
    one_at_a_time,
)
from tests.support.example import entrepot


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail(_options: object) -> int:
        raise error

    monkeypatch.setattr(schema, "run", fail)


def test_our_own_error_is_its_sentence_and_its_hint(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fail_with(monkeypatch, Refused("the door is shut", hint="open it"))
    assert entrepot(capsys, "schema") == (2, "", "entrepot: the door is shut\n  next: open it\n")


def test_for_programs_it_is_an_object_on_stdout(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fail_with(monkeypatch, Refused("the door is shut", hint="open it"))
    said = entrepot(capsys, "schema", "--json")
    assert said.code == 2
    assert json.loads(said.out) == {"error": "the door is shut", "hint": "open it", "kind": "Refused"}
    assert not said.err


def test_a_defect_is_a_sentence_with_its_place(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(DEBUG_VARIABLE, raising=False)
    fail_with(monkeypatch, KeyError("partner data"))
    said = entrepot(capsys, "schema")
    assert said.code == 2
    assert "this is a defect of Entrepot (KeyError at test_failures.py:" in said.err
    assert DEBUG_VARIABLE in said.err
    assert "Traceback" not in said.err
    assert "partner data" not in said.err


def test_the_traceback_is_shown_to_who_asks_for_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(DEBUG_VARIABLE, "1")
    fail_with(monkeypatch, KeyError("x"))
    assert "Traceback" in entrepot(capsys, "schema").err


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (PermissionError(13, "Permission denied", "/state"), 2, "this user may not use /state"),
        (OSError(28, "No space left on device", "/state"), 2, "/state: No space left on device"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_what_the_system_says_is_translated(
    error: BaseException, code: int, sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fail_with(monkeypatch, error)
    said = entrepot(capsys, "schema")
    assert said.code == code
    assert sentence in said.err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("a key is wrong"), 2),
        (Refused("another region's journal"), 2),
        (Permanent("no such thing"), 2),
        (IdentityMissing("a key is gone"), 66),
        (KeyError("a defect"), 70),
        (OSError(28, "No space left on device", "/state"), 71),
        (StorageFailed("the disk answered EIO"), 74),
        (ExceptionGroup("", [Refused("x"), StorageFailed("the disk answered EIO")]), 74),
        (JournalInUse("another process has it"), 75),
        (StorageFull("the disk is full"), 75),
    ],
)
def test_a_service_manager_can_tell_a_wrong_configuration_from_what_a_restart_may_cure(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_options: object) -> int:
        raise error

    monkeypatch.setattr(run, "run", fail)
    assert entrepot(capsys, "run").code == code


def test_every_exit_code_of_run_is_documented() -> None:
    page = (Path(failures.__file__).parents[2] / "docs" / "operations.md").read_text()
    for code in {code for _, code in failures.RUN_CODES}:
        assert f"\n| {code} |" in page, code


def test_of_several_failures_ours_is_told() -> None:
    ours = ConfigError("ours")
    group = BaseExceptionGroup("", [KeyError("foreign"), ExceptionGroup("", [OSError("foreign"), ours])])
    assert first(group) is ours
    assert first(ours) is ours


def test_of_foreign_failures_the_first_is_told() -> None:
    with pytest.raises(KeyError), one_at_a_time():
        raise ExceptionGroup("", [KeyError("a"), OSError("b")])


def test_an_error_in_a_group_reaches_the_command_line_as_itself(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fail_with(monkeypatch, ExceptionGroup("", [Permanent("in a task")]))
    assert "entrepot: in a task" in entrepot(capsys, "schema").err


@pytest.mark.parametrize("variables", [{}, {"PYTHONUNBUFFERED": "1"}], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("words", [("packs", "list"), ("schema", "no.such"), ("map",)], ids=" ".join)
@pytest.mark.parametrize("output", ["closed pipe", "full disk"])
def test_an_answer_that_nobody_can_take_is_no_defect(
    words: tuple[str, ...], variables: dict[str, str], output: str
) -> None:
    if output == "full disk":
        handle = os.open("/dev/full", os.O_WRONLY)
    else:
        reader, handle = os.pipe()
        os.close(reader)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"} | variables
    command = [sys.executable, "-m", "runtime.cli", *words, "--json"]
    try:
        done = subprocess.run(
            command, stdout=handle, stderr=subprocess.PIPE, text=True, env=environment, timeout=60, check=False
        )
    finally:
        os.close(handle)
    said = "" if output == "closed pipe" else "entrepot: the answer could not be written (No space left on device)\n"
    assert (done.returncode, done.stderr) == (1 if output == "closed pipe" else 2, said)
