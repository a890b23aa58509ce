"""What of a request's head is kept, and how its target is read: headers that the source's rules read, and no others."""

from __future__ import annotations

from collections.abc import Sequence

from multidict import CIMultiDictProxy

from runtime.gateway import problems

VALUE_BYTES_MAX = 512
"""Of one kept header. What platforms say there is a topic, an id or a time."""


def kept_headers(headers: CIMultiDictProxy[str], names: Sequence[str]) -> dict[str, str]:
    """The named headers that are there; a repeated one is joined by `, ` (RFC 9110, section 5.3). Raises `Rejection`."""
    kept: dict[str, str] = {}
    for name in names:
        if name in headers:
            # Servers decode with surrogateescape, and a lone surrogate is no text.
            value = ", ".join(headers.getall(name)).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            if len(value.encode()) > VALUE_BYTES_MAX:
                raise problems.bad_header(name, f"is longer than {VALUE_BYTES_MAX} bytes")
            kept[name] = value
    return kept


def origin_form(target: str) -> str:
    """Path and query of a request target; the absolute form is taken, too (RFC 9112, 3.2.2)."""
    if not target.startswith(("http://", "https://")):
        return target
    return "/" + "".join(target.split("/", 3)[3:])
