"""Answers headquarters' read-only questions, each under its fixed name and through the egress gate, signed by the region."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from sys import version_info
from typing import Any

import msgspec
from anyio.to_thread import run_sync

from runtime import clock
from runtime.errors import EntrepotError
from runtime.fleet.documents import ANSWER, Answer, Question
from runtime.fleet.dry_run import DryRuns
from runtime.fleet.egress import gate
from runtime.fleet.post import FleetPost
from runtime.fleet.probes import PROBES, REHEARSE, UNKNOWN
from runtime.fleet.signing import sign
from runtime.journal.store import SQLITE_VERSION
from runtime.kernel import Kernel
from runtime.reports import program_version

LETTERS_MAX = 1_000
Call = Callable[[str, dict[str, Any]], Awaitable[Any]]


class Answers:
    """Of one agent."""

    def __init__(self, kernel: Kernel, call: Call, dry_runs: DryRuns) -> None:
        self._kernel, self._call, self._dry_runs = kernel, call, dry_runs
        self._asked: dict[str, Callable[[], Awaitable[Any]]] = {
            "status": partial(call, "status", {}),
            "config": partial(call, "revision.show", {}),
            "sources": self._sources,
            "letters": self._letters,
            "journal": partial(call, "journal.stats", {}),
            "doctor": self._doctor,
            "versions": self._versions,
        }
        assert self._asked.keys() == PROBES.keys(), "every probe has its answer"

    async def to(self, post: FleetPost, name: str, question: bytes) -> bytes:
        """A signed `Answer`; an unknown name and a failure are answers, too. Never raises.

        An older headquarters sends no question, and reads an answer without a signature.
        """
        if not question:
            return _json(await self._found(name))
        try:
            asked = msgspec.json.decode(question, type=Question)
        except msgspec.MsgspecError:
            return _json({"error": "the question cannot be read"})
        if name == REHEARSE and asked.rehearsal is not None:
            answer = await self._rehearsed(post, msgspec.json.encode(asked.rehearsal))
        else:
            answer = await self._found(name)
        return self._signed(name, asked.nonce, answer)

    def _signed(self, name: str, nonce: str, answer: Any) -> bytes:
        model = self._kernel.configuration.model
        statement = Answer(
            environment=model.environment, region=model.region, issued_at=clock.rfc3339(clock.now_us()),
            probe=name, nonce=nonce, answer=answer,
        )  # fmt: skip
        return sign(self._kernel.identity, ANSWER, statement)

    async def _found(self, name: str) -> Any:
        asked = self._asked.get(name)
        if asked is None:
            return {"error": UNKNOWN, "probes": sorted(PROBES)}
        try:
            return gate(msgspec.to_builtins(await asked()))
        except EntrepotError as error:
            return gate({"error": str(error)})
        except Exception as error:  # noqa: BLE001 - whoever asks from afar must not wait for nothing
            return {"error": f"the probe failed ({type(error).__name__})"}

    async def _rehearsed(self, post: FleetPost, document: bytes) -> Any:
        """Not through the gate: as in the status, the reason names keys of the configuration, and quotes no partner."""
        try:
            return await self._dry_runs.of(post, document)
        except Exception as error:  # noqa: BLE001 - whoever asks from afar must not wait for nothing
            return {"error": f"the dry run failed ({type(error).__name__})"}

    async def _sources(self) -> Any:
        status = await self._call("status", {})
        listed = await self._call("source.list", {})
        return [source | {"letters": status["letters"].get(source["source"], 0)} for source in listed]

    async def _letters(self) -> Any:
        rows = await self._call("letters.list", {"limit": LETTERS_MAX})
        counted = Counter((row["source"], str(gate(row["reason"])), row["mapping"]) for row in rows)
        return [
            {"source": source, "reason": reason, "mapping": mapping, "count": count}
            for (source, reason, mapping), count in counted.most_common()
        ]

    async def _doctor(self) -> Any:
        from runtime.doctor.examine import examine  # with all that it looks at it would cost each agent its memory

        path = self._kernel.configuration.path
        return [msgspec.to_builtins(finding) for finding in await run_sync(lambda: list(examine(lambda: path)))]

    async def _versions(self) -> Any:
        python = ".".join(str(part) for part in version_info[:3])
        return {"entrepot": program_version(), "python": python, "sqlite": SQLITE_VERSION}


def _json(answer: Any) -> bytes:
    return msgspec.json.encode(answer)
