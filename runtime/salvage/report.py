"""What a repair says: what was saved, what is lost by exact numbers, and who can give it back."""

from __future__ import annotations

from msgspec import Struct

Ranges = list[tuple[int, int]]


class LostFacts(Struct, frozen=True, kw_only=True):
    """Messages that are gone. The instants are those of the saved ones around them."""

    first: int
    last: int
    after: str
    before: str


class FactReport(Struct, frozen=True, kw_only=True):
    """Messages that were taken in. saved = settled + pending + letters."""

    last: int
    """The highest intake sequence that was ever given, as far as anything can tell."""
    end_known: bool
    """Whether nothing can be missing after `last`; if not, whoever sent at the end must be asked."""
    saved: int
    settled: int
    """The receipt is kept; the hub has what it became, or nothing was to become of it."""
    pending: int
    """Translated again; what the hub has of it already is recognised by `adopt` and not sent twice."""
    letters: int
    """A person decides: they were letters, or the damage hides whether the hub has them."""
    lost: list[LostFacts]
    """Their senders must send them again."""
    body_lost: Ranges
    """The hub has these; only the original message is gone. Nobody needs to send them again."""
    unknown_before: int
    """Below this number nothing can be told from what was forgotten in order (after `key_days`)."""


class LaneReport(Struct, frozen=True, kw_only=True):
    """Sealed records of one lane, by their sequence at the hub."""

    first: int
    last: int
    end_known: bool
    acked: int
    """The last that the hub is proven to have acknowledged."""
    saved: Ranges
    lost: Ranges
    """The hub has those up to `acked`; `adopt` reads them there. What was sealed beyond is sealed anew."""
    reads_hub_from: int
    """`adopt` compares the hub's stream from here on."""


class Report(Struct, frozen=True, kw_only=True):
    """The whole."""

    made_at: str
    region: str
    aside: str
    """Where the damaged journal lies now."""
    facts: FactReport
    lanes: dict[str, LaneReport]
    checkpoints: Ranges
    told: int
    """Digests of what was told once and need not be told again; a false one matches nothing."""
    torn: list[str]
    """Tables with pages that cannot be read."""
    notes: list[str]
