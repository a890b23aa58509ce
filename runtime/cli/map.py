"""`entrepot map`: what a mapping makes of samples (test), how much of them (coverage), a first mapping (new).

And what a rendering, the way out, makes of events (render).
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.cli import render
from runtime.errors import ConfigError

if TYPE_CHECKING:
    from runtime.mapping import CompiledMapping, Trial

    Attempt = Callable[[bytes, str], list[Trial]]

SAMPLE_BYTES_MAX = 64 * 1024 * 1024


def arguments(parser: ArgumentParser) -> None:
    """test FILE SAMPLE…, coverage FILE SAMPLE…, either with --pack NAME SAMPLE…."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    test = actions.add_parser("test", help="translate samples and show the result")
    _sample_arguments(test)
    test.epilog = "Exit code 1: worth a second look. 2: at least one message cannot be translated."
    coverage = actions.add_parser("coverage", help="fields read and unread, leaves filled, and what may leave")
    _sample_arguments(coverage)
    coverage.add_argument("--policy", metavar="FILE", help="a policy (default: the region's, else nothing may leave)")
    coverage.add_argument("--all", action="store_true", help="show the fields that are read and the empty leaves, too")
    coverage.epilog = "Exit code 1: fields are unread or guessed, or whole events would stay. 2: a message is rejected."
    new = actions.add_parser("new", help="write a first mapping from real messages, every line a guess to check")
    new.add_argument("--from", dest="samples", metavar="SAMPLE", nargs="+", required=True, help="messages of one kind")
    new.add_argument("--type", metavar="TYPE", help="the canonical type, such as order.created (default: guess)")
    new.add_argument("--to", metavar="FILE", help="where to write it; never over a file (default: show it)")
    render.arguments(actions.add_parser("render", help="write events as a target would, by a rendering"))


def _sample_arguments(test: ArgumentParser) -> None:
    test.add_argument(
        "files", nargs="+", metavar="FILE", help="the mapping (TOML) and messages (.json, .ndjson, .csv, .xml or .jws)"
    )
    test.add_argument("--pack", metavar="NAME", help="an installed pack instead of a mapping; every FILE is a message")
    test.add_argument(
        "--header", metavar="NAME:VALUE", action="append", default=[], help="a header that comes with the message"
    )
    test.add_argument(
        "--option", metavar="NAME=VALUE", action="append", default=[], help="an option of the pack, as in entrepot.toml"
    )


def run(options: Namespace) -> int:
    """Raises `ConfigError` for a mapping or a sample that cannot be read."""
    import msgspec

    from runtime.cli import screen

    if options.action == "render":
        return render.show(options)
    if options.action == "new":
        from runtime.cli import scaffold

        return scaffold.make(options, [one for name in options.samples for one in _messages(Path(name))])
    attempt, samples = _attempt(options)
    trials: list[Trial] = []
    for path in samples:
        found = _try_sample(attempt, path)
        if not options.json and options.action == "test":
            for number, trial in enumerate(found, 1):
                _show(trial, f"{path}, message {number} of {len(found)}" if len(found) > 1 else str(path))
        trials += found
    if options.action == "coverage":
        from runtime.cli import coverage

        return coverage.show(trials, options)
    if options.json:
        screen.show_json([msgspec.to_builtins(trial) for trial in trials])
    if any(trial.errors for trial in trials):
        return 2
    return 1 if any(trial.warnings for trial in trials) else 0


def _attempt(options: Namespace) -> tuple[Attempt, list[Path]]:
    """What translates one message, and the samples. Raises `ConfigError`."""
    from runtime import clock, packs
    from runtime.mapping import try_mapping, try_pack

    headers = {name.lower(): value for name, value in (_pair(given, ":", "--header") for given in options.header)}
    files = [Path(name) for name in options.files]
    if options.pack is not None:
        chosen = dict(_pair(given, "=", "--option") for given in options.option)
        pack = packs.load(options.pack, chosen, where="--pack", read_region=lambda name: _read_table(Path(name)))
        return (lambda body, kind: try_pack(pack, body, kind, headers, received_us=clock.now_us())), files
    if len(files) < 2:
        raise ConfigError(
            f"`entrepot map {options.action}` takes a mapping and at least one message",
            hint="with --pack NAME it takes messages alone",
        )
    if options.option:
        raise ConfigError("--option is for a pack", hint="name one: --pack NAME")
    mapping = load_file(files[0])
    return (lambda body, kind: [try_mapping(mapping, body, kind, headers, received_us=clock.now_us())]), files[1:]


def _pair(given: str, mark: str, option: str) -> tuple[str, str]:
    name, found, value = given.partition(mark)
    if not found or not name.strip():
        raise ConfigError(f"{option} takes NAME{mark}VALUE, not {given!r}")
    return name.strip(), value.strip()


def _try_sample(attempt: Attempt, path: Path) -> list[Trial]:
    from runtime.mapping.trial import placed

    body, parts, one_each = _parts(path)
    trials = [(trial, part) for part in parts for trial in attempt(part, one_each)]
    return [placed(trial, body) if part is body else trial for trial, part in trials]


def _messages(path: Path) -> list[Any]:
    """Every message of a sample, decoded. Raises `ConfigError`."""
    from runtime.errors import Untranslatable
    from runtime.mapping.decode import decode_json

    _, parts, kind = _parts(path)
    try:
        return [decode_json(part, kind) for part in parts]
    except Untranslatable as error:
        raise ConfigError(f"{path}: {error} ({error.position})", hint=error.hint) from None


def _parts(path: Path) -> tuple[bytes, list[bytes], str]:
    """The sample, the messages in it, and the content type of each. Raises `ConfigError`."""
    from runtime.errors import Untranslatable
    from runtime.mapping.trial import CONTENT_TYPES, split_sample

    body = _read_sample(path)
    kind = CONTENT_TYPES.get(path.suffix.lower(), "application/json")
    try:
        parts = split_sample(body, kind)
    except Untranslatable as error:
        raise ConfigError(f"{path}: {error} ({error.position})", hint=error.hint) from None
    return body, parts, "application/json" if kind == "text/csv" else kind.replace("x-ndjson", "json")


def load_file(path: Path) -> CompiledMapping:
    """Compile a mapping file; its tables lie beside it. Raises `ConfigError`."""
    from runtime.config.load import read_toml
    from runtime.mapping import load

    read_toml(path)
    return load(path.read_text("utf-8"), str(path), lambda name: _read_table(path.parent / name))


def _read_table(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read ({error})") from None


def _read_sample(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            body = file.read(SAMPLE_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError(f"the sample {path} cannot be read ({error.strerror})") from None
    if len(body) > SAMPLE_BYTES_MAX:
        raise ConfigError(f"the sample {path} is larger than {SAMPLE_BYTES_MAX} bytes", hint="a part of it is enough")
    return body


def _show(trial: Trial, name: str) -> None:
    import json

    from runtime.cli import screen
    from runtime.mapping.trial import PlacedProblem

    said = f", {trial.message} (known by its {trial.known_by})" if trial.message else ""
    screen.say(f"{name}: {trial.mapping}{said}, key {trial.key or 'none'}")
    for output in trial.outputs:
        _show_output(output)
    for problem in trial.errors:
        value = f", where the message has {problem.value}" if problem.value else ""
        place = f" (line {problem.line}, column {problem.column})" if isinstance(problem, PlacedProblem) else ""
        screen.say(
            f"  rejected at {problem.position or 'the whole message'}{place}{value}: {problem.message}", "critical"
        )
        if problem.hint:
            screen.say(f"    next: {problem.hint}")
    for warning in trial.warnings:
        screen.say(f"  look again: {warning}", "warning")
    if trial.unread:
        screen.say(f"  nobody reads: {', '.join(json.dumps(path)[1:-1] for path in trial.unread)}")


def _show_output(output: dict[str, Any]) -> None:
    import json

    from runtime.cli import screen

    if "ignored" in output:
        screen.say(f"  ignored: {output['ignored']}")
        return
    screen.say(f"  {output['type']} (output {output['output']}, in order of {output['partition_key']})", "ok")
    for line in json.dumps(output["data"], indent=2, ensure_ascii=False).splitlines():
        screen.say(f"    {line}")
