"""`entrepot map new`: a first mapping from real messages, for a person to check."""

from __future__ import annotations

import re
from argparse import Namespace
from pathlib import Path
from typing import Any

from runtime.errors import ConfigError


def make(options: Namespace, messages: list[Any]) -> int:
    """Write the mapping to --to, or show it. Raises `ConfigError`; never overwrites a file."""
    from runtime.canonical.registry import TYPES
    from runtime.cli import screen
    from runtime.mapping import load
    from runtime.mapping.scaffold import draft, look, write
    from runtime.nearest import nearest

    if options.type is not None and options.type not in TYPES:
        raise ConfigError(
            f"--type: there is no event type {options.type!r}{nearest(options.type, TYPES)}",
            hint="`entrepot schema` lists them",
        )
    seen = look(messages)
    if not seen:
        raise ConfigError("--from: the sample holds no field with a value", hint="take a real message of the platform")
    target = Path(options.to) if options.to else None
    guess = draft(seen, options.type)
    name = _name(target or Path(options.samples[0]))
    text = write(guess, name, ", ".join(Path(sample).name for sample in options.samples))
    load(text, str(target or name), _no_files)
    if target is not None:
        _write(target, text)
    answer = {
        "mapping": name,
        "file": str(target) if target else None,
        "type": guess.type,
        "confidence": round(guess.confidence, 2),
        "guesses": [
            {"leaf": ".".join(g.slot.path), "from": g.seen.shown, "confidence": round(g.confidence, 2)}
            for g in guess.guesses
        ],
        "not_placed": [one.shown for one in guess.left],
        **({} if target else {"text": text}),
    }
    if options.json:
        screen.show_json(answer)
    elif target is None:
        print(text, end="")
    else:
        screen.say(f"{target}: {guess.type} ({round(guess.confidence * 100)} % sure), {len(guess.guesses)} fields placed, "
                   f"{len(guess.left)} not", "ok")  # fmt: skip
        screen.say(f"  next: entrepot map test {target} {options.samples[0]}")
    return 0


def _name(path: Path) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", path.name.split(".")[0]).strip("-").lower() or "new"


def _no_files(name: str) -> str:
    raise LookupError(name)


def _write(target: Path, text: str) -> None:
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ConfigError(f"--to: {target} exists and is not overwritten", hint="name another file") from None
    except OSError as error:
        raise ConfigError(f"--to: {target} cannot be written ({error.strerror})") from None
