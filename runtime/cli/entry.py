"""From a command line to an exit code: 0 fine, 1 warning, 2 critical (`run` has more). What goes wrong is one sentence and a next step."""

from __future__ import annotations

import errno
import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from importlib import import_module

from runtime.cli.failures import exit_code
from runtime.cli.parser import VERBS, build, chosen_verb
from runtime.errors import EntrepotError, one_at_a_time

FINE, WARNING, CRITICAL = 0, 1, 2
INTERRUPTED = 130
DEBUG_VARIABLE = "ENTREPOT_DEBUG"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Never raises and never shows a traceback, unless ENTREPOT_DEBUG is set."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = _answer(words)
        if sys.stdout is not None:  # closed by whoever started us
            sys.stdout.flush()
    except BrokenPipeError:
        _forget_output()
        return WARNING
    except OSError as error:
        _forget_output()
        print(f"entrepot: the answer could not be written ({error.strerror})", file=sys.stderr)
        return CRITICAL
    return code


def _answer(words: list[str]) -> int:
    """The exit code. Raises `OSError` when nothing can be said, because nobody takes it."""
    try:
        with one_at_a_time():
            return _run(words)
    except SystemExit as leaving:  # argparse after --help
        return leaving.code if isinstance(leaving.code, int) else FINE
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - the last place where a defect can become a sentence
        return _report(words, error)


def _run(words: list[str]) -> int:
    verb = chosen_verb(words)
    parser = build(verb)
    if not words:
        parser.print_help()
        return FINE
    options: Namespace = parser.parse_args(words)
    if options.version:
        return _say_version()
    if verb is None:
        parser.error("which command?")
    return int(import_module(f"runtime.cli.{verb}").run(options))


def _say_version() -> int:
    from importlib.metadata import version

    print(f"entrepot {version('entrepot')}")
    return FINE


def _report(words: list[str], error: BaseException) -> int:
    if os.environ.get(DEBUG_VARIABLE):
        import traceback

        traceback.print_exception(error)
    sentence, hint = _told(error)
    if "--json" in words:
        import json

        print(json.dumps({"error": sentence, "hint": hint, "kind": type(error).__name__}))
    else:
        print(f"entrepot: {sentence}", file=sys.stderr)
        if hint:
            print(f"  next: {hint}", file=sys.stderr)
    return exit_code(error) if next((w for w in words if w in VERBS), "") == "run" else CRITICAL


def _told(error: BaseException) -> tuple[str, str]:
    """A sentence and the next step."""
    if isinstance(error, EntrepotError):
        return str(error), error.hint
    if isinstance(error, PermissionError) and error.filename:
        return f"this user may not use {error.filename}", "run as root or as the agent's user"
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}", ""
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "there is no room left on the disk that this writes to", "make room, then run it again"
    place = _place(error)
    sentence = f"this is a defect of Entrepot ({type(error).__name__}{place}); nothing was lost by it"
    return sentence, f"run it again with {DEBUG_VARIABLE}=1 to see the details, and report them"


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    return f" at {os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}"


def _forget_output() -> None:
    """The reader of a pipe has gone; without this Python complains once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
