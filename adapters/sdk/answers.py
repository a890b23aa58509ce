"""What a partner's answer to a GET means. Pure: a document, nothing new, come back later, or never again like this."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from msgspec import Struct

from runtime.errors import Permanent, Retryable

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOT_MODIFIED = 304
NO_CONTENT = 204
LATER = frozenset({408, 425, 429})
OUR_LOGIN = frozenset({401, 403, 407})
_PARAMETER = r';\s*([^;,="\s<>]+)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"|([^;,"\s]*)))?\s*'
_LINK = re.compile(rf"<([^<>]*)>\s*((?:{_PARAMETER})*)")


class NotThere(Permanent):
    """The partner has no such document, or will not show this one."""


class Answer(Struct, frozen=True, kw_only=True):
    """An answer whose body was read within its bounds. Header names in lower case."""

    status: int
    headers: dict[str, str] = {}
    links: Sequence[str] = ()
    """The values of `Link`."""
    body: bytes = b""

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "application/json")

    @property
    def following(self) -> str:
        """The address of the next page (RFC 8288, rel="next"), or nothing. It may be relative."""
        for value in self.links:
            for link in _LINK.finditer(value):
                for name, quoted, bare in re.findall(_PARAMETER, link[2]):
                    if name.lower() == "rel" and "next" in (quoted or bare).lower().split():
                        return link[1]
        return ""


def judge(answer: Answer, origin: str, now_us: int) -> None:
    """Return for a document, for no content and for "not modified". Raises `Retryable`, `Permanent`, `NotThere`."""
    status = answer.status
    if 200 <= status < 300 or status == NOT_MODIFIED:
        return
    said = f"{origin} answered {status}"
    if status in LATER or status >= 500:
        raise Retryable(said, after_seconds=asked_seconds(answer, now_us))
    if 300 <= status < 400:
        raise Permanent(
            f"{said}: it wants us elsewhere", hint="redirects are not followed; configure the address meant"
        )
    if status in OUR_LOGIN:
        raise Permanent(f"{said}: it does not accept our login", hint="look at login and its secret")
    raise NotThere(said)


def asked_seconds(answer: Answer, now_us: int) -> float | None:
    """What Retry-After asks for (RFC 9110, 10.2.3). A date counts from the partner's own clock, if it shows that."""
    value = answer.headers.get("retry-after", "").strip()
    if value.isdecimal() and value.isascii():
        return float(value[:9])
    until = _http_date(value)
    if until is None:
        return None
    return max(0.0, (until - server_us(answer, now_us)) / 1_000_000)


def server_us(answer: Answer, now_us: int) -> int:
    """The partner's clock as its answer shows it; ours if it does not."""
    shown = _http_date(answer.headers.get("date", ""))
    return now_us if shown is None else shown


def _http_date(value: str) -> int | None:
    try:
        moment = parsedate_to_datetime(value)
        return us_of(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def us_of(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def text_of(at_us: int) -> str:
    """RFC 3339 in UTC, to the microsecond where there is a fraction. Raises `OverflowError` for a year without calendar."""
    return (_EPOCH + timedelta(microseconds=at_us)).isoformat().replace("+00:00", "Z")
