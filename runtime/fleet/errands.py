"""Does what headquarters asks for, each signed action once and before it expires, and takes over its watermark.

An action is begun in the journal, done, and answered in the journal, in this order: after a crash it is done again,
which every verb allows. Answers are signed by the region and kept until the hub has them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Literal

from runtime import clock
from runtime.errors import EntrepotError, Permanent, Refused, Retryable, StorageFailed
from runtime.fleet.documents import ACTION, RESULT, WATERMARK, Action, Result, Watermark
from runtime.fleet.lifecycle import instant_us
from runtime.fleet.post import FleetPost
from runtime.fleet.settings import raw_keys
from runtime.fleet.signing import read, sign
from runtime.journal import actions, lanes, watermark
from runtime.journal.store import Connection
from runtime.kernel import Kernel
from runtime.observe.log import Log

ACTIONS_MAX = 100
"""Actions looked at in one go, newest first: an agent that was away for long does not work off an endless list."""
Call = Callable[[str, dict[str, Any]], Awaitable[Any]]
"""Asks `Operations` for a verb."""
Renew = Callable[[], None]


class Errands:
    """Of one agent."""

    def __init__(self, kernel: Kernel, call: Call, renew: Renew, log: Log) -> None:
        """`renew`: connect to the hub anew, with what the files of its login say now."""
        self._kernel, self._call, self._renew, self._log = kernel, call, renew, log
        self._watermark = b""
        self._verbs: dict[str, Callable[[Action], Awaitable[dict[str, Any]]]] = {
            "pause": self._pause, "resume": self._resume, "replay": self._replay, "drain": self._drain,
            "rotate": self._rotate,
        }  # fmt: skip

    async def look(self, post: FleetPost) -> None:
        """Do what is new, tell what came of it. Raises `Retryable` while the hub is away, `Permanent` for its refusal."""
        for action in await self._new(post):
            await self._do(action)
        journal = self._kernel.journal
        for identifier, document in await journal.read(actions.unsent):
            await post.report("result", document, identifier)
            await journal.write(partial(actions.sent, identifier=identifier))
        await self._take_watermark(post)

    # ------------------------------------------------------------ actions

    async def _new(self, post: FleetPost) -> list[Action]:
        """Actions without an answer, oldest first: each names the one before it."""
        found: list[Action] = []
        document = await post.newest_action()
        while document is not None and len(found) < ACTIONS_MAX:
            try:
                action = self._read(document, ACTION, Action)
            except Refused as error:
                self._log.limited("an action at the hub is not believed", reason=str(error))
                break
            if await self._kernel.journal.read(partial(actions.is_settled, identifier=action.id)):
                break
            found.append(action)
            document = await post.action(action.previous) if action.previous else None
        return found[::-1]

    def _read(self, document: bytes, kind: str, type_: type[Any]) -> Any:
        model = self._kernel.configuration.model
        keys = raw_keys(model.fleet.release_keys) if model.fleet else ()
        return read(document, kind, type_, keys=keys, environment=model.environment, region=model.region)

    async def _do(self, action: Action) -> None:
        await self._kernel.journal.write(partial(actions.begin, identifier=action.id, now_us=clock.now_us()))
        state: Literal["done", "refused", "failed"] = "done"
        reason, answer = "", dict[str, Any]()
        try:
            if instant_us(action.expires_at) <= clock.now_us():
                raise Refused(f"it expired at {action.expires_at}, before this agent saw it")
            do = self._verbs.get(action.verb)
            if do is None:
                raise Refused(f"this agent does not know {action.verb!r}; it knows {', '.join(sorted(self._verbs))}")
            answer = await do(action)
        except StorageFailed:
            raise
        except Refused as error:
            state, reason = "refused", str(error)
        except EntrepotError as error:
            state, reason = "failed", str(error)
        except Exception as error:  # noqa: BLE001 - parameters come from elsewhere; headquarters must hear of any end
            state, reason = "failed", f"{action.verb} could not be done with these parameters ({type(error).__name__})"
        self._log.info(
            "headquarters asked for something", verb=action.verb, action=action.id, by=action.by, state=state,
            reason=reason,
        )  # fmt: skip
        await self._kernel.journal.write(
            partial(self._settle, action=action, state=state, reason=reason, answer=answer)
        )

    def _settle(
        self, connection: Connection, action: Action, state: Literal["done", "refused", "failed"], reason: str,
        answer: dict[str, Any],
    ) -> None:  # fmt: skip
        now_us = clock.now_us()
        result = Result(
            environment=action.environment, region=action.region, issued_at=clock.rfc3339(now_us),
            id=action.id, verb=action.verb, state=state, reason=reason, answer=answer,
        )  # fmt: skip
        actions.settle(connection, action.id, sign(self._kernel.identity, RESULT, result), now_us)

    async def _pause(self, action: Action) -> dict[str, Any]:
        source = _text(action, "source")
        return dict(await self._call("source.pause", {"source": source, "reason": _why(action), "by": _who(action)}))

    async def _resume(self, action: Action) -> dict[str, Any]:
        return dict(await self._call("source.resume", {"source": _text(action, "source")}))

    async def _replay(self, action: Action) -> dict[str, Any]:
        allowed = {"source", "first", "last", "dry_run"}
        if unknown := action.parameters.keys() - allowed:
            raise Permanent(f"replay knows no parameter {min(unknown)!r}")
        _text(action, "source")
        count, asked = 0, dict(action.parameters)
        while True:
            found = await self._call("replay", asked)
            count += len(found["changes"])
            if found["next"] is None:
                return {"changes": count}
            asked |= {"first": found["next"], "last": found["last"]}

    async def _drain(self, action: Action) -> dict[str, Any]:
        """Every source waits; what was accepted goes on to the hub."""
        sources = list(self._kernel.configuration.sources)
        for source in sources:
            await self._call("source.pause", {"source": source, "reason": _why(action), "by": _who(action)})
        status = await self._call("status", {})
        return {"paused": sources, "pending": status["pending"]}

    async def _rotate(self, action: Action) -> dict[str, Any]:
        self._renew()
        return {}

    # ------------------------------------------------------------ the watermark

    async def _take_watermark(self, post: FleetPost) -> None:
        document = await post.watermark()
        if document is None or document == self._watermark:
            return
        try:
            found: Watermark = self._read(document, WATERMARK, Watermark)
        except Refused as error:
            self._log.limited("a watermark at the hub is not believed", reason=str(error))
            return
        odd = await self._kernel.journal.write(partial(_note, found=found))
        self._watermark = document
        for lane in odd:
            self._log.once("error", "headquarters has verified another chain than this region sealed", lane=lane)


def _note(connection: Connection, found: Watermark) -> list[str]:
    """The lanes about which headquarters and this journal do not agree; nothing of those is forgotten by it."""
    odd = []
    for lane in lanes.everyone(connection):
        _, seq, chain = found.lanes.get(lane.name, (0, 0, ""))
        if seq and not watermark.note(connection, lane, seq, bytes.fromhex(chain)):
            odd.append(lane.name)
    return odd


def _text(action: Action, name: str) -> str:
    value = action.parameters.get(name)
    if not isinstance(value, str) or not value:
        raise Permanent(f"{action.verb} needs the parameter {name!r}")
    return value


def _why(action: Action) -> str:
    reason = action.parameters.get("reason")
    return f"{reason or action.verb}{f' ({action.ticket})' if action.ticket else ''}"


def _who(action: Action) -> str:
    return f"headquarters, {action.by}"


async def quietly(errands: Errands, post: FleetPost, log: Log) -> None:
    """`look`, where a hub that is away or refuses is only logged: the next look does it all."""
    try:
        await errands.look(post)
    except (Retryable, Permanent) as error:
        log.limited("headquarters' errands wait", reason=str(error))
