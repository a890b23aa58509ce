"""The log: one event a line on stderr (JSON, colours, or journald's fields), every field through the `Redactor`.

Warnings and worse obey "the first failure, then once per 30 s, then recovered after N errors". Importing structlog
takes 0.1 s: only `open_log` does it, so only a running agent pays. A log that cannot be written never stops the agent.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Hashable, Mapping
from functools import partial
from typing import Any, Literal, TextIO

import orjson

from runtime.clock import rfc3339
from runtime.observe.journald import JournaldWriter, leads_to_journald
from runtime.observe.metrics import Counters
from runtime.observe.redact import Redactor, clean_text
from runtime.observe.repeats import Repeats

Level = Literal["debug", "info", "warning", "error", "critical"]
LEVELS: tuple[Level, ...] = ("debug", "info", "warning", "error", "critical")
KEY_FIELDS = ("source", "lane", "step", "target", "task", "alert", "subject", "kind", "problem", "library", "where")
"""Two failures with the same event and the same of these are one failure, repeated; `recovered` needs the same ones."""


class _Pen:
    """What all loggers of a process share: where to write, what to hide, what was said already."""

    def __init__(
        self, writer: Any, redactor: Redactor, repeats: Repeats, monotonic: Callable[[], float], counters: Counters
    ) -> None:
        self.writer = writer
        self.redactor = redactor
        self.repeats = repeats
        self.monotonic = monotonic
        self.counters = counters

    def write(self, level: Level, event: str, fields: Mapping[str, Any]) -> None:
        shown = self.redactor.fields({name: value for name, value in fields.items() if name not in _RESERVED})
        try:
            getattr(self.writer, level)(clean_text(event, 200), **shown)
        except (OSError, ValueError):
            # A full disk or a closed pipe behind stderr: the work goes on, and the metric tells.
            self.counters.log_lines_lost += 1

    def repeat(self, level: Level, event: str, fields: dict[str, Any]) -> None:
        silenced = self.repeats.failed(_key(event, fields), self.monotonic(), (level, fields))
        if silenced is None:
            self.counters.log_lines_suppressed += 1
            return
        self.write(level, event, fields | {"repeated_count": silenced} if silenced else fields)


_RESERVED = frozenset({"event", "level", "time", "exc_info", "exception", "stack"})


def _key(event: str, fields: Mapping[str, Any]) -> tuple[Hashable, ...]:
    return (event, *(str(fields[name]) if name in fields else None for name in KEY_FIELDS))


class Log:
    """A logger with bound fields. `event` is a constant in plain words; what varies goes into fields."""

    def __init__(self, pen: _Pen, bound: Mapping[str, Any], level_min: Level = "info") -> None:
        self._pen = pen
        self._bound = dict(bound)
        self._level_min: Level = level_min
        self._rank_min = LEVELS.index(level_min)

    def bind(self, **fields: Any) -> Log:
        """The same log with more fixed fields, such as `source` or `lane`."""
        return Log(self._pen, self._bound | fields, self._level_min)

    def debug(self, event: str, **fields: Any) -> None:
        """Shown only when `level_min` is `debug`."""
        self._say("debug", event, fields)

    def info(self, event: str, **fields: Any) -> None:
        """Something happened that a person may want to see; never limited, so never on the path of each event."""
        self._say("info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Works, but somebody should look; limited as all failures are."""
        self._say("warning", event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """Something failed. Pass the exception itself (`error=exc`): its class and place are shown, its words if ours."""
        self._say("error", event, fields)

    def critical(self, event: str, **fields: Any) -> None:
        """The agent, a lane or a source has stopped and waits for a person."""
        self._say("critical", event, fields)

    def recovered(self, event: str, **fields: Any) -> None:
        """The failure logged as `event` is over. Cheap and silent when there was none."""
        everything = self._bound | fields
        errors = self._pen.repeats.recovered(_key(event, everything))
        if errors:
            plural = "error" if errors == 1 else "errors"
            self._pen.write("info", f"{event}: recovered after {errors} {plural}", everything | {"errors": errors})

    def door(self, **bound: Any) -> Callable[..., None]:
        """`limited` with bound fields, for adapters and the link to the hub."""
        return self.bind(**bound).limited

    def once(self, level: Level, event: str, **fields: Any) -> None:
        """Never limited: for what is said once per change of a state already, such as alerts."""
        self._pen.write(level, event, self._bound | fields)

    def limited(self, event: str, **fields: Any) -> None:
        """`log(event, **fields)` for code that is not ours: every level is limited, `info` too.

        `level="warning"` (default `info`) sets the level; `recovered_from="<event>"` reports the end of that failure.
        """
        level = fields.pop("level", "info")
        failure = fields.pop("recovered_from", None)
        if failure is not None:
            self.recovered(str(failure), **fields)
        else:
            self._say(level if level in LEVELS else "info", event, fields, limited=True)

    def tick(self) -> None:
        """Say what fell silent within its 30 s and came no more. Call it every few seconds."""
        for key, silenced, context in self._pen.repeats.overdue(self._pen.monotonic()):
            level, fields = context
            event = str(key[0]) if isinstance(key, tuple) else str(key)
            self._pen.write(level, event, fields | {"repeated_count": silenced})

    def _say(self, level: Level, event: str, fields: dict[str, Any], *, limited: bool = False) -> None:
        rank = LEVELS.index(level)
        if rank < self._rank_min:
            return
        everything = self._bound | fields
        if limited or rank >= 2:
            self._pen.repeat(level, event, everything)
        else:
            self._pen.write(level, event, everything)


def open_log(
    *,
    now_us: Callable[[], int],
    monotonic: Callable[[], float],
    stream: TextIO | None = None,
    console: bool | None = None,
    level_min: Level = "info",
    redactor: Redactor | None = None,
    repeats: Repeats | None = None,
    counters: Counters | None = None,
    **bound: Any,
) -> Log:
    """The log of this process, on stderr unless `stream` is given. `console`: None asks whether that is a terminal.

    Under systemd the journal gets each field by itself. `counters` counts suppressed and lost lines. Changes no global state of structlog or logging.
    """
    import structlog

    out = sys.stderr if stream is None else stream
    render = _console() if (out.isatty() if console is None else console) else _json
    logger: Any = structlog.WriteLogger(out)
    if leads_to_journald(out):
        logger, render = _Hand(JournaldWriter(lambda line: print(_json(None, "", line), file=out, flush=True))), _bare
    writer = structlog.wrap_logger(
        logger,
        processors=[partial(_stamp, now_us), render],
        wrapper_class=structlog.BoundLogger,
        cache_logger_on_first_use=True,
    )
    pen = _Pen(writer, redactor or Redactor(), repeats or Repeats(), monotonic, counters or Counters())
    return Log(pen, bound, level_min)


class _Hand:
    """What structlog calls at the end, one method a level: all hand the line on as it is."""

    def __init__(self, write: Callable[[Mapping[str, Any]], None]) -> None:
        self.debug = self.info = self.warning = self.error = self.critical = write


def _bare(_logger: Any, _method: str, fields: Any) -> Any:
    return (fields,), {}


def _stamp(now_us: Callable[[], int], _logger: Any, method: str, fields: Any) -> dict[str, Any]:
    event = fields.pop("event")
    return {"time": rfc3339(now_us()), "level": method, "event": event, **fields}


def _json(_logger: Any, _method: str, fields: Any) -> str:
    try:
        return orjson.dumps(fields).decode()
    except TypeError:
        # orjson refuses integers over 64 bits and lone surrogates.
        return json.dumps(fields)


def _console() -> Any:
    from structlog.dev import ConsoleRenderer, plain_traceback

    return ConsoleRenderer(timestamp_key="time", sort_keys=False, exception_formatter=plain_traceback)
