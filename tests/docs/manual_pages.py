"""Writes what a package installs beside the program, from the parser and the settings: `python -m tests.docs.manual_pages`.

Manual pages, completion for three shells, and the configuration that is not set up yet; into packaging/, or `--to DIR`.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from runtime.cli.parser import VERBS, build_all
from runtime.setup.documents import TEMPLATE
from tests.docs.completions import bash, fish, zsh
from tests.docs.settings_page import SECTIONS, keys

PAGES = Path(__file__).resolve().parents[2] / "packaging"
EXIT_CODES = (("0", "fine"), ("1", "a warning: works, but somebody should look"), ("2", "critical, or a mistake"))
ENVIRONMENT = (
    ("CREDENTIALS_DIRECTORY", "secrets that systemd gives to the service; looked at before [secrets] dir"),
    ("ENTREPOT_DEBUG", "shows the traceback of a defect"),
    ("JOURNAL_STREAM", "set by systemd: the log goes to journald with a field for each part (ENTREPOT_LANE and so on)"),
    ("NO_COLOR", "no colours on a terminal"),
)
FILES = (
    ("/etc/entrepot/entrepot.toml", "the configuration, see entrepot.toml(5)"),
    ("/etc/entrepot/policy.toml", "what may leave the region"),
    ("/etc/entrepot/secrets/", "one file a secret, readable by the agent only"),
    ("/var/lib/entrepot/", "journal, signing keys, lock and admin socket"),
)
SHORT = {"entrepot.1": "the agent of a region", "entrepot.toml.5": "configuration of entrepot"}


def pages() -> dict[str, str]:
    """Path below packaging/ → content."""
    parser = build_all()
    return {
        "man/entrepot.1": command_page(parser),
        "man/entrepot.toml.5": settings_page(),
        "completions/entrepot.bash": bash(parser),
        "completions/_entrepot": zsh(parser),
        "completions/entrepot.fish": fish(parser),
        "etc/entrepot.toml": TEMPLATE,
    }


# ---------------------------------------------------------------- roff


def plain(text: str) -> str:
    """Text as roff: nothing in it is a request, `x` becomes bold, a hyphen of an option stays one."""
    escaped = text.replace("\\|", "|").replace("\\", "\\e").replace("-", "\\-")
    bold = re.sub(r"`([^`]*)`", r"\\fB\1\\fR", escaped)
    return "\n".join(f"\\&{line}" if line[:1] in {".", "'"} else line for line in bold.splitlines())


def head(name: str, section: int) -> list[str]:
    return [
        '.\\" Written from the code: python -m tests.docs.manual_pages',
        f'.TH {name.upper() if section == 1 else name} {section} "" "Entrepot" ""',
        ".SH NAME",
        f"{plain(name)} \\- {SHORT[f'{name}.{section}']}",
    ]


def items(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    for term, text in rows:
        yield from (".TP", f"\\fB{plain(term)}\\fR", plain(text) or "\\&")


# ---------------------------------------------------------------- the command


def command_page(parser: argparse.ArgumentParser) -> str:
    lines = [
        *head("entrepot", 1),
        ".SH SYNOPSIS",
        "\\fBentrepot\\fR \\fICOMMAND\\fR [\\fIOPTION\\fR]...",
        ".SH DESCRIPTION",
        plain(parser.description or ""),
        ".PP",
        plain("Every command takes `--json` (answer for programs) and `--config FILE`, at any place."),
        ".SH COMMANDS",
    ]
    for verb, own in actions(parser).items():
        lines += [f".SS {plain(verb)}", plain(f"{VERBS[verb][0].upper()}{VERBS[verb][1:]}."), *own_options(own)]
        lines += followed_by(verb, own)
    lines += [".SH OPTIONS", *items(shared(parser)), ".SH EXIT STATUS", *items(EXIT_CODES)]
    lines += [".SH ENVIRONMENT", *items(ENVIRONMENT), ".SH FILES", *items(FILES)]
    lines += [".SH SEE ALSO", plain("entrepot.toml(5), systemctl(1), journalctl(1)")]
    return "\n".join(lines) + "\n"


def followed_by(before: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    """Each word that may follow, and those behind it."""
    for name, action in actions(parser).items():
        words = f"{before} {name}"
        yield from (".PP", f"\\fB{plain(words)}\\fR: {plain(helps(parser).get(name, ''))}", *own_options(action))
        yield from followed_by(words, action)


def actions(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Words that may follow, with their own parsers."""
    found = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    return dict(found[0].choices) if found else {}


def helps(parser: argparse.ArgumentParser) -> dict[str, str]:
    found = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    return {choice.dest: choice.help or "" for choice in found[0]._choices_actions} if found else {}


def is_own(action: argparse.Action) -> bool:
    everywhere = {"help", "json", "config", "version"}
    return action.dest not in everywhere and not isinstance(action, argparse._SubParsersAction)


def term(action: argparse.Action) -> str:
    value = action.metavar or ("|".join(map(str, action.choices)) if action.choices else action.dest.upper())
    shown = " ".join(value) if isinstance(value, tuple) else value
    if not action.option_strings:
        return f"[{shown}]" if action.nargs == "?" else shown
    name = ", ".join(action.option_strings)
    if action.nargs == 0:
        return name
    return f"{name} [{shown}]" if action.nargs == "?" else f"{name} {shown}"


def own_options(parser: argparse.ArgumentParser) -> list[str]:
    rows = [(term(a), sentence(a)) for a in parser._actions if is_own(a) and a.help != argparse.SUPPRESS]
    return [*items(rows), *([".PP", plain(parser.epilog)] if parser.epilog else [])]


def sentence(action: argparse.Action) -> str:
    return (action.help or "") % {"default": action.default} if action.help else ""


def shared(parser: argparse.ArgumentParser) -> list[tuple[str, str]]:
    return [(term(a), sentence(a)) for a in parser._actions if a.option_strings and not is_own(a)]


# ---------------------------------------------------------------- the configuration


def settings_page() -> str:
    lines = [
        *head("entrepot.toml", 5),
        ".SH DESCRIPTION",
        plain(
            "TOML. `entrepot check` says in one sentence what is wrong with a file; `entrepot init` writes a first one."
            " Paths are relative to the file. Ages are counted in hours that the agent runs."
        ),
    ]
    for title, kind in SECTIONS:
        lines += [
            f".SH {plain(title.upper() if title == 'entrepot.toml' else title)}",
            plain(" ".join((kind.__doc__ or "").split())),
        ]
        rows = [
            (key.name, ". ".join(part for part in (bounds(key.default, key.bounds), key.says) if part))
            for key in keys(kind)
        ]
        lines += items(rows)
    lines += [".SH SEE ALSO", plain("entrepot(1)")]
    return "\n".join(lines) + "\n"


def bounds(default: str, may_be: str) -> str:
    start = {"required": "Required", "none": "No default", "empty": "Default: empty"}.get(
        default, f"Default: {default}"
    )
    return f"{start}; {may_be}" if may_be else start


def main(words: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, default=PAGES)
    folder: Path = parser.parse_args(words).to
    for name, text in pages().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
