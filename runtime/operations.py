"""Every verb that needs the journal, once: the admin socket of a running agent and a command on a stopped one share it.

Parameters and answers are plain data. Errors are `EntrepotError`s with a hint.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Awaitable, Callable
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

import msgspec

from runtime import clock
from runtime.access.settings import CallerLimits
from runtime.backup.archive import Archive
from runtime.config.change import Plan
from runtime.deliveries import Deliveries
from runtime.errors import Permanent, Refused
from runtime.fleet.regional import Regional
from runtime.grants import Grants, Shown
from runtime.journal import inspect, intake, lanes, letters
from runtime.journal.letters import Letter
from runtime.kernel import IDENTITY, Kernel
from runtime.masking import masked
from runtime.nearest import nearest
from runtime.pipeline import adopt
from runtime.ports import HubLink
from runtime.status import Status, journal_stats

ROWS_MAX = 1_000
REPLAYED_MAX = 10_000
"""Facts that one call replays: what comes of them is held in memory until it is told."""
_GRANTING = frozenset({"access.grant", "access.rotate", "access.revoke"})
"""They write their own entry into the access log."""
_ADMINISTERING = frozenset(
    {
        "reload",
        "source.pause",
        "source.resume",
        "letters.retry",
        "letters.release",
        "letters.discard",
        "replay",
        "journal.backup",
        "deliveries.retry",
        "deliveries.discard",
        "deliveries.enable",
        "revision.override",
        "revision.resume",
        "revision.veto",
    }
)
_REVEALING = frozenset({"unmask", "apply", "confirm"})
"""Parameters that make a verb show personal data or change something."""
Answer = Any


class Operations:
    """`call(verb, parameters)` for everybody; one method a verb."""

    def __init__(
        self,
        kernel: Kernel,
        status: Callable[[], Awaitable[Status]],
        *,
        running: bool,
        reload: Callable[[], Awaitable[Plan]] | None = None,
        regional: Regional | None = None,
    ) -> None:
        self._kernel = kernel
        self._reload = reload
        self._status = status
        self._grants = Grants(kernel)
        self._deliveries = Deliveries(kernel)
        self._running = running
        self._backup: Archive | None = None
        regional = regional or Regional(None)
        self._verbs: dict[str, Callable[..., Awaitable[Answer]]] = {
            "status": self.status,
            "reload": self.reload,
            "letters.list": self.letters_list,
            "letters.show": self.letters_show,
            "letters.retry": self.letters_retry,
            "letters.release": self.letters_release,
            "letters.discard": self.letters_discard,
            "replay": self.replay,
            "deliveries.list": self._deliveries.page,
            "deliveries.show": self._deliveries.show,
            "deliveries.retry": self._deliveries.retry,
            "deliveries.discard": self._deliveries.discard,
            "deliveries.enable": self._deliveries.enable,
            "deliveries.adopt": self._deliveries.adopt,
            "topology": self.topology,
            "source.list": self.source_list,
            "source.pause": self.source_pause,
            "source.resume": self.source_resume,
            "adopt": self.adopt,
            "hub.examine": self.examine_hub,
            "access.grant": self.access_grant,
            "access.rotate": self._grants.rotate,
            "access.revoke": self._grants.revoke,
            "access.list": self._grants.everybody,
            "access.audit": self._grants.audit,
            "revision.show": regional.show,
            "revision.override": regional.override,
            "revision.resume": regional.resume,
            "revision.veto": regional.veto,
            "journal.stats": self.stats,
            "journal.verify": self.verify,
            "journal.dispositions": self.dispositions,
            "journal.backup": self.backup,
            "journal.backup_progress": self.backup_progress,
        }

    async def call(self, verb: str, parameters: dict[str, Any], *, uid: int | None = None) -> Answer:
        """Raises `Permanent` for an unknown verb or parameter. `uid`: whose wish it is, if not this process's own user's."""
        method = self._verbs.get(verb)
        if method is None:
            raise Permanent(f"this agent knows no verb {verb!r}", hint="use the `entrepot` of the same version")
        by = os.getuid() if uid is None else uid
        if verb in _GRANTING:
            parameters = parameters | {"by": by}
        elif _is_told(verb, parameters):
            await self._grants.note(verb, by)
        if verb == "source.pause":
            parameters = {"by": f"uid {by}"} | parameters
        try:
            signature(method).bind(**parameters)
        except TypeError as error:
            raise Permanent(f"{verb}: {error}") from None
        return msgspec.to_builtins(await method(**parameters))

    async def status(self) -> Status:
        """The books, lanes, alerts."""
        return await self._status()

    async def reload(self) -> dict[str, Any]:
        """Work by what the configuration file says now; what has changed."""
        if self._reload is None:
            raise Refused("no agent is running", hint="its next start reads the configuration")
        plan = await self._reload()
        return {"config": self._kernel.configuration.digest, "changes": plan.changes, "loosened": plan.loosened}

    async def letters_list(self, *, after: int = 0, limit: int = 100, state: str = "open") -> list[dict[str, Any]]:
        """Letters after a number, in order."""
        rows = await self._kernel.journal.read(
            lambda connection: letters.page(connection, after=after, rows_max=min(limit, ROWS_MAX), state=state)
        )
        return [_letter(row) for row in rows]

    async def letters_show(self, *, id: int, unmask: bool = False) -> dict[str, Any]:
        """One letter with its message; values are masked unless asked."""
        journal = self._kernel.journal
        letter = await journal.read(lambda connection: letters.get(connection, id))
        fact = await journal.read(lambda connection: intake.fact(connection, journal.names, letter.intake_seq))
        answer = _letter(letter)
        if fact is not None:
            shown = fact.body if unmask else masked(fact.body)
            answer |= {
                "content_type": fact.content_type,
                "received_at": clock.rfc3339(fact.received_us),
                "correlation_id": fact.correlation_id,
                "bytes": len(fact.body),
                "masked": not unmask,
                "body": shown.decode("utf-8", "replace"),
            }
            if unmask:
                answer["body_base64"] = base64.b64encode(fact.body).decode()
        return answer

    async def letters_retry(self, *, ids: list[int]) -> list[Answer]:
        """Translate these letters again, in order of acceptance."""
        replay = self._kernel.replay
        read = self._kernel.journal.read
        chosen = [await read(partial(letters.get, number=number)) for number in ids]
        chosen.sort(key=lambda letter: letter.intake_seq)
        try:
            return [await replay.retry(letter.id) for letter in chosen]
        finally:
            await self._kernel.refresh()

    async def letters_release(self, *, id: int) -> dict[str, Any]:
        """Let the successors of a letter pass."""
        passed = await self._kernel.replay.release(id)
        await self._kernel.refresh()
        return {"id": id, "successors": passed}

    async def letters_discard(self, *, id: int) -> dict[str, Any]:
        """Settle a letter as meaning nothing."""
        passed = await self._kernel.replay.discard(id)
        await self._kernel.refresh()
        return {"id": id, "state": "discarded", "successors": passed}

    async def source_list(self) -> list[dict[str, Any]]:
        """Every configured source, and why it waits if it does."""
        await self._kernel.pauses.load()
        paused, sources = self._kernel.pauses.all, self._kernel.configuration.sources
        return [
            {"source": name, "adapter": source.shared.adapter, "lane": source.lane, "paused": paused.get(name)}
            for name, source in sources.items()
        ]

    async def source_pause(self, *, source: str, reason: str, by: str) -> dict[str, Any]:
        """Let a source wait: senders are told to try again."""
        self._known_source(source)
        pause = await self._kernel.pauses.pause(source, reason=reason, by=by)
        return {"source": source, "paused": pause}

    async def source_resume(self, *, source: str) -> dict[str, Any]:
        """Let a source go on."""
        self._known_source(source)
        return {"source": source, "waited": await self._kernel.pauses.resume(source)}

    def _known_source(self, source: str) -> None:
        known = self._kernel.configuration.sources
        if source not in known:
            raise Permanent(
                f"there is no source {source!r}{nearest(source, known)}", hint="`entrepot check` names them"
            )

    async def replay(
        self, *, source: str, first: int | str, last: int | str | None = None, dry_run: bool = False
    ) -> dict[str, Any]:
        """Translate a range of a source again; positions are intake sequences or RFC 3339 instants.

        A long range ends early: `next` is where to go on, up to `last`.
        """
        self._known_source(source)
        journal = self._kernel.journal
        low = await journal.read(lambda connection: intake.position(connection, first))
        high = await journal.read(lambda connection: intake.position(connection, last, end=True))
        end = min(high, low + REPLAYED_MAX - 1)
        changes = await self._kernel.replay.replay(source, low, end, dry_run=dry_run)
        await self._kernel.refresh()
        return {"changes": changes, "next": end + 1 if end < high else None, "last": high}

    async def topology(self, *, apply: bool = False) -> list[Answer]:
        """Compare (and with `apply` mend) the hub's streams."""
        first = {row.name: row.oldest for row in await self._kernel.journal.read(lanes.everyone)}
        async with _closing(self._kernel.configuration.link()) as link:
            return list(await link.topology(first, apply=apply))

    async def examine_hub(self) -> list[Answer]:
        """What `entrepot doctor` asks about the hub, with this agent's credentials."""
        model = self._kernel.configuration.model
        async with _closing(self._kernel.configuration.link()) as link:
            found = await link.examine(
                list(model.lanes),
                refill_hours=model.journal.refill_hours,
                now_us=clock.now_us(),
                headquarters=model.headquarters,
            )
            return list(found)

    async def adopt(self, *, reason: str, confirm: bool = False) -> Answer:
        """Go on where the hub stands, in a new epoch. Without `confirm`: say what would happen."""
        journal = self._kernel.journal
        rows = [row for row in await journal.read(lanes.everyone) if row.name in self._kernel.lanes]
        fenced = [row for row in rows if await journal.read(partial(lanes.fence, lane_id=row.id)) is not None]
        if not fenced:
            raise Refused("no lane is fenced: there is nothing to adopt", hint="`entrepot status` shows the lanes")
        await self._until_translated()
        async with _closing(self._kernel.configuration.link()) as link:
            positions = [await adopt.read_position(link, journal, row) for row in fenced]
            anchor = await adopt.read_checkpoint(link)
        if not confirm:
            return [
                {"lane": p.lane, "hub_last": p.last, "common": p.common, "found_at_hub": len(p.found)}
                for p in positions
            ]
        adoption = adopt.Adoption(journal, self._kernel.identity, reason)
        report = await journal.write(lambda connection: adoption.apply(connection, positions, anchor))
        await self._kernel.adopted(report[0].epoch)
        await self._deliveries.adopted()
        return report

    async def _until_translated(self) -> None:
        """Origins can be compared only for facts that are translated."""
        while (await self._kernel.journal.write(self._kernel.translate.batch)).facts:
            pass

    async def access_grant(self, *, shown: dict[str, Any], limits: dict[str, Any], **given: Any) -> dict[str, Any]:
        """Let a caller do more, or something at all."""
        return await self._grants.grant(
            shown=msgspec.convert(shown, Shown), limits=msgspec.convert(limits, CallerLimits), **given
        )

    def turned_away(self, uid: int) -> None:
        """Somebody asked who may not."""
        self._kernel.doorkeeper.turned_away(uid)

    async def stats(self) -> dict[str, Any]:
        """Rows, bytes, incidents."""
        return await journal_stats(self._kernel.journal)

    async def verify(self) -> dict[str, Any]:
        """Chain, contiguity and books of the journal itself."""
        problems = await inspect.verify(self._kernel.journal, whole_file=not self._running)
        return {"ok": not problems, "problems": problems}

    async def dispositions(self, *, lane: str, after: int = 0, limit: int = ROWS_MAX) -> list[Answer]:
        """What left and what stayed; whole records, at least one."""
        row = {r.name: r for r in await self._kernel.journal.read(lanes.everyone)}.get(lane)
        if row is None:
            raise Permanent(f"there is no lane {lane!r} in the journal")
        found: list[inspect.DispositionRow] = []
        async for entry in inspect.dispositions(self._kernel.journal, row, after):
            if len(found) >= limit and entry.seq != found[-1].seq:
                break
            found.append(entry)
        return list(found)

    async def backup(self, *, path: str, with_keys: bool = False) -> Answer:
        """Copy the journal to a place of this machine, between its commits."""
        if self._backup is not None:
            raise Refused("a backup is being made already", hint="wait for it; two at once would only be slower")
        kernel = self._kernel
        keys = kernel.configuration.data_dir / IDENTITY if with_keys else None
        self._backup = Archive(kernel.journal, kernel.identity, keys)
        try:
            return await self._backup.make(Path(path))
        finally:
            self._backup = None

    async def backup_progress(self) -> Answer:
        """How far the backup is; None when none is being made."""
        return None if self._backup is None else self._backup.progress


def _is_told(verb: str, parameters: dict[str, Any]) -> bool:
    """Whether the access log tells that somebody asked for this."""
    changes = verb in _ADMINISTERING and not parameters.get("dry_run")
    return changes or any(parameters.get(word) for word in _REVEALING)


class _closing:  # noqa: N801 - reads as contextlib's `closing`, for an async close
    def __init__(self, link: HubLink) -> None:
        self._link = link

    async def __aenter__(self) -> HubLink:
        return self._link

    async def __aexit__(self, *_: object) -> None:
        await self._link.close()


def _letter(row: Letter) -> dict[str, Any]:
    answer: dict[str, Any] = msgspec.to_builtins(row)
    answer["created_at"] = clock.rfc3339(answer.pop("created_us"))
    answer["last_at"] = clock.rfc3339(answer.pop("last_us"))
    return answer
