"""Golden messages of every pack, spoilt: events that survive their own JSON, or a letter with its place. Nothing else is raised."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from random import Random

import msgspec

from runtime.envelope import Envelope, Event
from runtime.errors import Untranslatable
from runtime.mapping import CompiledMapping, CompiledPack
from runtime.mapping.trial import split_sample
from tests.fuzz.campaign import Result, Told
from tests.packs.golden import KINDS, expected, pack, samples
from tests.support.mappings import ACCEPTED_US, EXAMPLES, example
from tests.support.mutation import Mutator

POSITION = re.compile(r"(?:/.*|line \d+, column \d+|header:.*)?", re.DOTALL)
TWICE_OF = 50
"""One in so many is translated twice: the same message must give the same events."""


@dataclass(frozen=True)
class Golden:
    """A message as its platform sends it, and what translates it."""

    name: str
    rules: CompiledPack | CompiledMapping
    body: bytes
    content_type: str
    headers: dict[str, str]


def run(seed: int, inputs: int, told: Told) -> Result:
    """So many spoilt messages, over all packs in turn."""
    result = Result("mappings", seed)
    chosen = Random(seed)
    by_pack = {name: [g for g in corpus() if g.name.split("/")[0] == name] for name in packs()}
    mutators = {name: Mutator(f"{seed} {name}", [g.body for g in found]) for name, found in by_pack.items()}
    for number in range(inputs):
        name = chosen.choice(packs())
        golden, mutator = chosen.choice(by_pack[name]), mutators[name]
        envelope = _envelope(golden, mutator)
        try:
            outcome = judge(golden, envelope)
            if number % TWICE_OF == 0 and outcome == "events" and not _steady(golden, envelope):
                result.find(f"{golden.name}: two answers to one message", envelope)
        except Exception as error:
            outcome = "raised"
            result.find(f"{golden.name} raised", envelope, error)
        result.count(outcome, told)
    return result


def judge(golden: Golden, envelope: Envelope) -> str:
    """What became of it. Raises for anything but events or a letter that can be told."""
    rules = golden.rules
    key = rules.key(envelope.body, envelope.content_type, envelope.headers)
    assert key is None or 0 < len(key) <= 200, "a key is a short text"
    rules.partition_key(envelope)
    try:
        outputs = rules.translate(envelope)
    except Untranslatable as error:
        _look_at_letter(str(error), error.position)
        return "letter"
    assert outputs, "neither events nor a reason"
    events = [output for output in outputs if isinstance(output, Event)]
    numbers = [event.output for event in events]
    assert len(set(numbers)) == len(numbers), "two events with one number"
    for event in events:
        assert 0 < len(event.partition_key) <= 200, "a partition key is a short text"
        kind = type(event.data)
        assert msgspec.json.decode(msgspec.json.encode(event.data), type=kind) == event.data, "changed by its own JSON"
    return "events" if events else "ignored"


def _look_at_letter(reason: str, position: str) -> None:
    assert POSITION.fullmatch(position), f"{position!r} is no place"
    assert reason.strip(), "a letter says why"


def _steady(golden: Golden, envelope: Envelope) -> bool:
    return golden.rules.translate(envelope) == golden.rules.translate(envelope)


def _envelope(golden: Golden, mutator: Mutator) -> Envelope:
    draw = mutator.random
    body, headers, kind = mutator.mutate(golden.body), golden.headers, golden.content_type
    if headers and draw.random() < 0.1:
        name = draw.choice(list(headers))
        headers = headers | {name: mutator.mutate(headers[name].encode()).decode("utf-8", "surrogateescape")}
    if draw.random() < 0.02:
        kind = draw.choice(
            (
                "text/xml",
                "application/json; charset=utf-16",
                "application/jose",
                "application/json; charset=x",
                "",
                "a/b",
            )
        )
    return Envelope(
        source="fuzz",
        body=body,
        content_type=kind,
        intake_seq=1,
        epoch=1,
        received_us=ACCEPTED_US,
        correlation_id="0" * 32,
        headers=headers,
    )


@cache
def corpus() -> tuple[Golden, ...]:
    """Every golden message, line by line where lines are messages, and the samples of the example region."""
    found: list[Golden] = []
    for sample in samples():
        given, kind = expected(sample), KINDS[sample.suffix]
        rules = pack(sample.parent.name, tuple(sorted(given.get("options", {}).items())))
        headers = {name.lower(): value for name, value in given.get("headers", {}).items()}
        one_each = "application/json" if kind == "text/csv" else kind
        name, bodies = f"{sample.parent.name}/{sample.stem}", split_sample(sample.read_bytes(), kind)
        found += [Golden(name, rules, body, one_each, headers) for body in bodies]
    for folder, mapping in (("wms", "acme-wms.toml"), ("carrier", "blitz-carrier.toml")):
        rules_of_region = example(mapping)
        files = sorted((EXAMPLES / "samples" / folder).glob("*.json"))
        found += [Golden(f"{folder}/{f.stem}", rules_of_region, f.read_bytes(), "application/json", {}) for f in files]
    return tuple(found)


@cache
def packs() -> tuple[str, ...]:
    """Each has as many inputs as any other, however many samples it has."""
    return tuple(sorted({golden.name.split("/")[0] for golden in corpus()}))
