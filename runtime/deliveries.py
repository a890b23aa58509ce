"""The verbs of people about what headquarters sent and what targets are to get. Part of `operations`.

Contents are masked unless asked for; attributes of an event may hold personal data and are never shown.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec

from runtime import clock
from runtime.errors import Permanent, Refused
from runtime.journal import deliveries, inbox, targets
from runtime.journal.deliveries import STATES, DeliveryRow
from runtime.kernel import Kernel
from runtime.masking import masked
from runtime.nearest import nearest
from runtime.pipeline.inbox import adopt

ROWS_MAX = 1_000


class Deliveries:
    """One method a verb; the running agent's steps hear of every change."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def page(self, *, state: str = "open", after: int = 0, limit: int = 100) -> list[dict[str, Any]]:
        """Deliveries in a state after a number, in order, without their content."""
        if state not in STATES:
            raise Permanent(f"there is no state {state!r}{nearest(state, STATES)}")
        query = partial(deliveries.page, state=state, after=after, rows_max=min(limit, ROWS_MAX))
        return [_shown(row) for row in await self._kernel.journal.read(query)]

    async def show(self, *, id: int, unmask: bool = False) -> dict[str, Any]:
        """One delivery; its content is masked unless asked."""
        row = await self._kernel.journal.read(partial(deliveries.get, number=id))
        answer = _shown(row)
        if row.data:
            answer |= {"bytes": len(row.data), "masked": not unmask}
            answer["data"] = (row.data if unmask else masked(row.data)).decode("utf-8", "replace")
        return answer

    async def retry(self, *, ids: list[int] | None = None, target: str | None = None) -> list[dict[str, Any]]:
        """Deliver letters after all, or open ones at once: those named, or every letter (of a target)."""
        chosen = ids if ids is not None else await self._letters(target)
        done = []
        for number in chosen:
            name = await self._kernel.journal.write(partial(deliveries.reopen, number=number, now_us=clock.now_us()))
            step = self._kernel.delivering.get(name)
            if step is not None:
                await step.reopened(number)
            done.append({"id": number, "target": name, "state": deliveries.OPEN})
        return done

    async def _letters(self, target: str | None) -> list[int]:
        chosen, after = list[int](), 0
        query = partial(deliveries.page, state=deliveries.LETTER, rows_max=ROWS_MAX)
        while page := await self._kernel.journal.read(partial(query, after=after)):
            after = page[-1].number
            chosen += [row.number for row in page if target in (None, row.target)]
        return chosen

    async def discard(self, *, id: int) -> dict[str, Any]:
        """Decide that it shall not be delivered; it stays counted as a dead letter."""
        name = await self._kernel.journal.write(partial(deliveries.discard, number=id, now_us=clock.now_us()))
        step = self._kernel.delivering.get(name)
        if step is not None:
            step.discarded(id)
        return {"id": id, "target": name, "state": deliveries.DISCARDED}

    async def enable(self, *, target: str) -> dict[str, Any]:
        """Give a target deliveries again."""
        row = await self._kernel.journal.read(partial(targets.get, name=target))
        await self._kernel.journal.write(lambda connection: targets.disable(connection, row.id, None))
        step = self._kernel.delivering.get(target)
        if step is not None:
            step.enabled()
        return {"target": target, "was": row.disabled}

    async def adopt(self, *, after: int | None = None, confirm: bool = False) -> dict[str, Any]:
        """Take in from headquarters again, behind record `after` of its stream or where this region stands."""
        kernel = self._kernel
        step = kernel.inbox
        if step is None:
            raise Refused("there is no [downlink] in the configuration")
        head = await step.head()
        if head.fence is None:
            raise Refused("the downlink is not stopped: there is nothing to decide", hint="`entrepot status` shows it")
        if confirm:
            change = partial(adopt, region=step.region, after=after, now_us=clock.now_us())
            await kernel.journal.write(change)
        return {
            "headquarters": step.region,
            "reason": head.fence.reason,
            "stands_at": head.seq,
            "continues_after": head.seq if after is None else after,
            "confirmed": confirm,
        }

    async def adopted(self) -> None:
        """A person has decided to go on with this restored or repaired journal: with what headquarters sends, too."""
        for row in await self._kernel.journal.read(inbox.downlinks):
            if row.fence is not None and row.fence.kind == "stale_self":
                change = partial(adopt, region=row.region, after=None, now_us=clock.now_us())
                await self._kernel.journal.write(change)


def _shown(row: DeliveryRow) -> dict[str, Any]:
    answer: dict[str, Any] = msgspec.to_builtins(msgspec.structs.replace(row, headers=b"", data=b""))
    for name in ("headers", "data"):
        del answer[name]
    for name in ("first", "next", "last", "expires"):
        at = answer.pop(f"{name}_us")
        answer[f"{name}_at"] = clock.rfc3339(at) if at else None
    return {"id": answer.pop("number"), "key_id": answer.pop("id"), **answer}
