"""What a pack does with one sample: which message it is, and then all that a trial of a mapping shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from runtime.errors import Untranslatable
from runtime.mapping.decode import decode
from runtime.mapping.pack import CompiledPack, Found
from runtime.mapping.trial import Problem, Trial, shown, try_message
from runtime.ports import NO_HEADERS


def try_pack(
    pack: CompiledPack,
    body: bytes,
    content_type: str = "application/json",
    headers: Mapping[str, str] = NO_HEADERS,
    *,
    received_us: int = 0,
) -> list[Trial]:
    """One trial for each message in the sample. Never raises on a message. `received_us`: time of acceptance."""
    key = pack.key(body, content_type, headers)
    fact: Any = None
    try:
        fact = decode(body, content_type, pack.form)
        found = pack.find(fact, headers)
    except Untranslatable as error:
        problem = Problem(
            message=str(error), position=error.position, hint=error.hint, value=shown(fact, error.position)
        )
        return [Trial(mapping=pack.version, key=key, errors=[problem])]
    return [_try_found(pack, one, key, headers, received_us) for one in found]


def _try_found(
    pack: CompiledPack, found: Found, key: str | None, headers: Mapping[str, str], received_us: int
) -> Trial:
    message = found.message
    bare = Trial(mapping=pack.version, key=key, message=message.name, known_by=found.how, position=found.position)
    if message.ignore:
        outputs: list[dict[str, Any]] = [{"ignored": message.ignore, "output": found.step}]
        return msgspec.structs.replace(bare, outputs=outputs)
    if message.letter:
        problem = Problem(message=f"{message.name}: {message.letter}", position=found.position)
        return msgspec.structs.replace(bare, errors=[problem])
    trial = try_message(
        pack.mappings[message.mapping], found.content, key, headers=headers, kind=message.name, received_us=received_us
    )
    outputs = [{**output, "output": output["output"] + found.step} for output in trial.outputs]
    return msgspec.structs.replace(
        bare,
        outputs=outputs,
        read=trial.read,
        guessed=trial.guessed,
        unread=trial.unread,
        warnings=trial.warnings,
        errors=trial.errors,
    )
