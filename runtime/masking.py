"""Shows the shape of a message without what it says: for letters, which may hold personal data nobody classified."""

from __future__ import annotations

from typing import Any

import orjson

DEPTH_MAX = 64


def masked(body: bytes) -> bytes:
    """JSON keeps its keys, every text and number becomes a placeholder; anything else shows only its length."""
    try:
        return orjson.dumps(_mask(orjson.loads(body), 0), option=orjson.OPT_INDENT_2)
    except (orjson.JSONDecodeError, RecursionError):
        return f"({len(body)} bytes that are no JSON; --unmask shows them)".encode()


def _mask(value: Any, depth: int) -> Any:
    if depth > DEPTH_MAX:
        return "…"
    if isinstance(value, dict):
        return {key: _mask(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_mask(item, depth + 1) for item in value]
    if isinstance(value, str):
        return f"(text, {len(value)} characters)"
    return value if value is None or isinstance(value, bool) else "(number)"
