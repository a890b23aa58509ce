"""`POST /check/<source>`: what a message would become, or why it would be a letter. Nothing is kept of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from runtime import clock
from runtime.canonical.registry import NAMES
from runtime.envelope import Envelope, Event, Ignored, Message
from runtime.errors import Untranslatable

Outcome = Callable[[Envelope], Sequence[Event | Ignored]]
NO_CORRELATION = "0" * 32


class Output(Struct, frozen=True, kw_only=True):
    """One part of what would come out: an event, or why it would be ignored."""

    output: int
    type: str | UnsetType = UNSET
    partition_key: str | UnsetType = UNSET
    data: Any = UNSET
    ignored: str | UnsetType = UNSET


class Verdict(Struct, frozen=True, kw_only=True):
    """`position` points into the message: a JSON pointer, or line and column."""

    source: str
    result: Literal["events", "ignored", "letter"]
    key: str | None
    """The idempotency key that it would have; None: a retry could not be told from a second message."""
    rules: str
    outputs: list[Output] = []
    reason: str | UnsetType = UNSET
    position: str | UnsetType = UNSET
    hint: str | UnsetType = UNSET


def try_message(outcome: Outcome, source: str, rules: str, message: Message) -> Verdict:
    """Blocking as long as the mapping takes. Never raises on a message."""
    key = message.key
    envelope = Envelope(
        source=source,
        body=message.body,
        content_type=message.content_type,
        intake_seq=0,
        epoch=0,
        received_us=clock.now_us(),
        correlation_id=NO_CORRELATION,
        key=key,
        headers=message.headers,
    )
    try:
        outputs = outcome(envelope)
    except Untranslatable as error:
        return Verdict(
            source=source,
            result="letter",
            key=key,
            rules=rules,
            reason=str(error),
            position=error.position,
            hint=error.hint,
        )
    found = [_output(output) for output in outputs]
    result: Literal["events", "ignored"] = "events" if any(o.type is not UNSET for o in found) else "ignored"
    return Verdict(source=source, result=result, key=key, rules=rules, outputs=found)


def _output(output: Event | Ignored) -> Output:
    if isinstance(output, Ignored):
        return Output(output=output.output, ignored=output.reason)
    name = NAMES[type(output.data)]
    return Output(output=output.output, type=name, partition_key=output.partition_key, data=output.data)
