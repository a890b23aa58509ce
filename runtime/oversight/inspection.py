"""One round over all regions: verify what has come, note what did not hold, announce what may be forgotten.

Never announces less than before, and never what the hub does not have any more as it was verified.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from anyio.to_thread import run_sync
from msgspec import Struct

from runtime import clock
from runtime.errors import Refused
from runtime.fleet.documents import PRESENCE, WATERMARK, Presence, Watermark
from runtime.fleet.lifecycle import instant_us
from runtime.fleet.signing import Signer, read, sign
from runtime.oversight.notebook import Notebook, Page
from runtime.oversight.settle import Settling
from runtime.ports import Observatory, Position, Survey

SILENT_SECONDS = 300
"""Five heartbeats at their default distance: a restart or an upgrade is no silence."""
Kind = Literal["verified", "incident", "recovered", "announced"]


class Finding(Struct, frozen=True, kw_only=True):
    """Something worth a line."""

    at: str
    region: str
    kind: Kind
    text: str
    records: int = 0
    lanes: dict[str, Position] = {}


class Inspection:
    """Lives as long as the process; a new connection to the hub changes nothing of it."""

    def __init__(
        self,
        keys: Mapping[str, bytes],
        notebook: Notebook,
        *,
        environment: str,
        settle_seconds: float,
        signer: Signer | None,
        told: Callable[[Finding], None],
    ) -> None:
        """`keys`: region → raw public key. Without a `signer` nothing is announced."""
        self._keys = keys
        self._notebook = notebook
        self._environment = environment
        self._signer = signer
        self._settle_seconds = settle_seconds
        self._told = told
        self._settling: dict[str, Settling] = {}
        self._open: dict[str, set[str]] = {}
        """Problems that were told and still stand, by region."""

    @property
    def troubled(self) -> list[str]:
        """Regions about which something does not hold."""
        return sorted(region for region, problems in self._open.items() if problems)

    async def round(self, observatory: Observatory) -> int:
        """Look at every region once; how many records are still to be verified. Raises `Retryable`."""
        behind = 0
        present = await observatory.regions()
        for region in sorted(self._keys.keys() | present.keys()):
            key = self._keys.get(region)
            if key is None:
                self._judge(region, ["sends, but headquarters does not know its public key"])
                continue
            if region not in present and not self._notebook.page(region).proven.lanes:
                continue  # enrolled, and has not sent anything yet
            survey = await observatory.survey(region, key, self._notebook.page(region).proven)
            behind += survey.behind
            silence = await self._silence(observatory, region, key)
            self._take(survey, [silence] if silence else [])
            await self._announce(observatory, region)
        await run_sync(self._notebook.save)
        return behind

    async def _silence(self, observatory: Observatory, region: str, key: bytes) -> str:
        """A sentence when a region that has a heartbeat has not been heard for too long; empty otherwise."""
        document = await observatory.presence(region)
        if document is None:
            return ""  # headquarters does not steer it
        try:
            said = read(document, PRESENCE, Presence, keys=[key], environment=self._environment, region=region)
        except Refused as error:
            return f"its heartbeat does not hold: {error}"
        silent = clock.now_us() - instant_us(said.issued_at) > SILENT_SECONDS * 1_000_000
        return f"silent since {said.issued_at}: no heartbeat for more than {SILENT_SECONDS} s" if silent else ""

    def _take(self, survey: Survey, more: list[str]) -> None:
        page = self._notebook.page(survey.region)
        page.proven = survey.proven
        settling = self._settling.setdefault(survey.region, Settling(self._settle_seconds))
        if survey.problems:
            settling.forget()
        else:
            settling.note(clock.monotonic(), survey.proven.lanes)
        if survey.records:
            self._tell(
                survey.region, "verified", "contiguous, unchanged, as signed",
                records=survey.records, lanes=survey.proven.lanes,
            )  # fmt: skip
        self._judge(survey.region, survey.problems + more)

    def _judge(self, region: str, problems: list[str]) -> None:
        """Each problem is told once, and so is its end."""
        before, now = self._open.get(region, set()), set(problems)
        for problem in problems:
            if problem not in before:
                self._tell(region, "incident", problem)
        if before and not now:
            self._tell(region, "recovered", "everything holds again")
        self._open[region] = now

    async def _announce(self, observatory: Observatory, region: str) -> None:
        settling = self._settling.get(region)
        due = settling.due(clock.monotonic()) if settling is not None else {}
        if self._signer is None or not due:
            return
        page = self._notebook.page(region)
        lanes = _forward(page, await observatory.still_there(region, due))
        if lanes == page.announced:
            return
        document = sign(
            self._signer,
            WATERMARK,
            Watermark(
                environment=self._environment,
                region=region,
                issued_at=clock.rfc3339(clock.now_us()),
                lanes={name: (at.epoch, at.seq, at.chain) for name, at in lanes.items()},
            ),
        )
        await observatory.announce(region, document)
        page.announced = lanes
        self._tell(region, "announced", "the region may forget what lies before", lanes=lanes)

    def _tell(
        self, region: str, kind: Kind, text: str, *, records: int = 0, lanes: Mapping[str, Position] | None = None
    ) -> None:
        at = clock.rfc3339(clock.now_us())
        self._told(Finding(at=at, region=region, kind=kind, text=text, records=records, lanes=dict(lanes or {})))


def _forward(page: Page, lanes: Mapping[str, Position]) -> dict[str, Position]:
    """What was announced, with those lanes that have come further."""
    known = page.announced
    return known | {name: at for name, at in lanes.items() if name not in known or at.seq > known[name].seq}
