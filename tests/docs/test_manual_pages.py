"""Manual pages and completion say what the program has, all of it and nothing else; bash really completes."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from runtime.cli.parser import VERBS, build_all
from runtime.setup.documents import UNANSWERED
from tests.docs.completions import flags, levels
from tests.docs.manual_pages import PAGES, main, pages, plain
from tests.docs.settings_page import SECTIONS, keys

ALL = pages()


@pytest.mark.parametrize("name", sorted(ALL))
def test_the_file_is_what_the_code_says(name: str) -> None:
    assert (PAGES / name).read_text("utf-8") == ALL[name], "write it anew: python -m tests.docs.manual_pages"


def test_they_can_be_written_anywhere(tmp_path: Path) -> None:
    main(["--to", str(tmp_path / "out")])
    written = {path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert written == set(map(Path, ALL))


def test_the_manual_has_every_command_and_every_option() -> None:
    page = ALL["man/entrepot.1"]
    assert [line[4:] for line in page.splitlines() if line.startswith(".SS ")] == list(VERBS)
    missing = [(level.words, flag) for level in levels(build_all()) for flag in flags(level) if plain(flag) not in page]
    assert missing == []


def test_the_manual_has_every_setting() -> None:
    page = ALL["man/entrepot.toml.5"]
    assert [key.name for _, kind in SECTIONS for key in keys(kind) if f"\\fB{plain(key.name)}\\fR" not in page] == []
    assert "Default: `127" not in page
    assert page.count(".SH ") == len(SECTIONS) + 3


@pytest.mark.parametrize("page", ["man/entrepot.1", "man/entrepot.toml.5"])
def test_no_text_is_taken_for_a_request(page: str) -> None:
    known = re.compile(r"\.(?:TH|SH|SS|TP|PP|\\\")(?: |$)|[^.']")
    assert [line for line in ALL[page].splitlines() if not known.match(line)] == []
    assert plain(".profile and `-x`\\n") == "\\&.profile and \\fB\\-x\\fR\\en"


def test_the_file_of_a_package_begins_as_one_that_init_replaces() -> None:
    assert ALL["etc/entrepot.toml"].startswith(UNANSWERED)


def complete(folder: Path, *words: str) -> list[str]:
    """What bash offers at the last word."""
    script = (
        f"source {PAGES / 'completions' / 'entrepot.bash'}\n"
        'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _entrepot\nprintf "%s\\n" "${COMPREPLY[@]}"'
    )
    bash = shutil.which("bash")
    assert bash is not None
    run = subprocess.run(
        [bash, "--norc", "-c", script, "bash", "entrepot", *words],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=folder,
    )
    assert not run.stderr
    return sorted(filter(None, run.stdout.splitlines()))


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["ad"], ["adapter", "adopt"]),
        (["letters", ""], ["discard", "list", "release", "retry", "show"]),
        (["--json", "letters", "re"], ["release", "retry"]),
        (["--config", "letters", "map", ""], ["coverage", "new", "render", "test"]),
        (["letters", "list", "--st"], ["--state"]),
        (["letters", "list", "--state", ""], ["discarded", "draining", "open"]),
        (["journal", "export", "--format", "c"], ["csv"]),
        (["topology", "apply", "--j"], ["--json"]),
        (["adopt", "--reason", "map", "--y"], ["--yes"]),
        (["status", "--config", "my"], ["my region.toml"]),
        (["map", "test", "m"], ["my region.toml"]),
        (["replay", "--source", ""], []),
        (["nonsense", ""], sorted(VERBS)),
    ],
    ids=lambda value: " ".join(value) if value and isinstance(value, list) else None,
)
def test_bash_completes(words: list[str], offered: list[str], tmp_path: Path) -> None:
    (tmp_path / "my region.toml").touch()
    assert complete(tmp_path, *words) == offered


def test_every_command_is_offered_by_every_shell(tmp_path: Path) -> None:
    assert complete(tmp_path, "") == sorted(VERBS)
    for level in levels(build_all()):
        for word in level.follow:
            assert f"-a {word} " in ALL["completions/entrepot.fish"]
            assert f"'{word}:" in ALL["completions/_entrepot"]
        for flag in flags(level):
            assert f"-l {flag[2:]}" in ALL["completions/entrepot.fish"]
            assert f"{flag}[" in ALL["completions/_entrepot"]
            assert flag in complete(tmp_path, *level.words, "--")
