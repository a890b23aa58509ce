"""What the answer of a REST interface means, as its settings say. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from adapters.http_target.settings import HttpTargetSettings
from adapters.sdk.outbound import try_later
from runtime.errors import Permanent, Refused
from runtime.outgoing import Answer
from runtime.policy.addresses import Origin
from runtime.ports import Delivered

_REFERENCE = re.compile(r"[ -~]{1,100}")
_OUR_LOGIN = frozenset({401, 403, 407})
_NOT_TAKEN = "a token was given, and is not taken: look at scope, audience, and what client_id may do there"


def judge(answer: Answer, settings: HttpTargetSettings, origin: Origin, now_us: Callable[[], int]) -> Delivered:
    """Delivered, or `Retryable`, `Permanent`, `Refused`. What the answer's body says is never repeated."""
    status = answer.status
    if status in settings.done or (status in settings.expected if settings.expected else 200 <= status < 300):
        return Delivered(reference=reference(answer.body, settings.reference))
    if status in settings.gone:
        raise Refused(f"{origin} answered {status}: it wants no more", hint="enable the target again when it does")
    if 400 <= status < 500 and status not in settings.later:
        raise Permanent(
            f"{origin} answered {status} and would do so again",
            hint="its log says why; if that status means done, name it in done, if it passes, in later",
        )
    hint = ""
    if status in _OUR_LOGIN:
        by_token = settings.auth is not None and settings.auth.token_url is not None
        hint = _NOT_TAKEN if by_token else "look at auth and its secret"
    elif 200 <= status < 300:
        hint = "the answer is not among expected"
    raise try_later(origin, answer, now_us, hint=hint)


def reference(body: bytes, pointer: str) -> str:
    """The value at a JSON pointer (RFC 6901), if it is a short plain one."""
    if not pointer:
        return ""
    try:
        value: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return ""
    for part in pointer.split("/")[1:]:
        value = _inner(value, part.replace("~1", "/").replace("~0", "~"))
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return text if _REFERENCE.fullmatch(text) else ""


def _inner(value: Any, part: str) -> Any:
    if isinstance(value, dict):
        return value.get(part)
    if isinstance(value, list) and part.isascii() and part.isdigit() and len(part) < 10 and int(part) < len(value):
        return value[int(part)]
    return None
