"""Completion for bash, zsh and fish, written from the parser. Static: pressing Tab must not start Python."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import NamedTuple

MARK = "# Written from the code: python -m tests.docs.manual_pages"


FILES = 'compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur")'


SHARED = frozenset({"config", "json", "help"})
"""Options of every level."""


class Level(NamedTuple):
    """What may follow after these words."""

    words: tuple[str, ...]
    follow: dict[str, str]
    options: list[argparse.Action]
    places: list[argparse.Action]


def levels(parser: argparse.ArgumentParser, words: tuple[str, ...] = ()) -> Iterator[Level]:
    """The parser and everything below it."""
    nested = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    follow = {choice.dest: choice.help or "" for action in nested for choice in action._choices_actions}
    options = [a for a in parser._actions if a.option_strings]
    places = [a for a in parser._actions if not a.option_strings and not isinstance(a, argparse._SubParsersAction)]
    yield Level(words, follow, options, places)
    for action in nested:
        for name, below in action.choices.items():
            yield from levels(below, (*words, name))


def names_file(action: argparse.Action) -> bool:
    """Whether a value is the name of a file or a folder."""
    shown = f"{action.metavar or ''} {action.dest}".lower()
    return any(word in shown for word in ("file", "dir", "sample", "path"))


def flags(level: Level) -> list[str]:
    return sorted({name for action in level.options for name in action.option_strings if name.startswith("--")})


def takes_value(action: argparse.Action) -> bool:
    return action.nargs != 0


# ---------------------------------------------------------------- bash


def bash(parser: argparse.ArgumentParser) -> str:
    """Words are looked up by the verbs before the cursor; options with a value are skipped with it."""
    all_levels = list(levels(parser))
    valued = sorted(
        {
            n
            for level in all_levels
            for a in level.options
            if takes_value(a) and a.nargs != "?"
            for n in a.option_strings
        }
    )
    lines = [
        MARK,
        "_entrepot() {",
        "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} path= word at files=",
        "    local follow= options=",
        "    COMPREPLY=()",
        "    for ((at = 1; at < COMP_CWORD; at++)); do",
        "        word=${COMP_WORDS[at]}",
        '        case "$word" in',
        f"            {'|'.join(valued)}) ((at++)) ;;",
        "            -*) ;;",
        '            *) case "$path $word" in',
        f'                   {"|".join(quoted_path(level.words) for level in all_levels if level.words)}) path="$path $word" ;;',
        "               esac ;;",
        "        esac",
        "    done",
        '    case "$path:$prev" in',
        *(line for level in all_levels for line in bash_values(level)),
        "    esac",
        '    case "$path" in',
    ]
    for level in all_levels:
        files = "yes" if any(names_file(a) for a in level.places) else ""
        pattern = quoted_path(level.words) if level.words else '""'
        lines.append(
            f"        {pattern}) follow='{' '.join(level.follow)}' options='{' '.join(flags(level))}' files={files} ;;"
        )
    lines += [
        "    esac",
        '    if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W "$options" -- "$cur")); return; fi',
        f"    if [[ -n $files ]]; then {FILES}; return; fi",
        '    COMPREPLY=($(compgen -W "$follow" -- "$cur"))',
        "}",
        "complete -F _entrepot entrepot",
    ]
    return "\n".join(lines) + "\n"


def quoted_path(words: tuple[str, ...]) -> str:
    return f'" {" ".join(words)}"'


def bash_values(level: Level) -> Iterator[str]:
    """Lines that complete the value of an option."""
    prefix = f" {' '.join(level.words)}" if level.words else ""
    for action in level.options:
        if prefix and action.dest in SHARED:
            continue
        where = "*" if action.dest in SHARED else ""
        patterns = "|".join(f'{where}"{prefix}:{name}"' for name in action.option_strings)
        if action.choices:
            words = " ".join(map(str, action.choices))
            yield f"        {patterns}) COMPREPLY=($(compgen -W '{words}' -- \"$cur\")); return ;;"
        elif takes_value(action) and names_file(action):
            yield f"        {patterns}) {FILES}; return ;;"
        elif takes_value(action) and action.nargs != "?":
            yield f"        {patterns}) return ;;"


# ---------------------------------------------------------------- zsh


def zsh(parser: argparse.ArgumentParser) -> str:
    """One function a level, the way _arguments wants it."""
    lines = ["#compdef entrepot", MARK]
    for level in levels(parser):
        lines += ["", f"{function(level.words)}() {{", "    local state line", *zsh_arguments(level), "}"]
    return "\n".join([*lines, "", '_entrepot "$@"', ""])


def function(words: tuple[str, ...]) -> str:
    return "_".join(("_entrepot", *words))


def zsh_arguments(level: Level) -> list[str]:
    specs = [zsh_option(action, name) for action in level.options for name in action.option_strings]
    specs += [f"'{'*' if a.nargs in {'*', '+'} else ''}:{zsh_words(a.dest)}:{zsh_value(a)}'" for a in level.places]
    if not level.follow:
        return [f"    _arguments {' '.join(specs)}"]
    described = " ".join(f"'{name}:{zsh_words(text)}'" for name, text in level.follow.items())
    branches = [f"                {name}) {function((*level.words, name))} ;;" for name in level.follow]
    return [
        f"    _arguments -C {' '.join(specs)} '1: :->word' '*:: :->rest'",
        "    case $state in",
        f"        word) local -a words_here=({described}); _describe command words_here ;;",
        "        rest)",
        "            case $line[1] in",
        *branches,
        "            esac ;;",
        "    esac",
    ]


def zsh_option(action: argparse.Action, name: str) -> str:
    words = zsh_words((action.help or "") % {"default": action.default} if action.help else "")
    if not takes_value(action):
        return f"'{name}[{words}]'"
    optional = ":" if action.nargs == "?" else ""
    repeated = "*" if isinstance(action, argparse._AppendAction) else ""
    return f"'{repeated}{name}[{words}]:{optional}{zsh_words(action.dest)}:{zsh_value(action)}'"


def zsh_value(action: argparse.Action) -> str:
    if action.choices:
        return f"({' '.join(map(str, action.choices))})"
    return "_files" if names_file(action) else " "


def zsh_words(text: str) -> str:
    """Without what _arguments reads as its own."""
    return text.replace("'", "").replace("[", "(").replace("]", ")").replace(":", ";").replace("`", "")


# ---------------------------------------------------------------- fish


def fish(parser: argparse.ArgumentParser) -> str:
    """One line a word or option."""
    lines = [MARK, "complete -c entrepot -f"]
    for level in levels(parser):
        condition = fish_condition(level)
        for name, text in level.follow.items():
            lines.append(f"complete -c entrepot -n '{condition}' -a {name} -d '{fish_words(text)}'")
        seen = "; and ".join(f"__fish_seen_subcommand_from {word}" for word in level.words)
        lines += [fish_option(action, seen) for action in level.options]
        if any(names_file(a) for a in level.places):
            lines.append(f"complete -c entrepot -n '{seen}' -F")
    return "\n".join(dict.fromkeys(lines)) + "\n"


def fish_condition(level: Level) -> str:
    if not level.words:
        return "__fish_use_subcommand"
    seen = "; and ".join(f"__fish_seen_subcommand_from {word}" for word in level.words)
    return f"{seen}; and not __fish_seen_subcommand_from {' '.join(level.follow)}"


def fish_option(action: argparse.Action, seen: str) -> str:
    names = " ".join(f"-l {n[2:]}" if n.startswith("--") else f"-s {n[1:]}" for n in action.option_strings)
    where = f"-n '{seen}' " if seen else ""
    words = (action.help or "") % {"default": action.default} if action.help else ""
    value = ""
    if action.choices:
        value = f" -x -a '{' '.join(map(str, action.choices))}'"
    elif takes_value(action):
        value = " -r -F" if names_file(action) else " -x"
    return f"complete -c entrepot {where}{names}{value} -d '{fish_words(words)}'"


def fish_words(text: str) -> str:
    return text.replace("\\", "").replace("'", "")
