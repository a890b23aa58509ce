"""Why somebody was turned away, in the only words that the log has for it."""

from __future__ import annotations

from typing import Literal

from runtime.errors import Refused

Reason = Literal["missing", "unknown", "expired", "revoked", "token", "scope", "limit", "uid"]


class Denied(Refused):
    """The credential opens nothing. `caller`: whose it was, if that is known."""

    def __init__(self, message: str, reason: Reason, caller: str = "") -> None:
        super().__init__(message)
        self.reason: Reason = reason
        self.caller = caller
