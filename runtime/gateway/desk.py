"""What a caller with a name of its own may still ask for, at the door of one source, and how it is told.

RateLimit-Policy and RateLimit as in draft-ietf-httpapi-ratelimit-headers-11.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from runtime.access.allowance import Allowance, Limit, Quota
from runtime.access.scopes import Scope
from runtime.gateway import problems
from runtime.gateway.problems import Rejection
from runtime.ports import Request


class Desk(Protocol):
    """Where callers are known; the agent's `Doorkeeper`."""

    def admit(self, source: str, request: Request) -> str: ...
    def authorize(self, wanted: Scope, request: Request) -> str: ...
    def allowance(self, caller: str) -> Allowance: ...
    def over_limit(self, caller: str, source: str) -> None: ...


def enter(desk: Desk, caller: str, source: str, now: float, now_us: int) -> Allowance:
    """Let the caller's request in; give it back with `leave`. Raises `Rejection` (429)."""
    allowance = desk.allowance(caller)
    refused = allowance.enter(now, now_us)
    if refused is None:
        return allowance
    desk.over_limit(caller, source)
    limit, wait_seconds = refused
    raise over(limit, wait_seconds, allowance.quotas(now, now_us))


def over(limit: Limit, wait_seconds: float, quotas: Sequence[Quota]) -> Rejection:
    """429 for a caller."""
    rejection = problems.caller_over(limit, wait_seconds)
    rejection.headers |= fields(quotas)
    return rejection


def fields(quotas: Sequence[Quota]) -> dict[str, str]:
    """The two fields; none when no limit is set."""
    if not quotas:
        return {}
    return {
        "RateLimit-Policy": ", ".join(f'"{q.name}";q={q.of};w={q.window_seconds}' for q in quotas),
        "RateLimit": ", ".join(f'"{q.name}";r={q.left};t={q.reset_seconds}' for q in quotas),
    }


def lines(quotas: Sequence[Quota]) -> str:
    """The same as they stand in a head."""
    return "".join(f"{name}: {value}\r\n" for name, value in fields(quotas).items())


def source_quota(rate_per_second: float, burst: int, left: float, wait_seconds: float) -> Quota:
    """The limit of a whole source, in the words of the fields."""
    window = max(1, round(burst / rate_per_second))
    missing = (burst - left) / rate_per_second
    return Quota("rate", burst, window, int(left), math.ceil(max(wait_seconds, missing)))
