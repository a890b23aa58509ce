"""Compares what partners were promised with what stands at the hub. `compare` is pure; `collect` reads hub and journal."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from msgspec import Struct

from runtime import record
from runtime.config.assemble import Configuration
from runtime.demo.ledger import Ledger
from runtime.errors import EntrepotError
from runtime.journal import inspect, lanes
from runtime.kernel import open_kernel
from runtime.ports import HubLink, Scope, Verdict

NAMED_MAX = 5
"""Messages named in one sentence."""

Place = tuple[int, int]
"""(epoch, intake_seq) of an accepted message."""


class HubLane(Struct, frozen=True, kw_only=True):
    """One lane's stream as it was read."""

    origins: Sequence[str]
    """In the order of the stream; its length is the stream's last sequence if nothing is missing."""
    last: int


class Evidence(Struct, frozen=True, kw_only=True):
    """All that is known from outside the agent after its end."""

    lanes: Mapping[str, HubLane]
    verdict: Verdict
    sealed: Mapping[str, tuple[int, str]]
    """Lane → last sealed sequence and its chain hash (hex), from the journal."""
    journal_problems: Sequence[str]


async def collect(configuration: Configuration) -> Evidence:
    """Read hub and journal. The agent must have ended."""
    public_key = (configuration.data_dir / "identity" / "signing.pub").read_text("ascii")
    verdict = await configuration.hub.verify(
        configuration.hub_settings,
        region=configuration.model.region,
        public_key=base64.b64decode(public_key),
        directory=str(configuration.directory),
    )
    async with _linked(configuration) as link:
        at_hub = {name: await _read_lane(link, name) for name in configuration.model.lanes}
    async with open_kernel(configuration) as kernel:
        rows = await kernel.journal.read(lanes.everyone)
        problems = await inspect.verify(kernel.journal, whole_file=True)
    sealed = {row.name: (row.sealed, row.sealed_chain.hex()) for row in rows}
    return Evidence(lanes=at_hub, verdict=verdict, sealed=sealed, journal_problems=problems)


@asynccontextmanager
async def _linked(configuration: Configuration) -> AsyncIterator[HubLink]:
    model = configuration.model
    scope = Scope(
        region=model.region,
        environment=model.environment,
        directory=str(configuration.directory),
        secret=configuration.vault.secret,
    )
    link = configuration.hub.link(configuration.hub_settings, scope)
    try:
        yield link
    finally:
        await link.close()


async def _read_lane(link: HubLink, name: str) -> HubLane:
    try:
        newest = await link.last(name)
    except EntrepotError:
        newest = None
    if newest is None:
        return HubLane(origins=[], last=0)
    origins = [stored.headers[record.ORIGIN_HEADER] async for stored in link.read(name, 1, newest.seq)]
    return HubLane(origins=origins, last=newest.seq)


def compare(
    ledger: Ledger, status: Mapping[str, Any], letters: Sequence[Place], evidence: Evidence, *, others: bool
) -> list[str]:
    """Everything that is not as promised, as sentences. `others`: somebody else sent messages too, by hand."""
    problems = list(ledger.problems)
    if not status["balanced"]:
        problems.append("the books do not balance")
    if status["pending"] or status["untranslated"]:
        problems.append(f"{status['pending']} events are still pending")
    problems += [f"journal: {problem}" for problem in evidence.journal_problems]
    problems += _streams(evidence, status)
    problems += _receipts(ledger, set(letters), evidence, others or bool(ledger.unanswered))
    if not others and not ledger.unanswered and status["facts"] != len(ledger.receipts):
        problems.append(f"{status['facts']} messages were taken in, but {len(ledger.receipts)} receipts were given")
    return problems


def _streams(evidence: Evidence, status: Mapping[str, Any]) -> list[str]:
    problems = [f"verify: {problem}" for problem in evidence.verdict.problems]
    if not evidence.verdict.ok and not problems:
        problems.append("verify: the streams could not be proven")
    chains = {lane.lane: lane for lane in evidence.verdict.lanes}
    for name, (sealed, chain) in evidence.sealed.items():
        verdict = chains.get(name)
        if verdict is not None:
            problems += [f"verify: {name}: {problem}" for problem in verdict.problems]
        last = evidence.lanes[name].last
        if not last == sealed == status["lanes"][name]["acked"]:
            problems.append(
                f"{name}: sealed {sealed}, acknowledged {status['lanes'][name]['acked']}, at the hub {last}"
            )
        if len(evidence.lanes[name].origins) != last:
            problems.append(f"{name}: {last} positions at the hub, {len(evidence.lanes[name].origins)} messages")
        if sealed and (verdict is None or verdict.chain != chain):
            problems.append(f"{name}: the chain at the hub is not the one that was sealed")
    return problems


def _receipts(ledger: Ledger, letters: set[Place], evidence: Evidence, others: bool) -> list[str]:
    """Each accepted message is at the hub as often as it must be, or a letter; and nothing else is there."""
    origins = Counter(origin for lane in evidence.lanes.values() for origin in lane.origins)
    problems = _named("stand more than once at the hub", [o for o, count in origins.items() if count > 1])
    arrived: Counter[Place] = Counter()
    for origin in origins:
        epoch, seq, _ = origin.split(".")
        arrived[int(epoch), int(seq)] += 1
    known = ledger.receipts
    wrong = [p for p, expected in known.items() if arrived[p] != expected.events]
    problems += _named("did not arrive at the hub as they should", _text(wrong))
    unexpected = [p for p, expected in known.items() if expected.letter != (p in letters)]
    problems += _named("should be letters and are not, or the other way round", _text(unexpected))
    if not others:
        strangers = [p for p in (set(arrived) | letters) - known.keys() if p[1] > 0]
        problems += _named("are known to nobody", _text(strangers))
    return problems


def _text(places: Sequence[Place]) -> list[str]:
    return [f"{epoch}.{seq}" for epoch, seq in places]


def _named(sentence: str, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    more = ", …" if len(names) > NAMED_MAX else ""
    return [f"{len(names)} messages {sentence}: {', '.join(names[:NAMED_MAX])}{more}"]
