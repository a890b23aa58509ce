"""A region for trials: one source, one lane, its own keys, in a folder beside the real journal. Nobody's data is in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from runtime import clock
from runtime.canonical.stock import StockSnapshot
from runtime.clearance import Rule, compile_policy
from runtime.clearance.actions import Action
from runtime.clearance.policy import make_policy
from runtime.config.assemble import Configuration
from runtime.config.model import Model
from runtime.envelope import Envelope, Event, Message
from runtime.errors import Untranslatable
from runtime.pipeline.route import Router
from runtime.pipeline.translate import SourceRules
from runtime.ports import NO_HEADERS
from runtime.vault import Vault

SOURCE, LANE = "trial", "trial"
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
REMARK_BYTES = 300
"""Makes a message about as large as a partner's."""


class _Said(msgspec.Struct, frozen=True):
    number: int
    remark: str


class _Translator:
    """`{"number": n}` → one stock.snapshot."""

    version = "trial 1"
    headers = ()

    def key(self, body: bytes, content_type: str, headers: Mapping[str, str] = NO_HEADERS) -> str | None:
        return None

    def partition_key(self, envelope: Envelope) -> str | None:
        return None

    def translate(self, envelope: Envelope) -> Sequence[Event]:
        try:
            said = msgspec.json.decode(envelope.body, type=_Said)
        except msgspec.MsgspecError as error:
            raise Untranslatable("no message of a trial") from error
        data = StockSnapshot(occurred_at=MOMENT, sku=f"T-{said.number % 7}", on_hand=Decimal(said.number))
        return [Event(data=data, partition_key=data.sku, output=0)]


class _Source(msgspec.Struct, frozen=True):
    """What the kernel uses of a configured source."""

    rules: SourceRules


def message(number: int) -> Message:
    """The n-th message; the same bytes whenever it is sent."""
    return Message(body=msgspec.json.encode(_Said(number, "x" * REMARK_BYTES)), key=f"k{number}")


def configuration(directory: Path, region: str) -> Configuration:
    """`directory`: the scratch folder, removed with everything in it at the end."""
    policy = make_policy("trial", 1, (Rule(id="open", action=Action("allow"), types=("stock.snapshot",)),))
    said = {
        "region": region,
        "jurisdiction": "ZZ",
        "environment": "test",
        "lanes": {LANE: {}},
        "residency": {"policy": "trial"},
        "journal": {"ballast_bytes": 0},
    }
    sources: Any = {SOURCE: _Source(SourceRules(_Translator(), False))}
    nothing: Any = None
    return Configuration(
        path=directory / "entrepot.toml",
        digest="0" * 64,
        model=msgspec.convert(said, Model),
        directory=directory,
        data_dir=directory / "state",
        vault=Vault(None),
        sources=sources,
        router=Router((), {SOURCE: LANE}),
        policy=policy,
        clearance=compile_policy(policy, today=clock.today()),
        hub=nothing,
        hub_settings=None,
        warnings=[],
    )
