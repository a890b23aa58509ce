"""What a caller may do: `source:wms:write`, granted as such or by the name of a role. Pure.

`*` stands for anything in its own place and for nothing more, so that a longer scope is never granted by a shorter one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from runtime.errors import ConfigError
from runtime.nearest import nearest

Scope = tuple[str, ...]
ROLE = "role:"
SOURCE_VERBS = ("write", "check", "receipts")
"""Send messages; try one without accepting it; ask what became of one's own."""
API_VERBS = {
    "orders": "write", "shipments": "read", "stock": "read", "products": "read", "partners": "read", "timeline": "read"
}  # fmt: skip
"""What is asked of each part of the API."""
LETTER_VERBS = ("list", "show", "retry", "release", "discard")
_NAME = re.compile(r"[a-z0-9-]{1,40}|\*")
_FORMS = "source:NAME:write, source:NAME:check, source:NAME:receipts, api:orders:write, api:stock:read (shipments, products, partners, timeline), letters:retry; * stands for any"


def parse_scope(text: str) -> Scope:
    """Raises `ConfigError` with the nearest verb for a scope that nothing here asks for."""
    parts = tuple(text.split(":"))
    area, verb = parts[0], parts[-1]
    if area == "source" and len(parts) == 3 and _NAME.fullmatch(parts[1]):
        known: Sequence[str] = SOURCE_VERBS
    elif area == "api" and len(parts) == 3 and parts[1] in (*API_VERBS, "*"):
        known = sorted({verb for part, verb in API_VERBS.items() if parts[1] in ("*", part)})
    elif area == "letters" and len(parts) == 2:
        known = LETTER_VERBS
    else:
        raise ConfigError(f"{text!r} is no scope", hint=f"scopes are {_FORMS}")
    if verb != "*" and verb not in known:
        raise ConfigError(f"the scope {text!r} ends in {verb!r}{nearest(verb, known)}", hint=f"scopes are {_FORMS}")
    return parts


def parse_roles(roles: Mapping[str, Sequence[str]]) -> dict[str, tuple[Scope, ...]]:
    """Raises `ConfigError` that names the role."""
    found: dict[str, tuple[Scope, ...]] = {}
    for name, texts in roles.items():
        try:
            found[name] = tuple(parse_scope(text) for text in texts)
        except ConfigError as error:
            raise ConfigError(f"access.roles.{name}: {error}", hint=error.hint) from None
    return found


def expand(grants: Iterable[str], roles: Mapping[str, tuple[Scope, ...]]) -> tuple[Scope, ...]:
    """Scopes behind grants. A role that is not configured any more grants nothing."""
    found: list[Scope] = []
    for text in grants:
        found += roles.get(text.removeprefix(ROLE), ()) if text.startswith(ROLE) else [parse_scope(text)]
    return tuple(dict.fromkeys(found))


def covers(held: Iterable[Scope], wanted: Scope) -> bool:
    """Whether one of the scopes allows what is wanted."""
    return any(
        len(scope) == len(wanted) and all(mine in ("*", part) for mine, part in zip(scope, wanted, strict=True))
        for scope in held
    )
