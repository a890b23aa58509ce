"""What to do after every surprise: compare where the hub stands with where the lane stands. Pure.

One row of the table in docs/record-format.md each. Never guesses: what cannot be proven equal is fenced.
"""

from __future__ import annotations

from msgspec import Struct

from runtime.ports import Fence, LaneHead


class HubView(Struct, frozen=True, kw_only=True):
    """What the stream's leader said."""

    exists: bool = True
    last: int = 0
    first: int = 0
    """First stored message; above `last` when nothing is stored."""
    born_at: int = 1
    """The first sequence the stream was made with."""
    chain: bytes | None = None
    """Chain at `last`: proven from the hub's own messages above `acked`, the header's word below it; None: unreadable."""
    ours: bytes | None = None
    """Our chain at `last`; None when that row is not retained."""
    problem: str = ""
    """Why this stream must not be written to (wrong owner, unsafe setting); empty when it may."""


class Go(Struct, frozen=True):
    """Send from `position + 1`; everything up to there is stored."""

    position: int


class Rewind(Struct, frozen=True):
    """The hub lost acknowledged rows after `to`; send them again."""

    to: int
    reason: str


class Make(Struct, frozen=True):
    """The stream is missing and we may make it, starting at `first`."""

    first: int


class Wait(Struct, frozen=True):
    """Nothing is wrong and nothing can be sent; look again later."""

    reason: str


class Stop(Struct, frozen=True):
    """A person must decide."""

    fence: Fence


Decision = Go | Rewind | Make | Wait | Stop

MENDABLE = frozenset({"hub_recreated", "wrong_stream", "unreadable"})
"""Fences that lift by themselves once the hub's side has been mended."""


def range_to_prove(head: LaneHead, last: int) -> range:
    """Positions whose stored messages must be re-read: on the wire once, never acknowledged.

    An equal chain at `last` alone proves nothing here: a second writer may have taken a place further down.
    """
    return range(head.acked + 1, last + 1) if head.acked < last <= head.sealed else range(0)


def reconcile(head: LaneHead, hub: HubView, *, stream: str, manage: bool) -> Decision:
    """The table. `manage`: `[hub] manage_streams`."""
    if not hub.exists:
        return _missing(head, stream, manage)
    if hub.problem:
        return Stop(_fence("wrong_stream", hub.problem, _MEND.format(stream=stream), head, hub))
    if hub.last > head.sealed:
        return Stop(_stale_self(head, hub, stream))
    if hub.last < head.oldest - 1 and hub.last < head.acked:
        return Stop(_horizon(head, hub, stream))
    if hub.chain is None or hub.ours is None:
        return _unreadable(head, hub, stream)
    if hub.chain != hub.ours:
        return Stop(_diverged(head, hub, stream))
    if hub.last < head.acked:
        lost = f"{hub.last + 1} to {head.acked}"
        return Rewind(hub.last, f"the hub lost acknowledged events {lost} of {stream}; they are sent again")
    return Go(hub.last)


def _missing(head: LaneHead, stream: str, manage: bool) -> Decision:
    if manage:
        return Make(min(head.oldest, head.acked + 1))
    if head.acked == 0:
        return Wait(f"the hub has no stream {stream}; run `entrepot topology apply`")
    reason = f"the hub has no stream {stream}, though it acknowledged {head.acked} events of it"
    action = (
        f"Restore the stream, or run `entrepot topology apply`: it is made again from event {head.oldest} and refilled."
    )
    return Stop(_fence("hub_recreated", reason, action, head, None))


def _unreadable(head: LaneHead, hub: HubView, stream: str) -> Decision:
    """Message `last` is gone, or the row is. Only two ways of being gone are innocent."""
    empty = hub.first > hub.last
    if empty and hub.last == head.acked:
        return Go(hub.last)
    if empty and hub.last < head.acked and hub.born_at == hub.last + 1 > 1:
        return Rewind(hub.last, f"{stream} was made again from event {hub.born_at}; it is refilled from there")
    reason = f"{stream} ends at event {hub.last}, which cannot be compared with ours"
    action = f"Find out what removed messages from {stream}; restore them, or delete the stream and run `entrepot topology apply`."
    return Stop(_fence("unreadable", reason, action, head, hub))


_MEND = "Mend the stream {stream} or point `[hub]` at the right hub; sending resumes by itself."


def _stale_self(head: LaneHead, hub: HubView, stream: str) -> Fence:
    reason = f"{stream} has {hub.last} events, this journal sealed only {head.sealed}: the journal is an older copy, or another agent uses this identity"
    action = "Make sure that no second agent runs for this region, then run `entrepot adopt`."
    return _fence("stale_self", reason, action, head, hub)


def _diverged(head: LaneHead, hub: HubView, stream: str) -> Fence:
    reason = (
        f"event {hub.last} of {stream} is not the one this journal sealed: a second agent, a cloned disk, or tampering"
    )
    action = "Find the second writer with `entrepot verify`. Keep one agent, then run `entrepot adopt` on it."
    return _fence("diverged", reason, action, head, hub)


def _horizon(head: LaneHead, hub: HubView, stream: str) -> Fence:
    reason = (
        f"{stream} ends at event {hub.last}; this region retains rows from {head.oldest} only, "
        f"so events {hub.last + 1} to {head.oldest - 1} cannot be refilled"
    )
    action = (
        f"Restore {stream} from a newer copy. To accept the loss, delete the stream, run `entrepot topology apply` "
        f"(it is made again from event {head.oldest}) and release the fence."
    )
    return _fence("horizon", reason, action, head, hub)


def _fence(kind: str, reason: str, action: str, head: LaneHead, hub: HubView | None) -> Fence:
    evidence = {"sealed": str(head.sealed), "acked": str(head.acked), "oldest": str(head.oldest)}
    if hub is not None:
        evidence |= {"hub_first": str(hub.first), "hub_last": str(hub.last)}
        evidence |= {"hub_chain": hub.chain.hex() if hub.chain else "", "our_chain": hub.ours.hex() if hub.ours else ""}
    return Fence(kind=kind, reason=reason, action=action, evidence=evidence)
