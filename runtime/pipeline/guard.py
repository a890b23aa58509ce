"""Stands around a translator that somebody else wrote in Python: its defects become letters, never a stopped agent.

Compiled mappings need no guard: what is checked here they cannot do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from runtime.canonical.registry import NAMES
from runtime.envelope import Envelope, Event, Ignored
from runtime.errors import Untranslatable
from runtime.ports import NO_HEADERS, Translator

OUTPUTS_MAX = 10_000
"""Outputs of one message: they are written in one transaction."""
_HINT = "this is a defect of the translator, not of the message; fix it and retry the letter"


class Guarded:
    """Implements `runtime.ports.Translator` around another one."""

    def __init__(self, translator: Translator) -> None:
        self._translator = translator
        self.has_key: bool = getattr(translator, "has_key", True)
        self.headers = tuple(getattr(translator, "headers", ()))

    @property
    def version(self) -> str:
        """See `runtime.ports.Translator`."""
        return str(self._translator.version)

    def key(self, body: bytes, content_type: str, headers: Mapping[str, str] = NO_HEADERS) -> str | None:
        """See `runtime.ports.Translator`; a translator that fails here has no key for the message."""
        try:
            key = self._translator.key
            return _text(key(body, content_type, headers) if headers else key(body, content_type))
        except Exception:  # noqa: BLE001 - foreign code; the message itself is accepted all the same
            return None

    def partition_key(self, envelope: Envelope) -> str | None:
        """See `runtime.ports.Translator`; a translator that fails here does not know the key."""
        try:
            return _text(self._translator.partition_key(envelope))
        except Exception:  # noqa: BLE001 - foreign code; the whole source waits then
            return None

    def translate(self, envelope: Envelope) -> Sequence[Event | Ignored]:
        """See `runtime.ports.Translator`. Raises `Untranslatable` for outputs that cannot be kept."""
        outputs = list(self._translator.translate(envelope))
        if len(outputs) > OUTPUTS_MAX:
            raise Untranslatable(f"the translator gave {len(outputs)} outputs, at most {OUTPUTS_MAX} are kept")
        numbers: set[int] = set()
        for output in outputs:
            _check(output)
            numbers.add(output.output)
        if len(numbers) != len(outputs):
            raise Untranslatable("the translator gave two outputs the same number", hint=_HINT)
        return outputs


def _check(output: Any) -> None:
    if not isinstance(output, Event | Ignored):
        raise Untranslatable(f"the translator gave a {type(output).__name__}, neither Event nor Ignored", hint=_HINT)
    if type(output.output) is not int or not 0 <= output.output < 2**31:
        raise Untranslatable("the translator gave an output number that is no number from 0 to 2147483647", hint=_HINT)
    try:
        if isinstance(output, Ignored):
            _text(output.reason)
            return
        _text(output.partition_key)
        _text(output.once_key)
        msgspec.json.encode(output.data)
    except Exception as error:
        # The text of a foreign exception may quote partner data: only its class is kept.
        raise Untranslatable(f"the translator's output cannot be kept ({type(error).__name__})", hint=_HINT) from error
    if type(output.data) not in NAMES or output.partition_key is None:
        raise Untranslatable("the translator gave an event without canonical type or partition key", hint=_HINT)


def _text(value: Any) -> str | None:
    """Text that can be stored, or None. Raises for anything else."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError
    value.encode()
    return value
