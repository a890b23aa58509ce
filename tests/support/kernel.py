"""A region without edges on a temporary folder: a translator that a test can break, a policy, and short verbs.

`region` runs the real kernel on an event loop. `Bench` runs the same parts in the calling thread, without a loop,
so that thousands of steps fit into a second.
"""

from __future__ import annotations

import atexit
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, TypeVar

import msgspec
from hypothesis import strategies as st

from runtime import clock
from runtime.canonical.registry import TYPES
from runtime.canonical.stock import StockAdjusted, StockSnapshot
from runtime.clearance import Clearance, Policy, Rule, compile_policy
from runtime.clearance.actions import Action
from runtime.clearance.policy import make_policy
from runtime.config.assemble import Configuration
from runtime.config.model import Model
from runtime.envelope import Envelope, Event, Ignored, Message, Receipt, Sealed
from runtime.errors import Refused, Untranslatable
from runtime.identity import load_or_create
from runtime.journal import intake
from runtime.journal import writer as writer_module
from runtime.journal.intake import Accepted, Call
from runtime.journal.journal import Journal
from runtime.journal.keys import Keys
from runtime.journal.store import Store, apply_settings, describe
from runtime.journal.writer import Writer
from runtime.kernel import Kernel, open_kernel
from runtime.pipeline.accept import SourceIntake
from runtime.pipeline.lane import LaneAlert
from runtime.pipeline.route import Condition, Route, Router
from runtime.pipeline.translate import SourceRules
from runtime.vault import Vault

T = TypeVar("T")
REGION = "eu-de"
OPEN_POLICY = make_policy("open", 1, (Rule(id="trade", action=Action("allow"), types=("stock.snapshot",)),))
"""Snapshots leave whole; an adjustment has no rule and is withheld."""
MOMENT = "2026-01-02T03:04:05+00:00"


class StockTranslator:
    """`{"sku": …, "on_hand": …}` → stock.snapshot.

    Optional keys: `copies` (several outputs), `also` (one more, of another sku), `withhold` (a type that no rule releases), `once` (told once),
    `ignore` (a reason). What `refuses` names is untranslatable until the test takes it out again.
    """

    version = "stock 1"
    headers = ()

    def __init__(self) -> None:
        self.refuses: set[str] = set()
        self.added = Decimal(0)
        """Changes what the next translation says, as a changed mapping would."""
        self.copies = 1

    def key(self, body: bytes, content_type: str) -> str | None:
        return None

    def partition_key(self, envelope: Envelope) -> str | None:
        try:
            said = msgspec.json.decode(envelope.body)
            return str(said["sku"])
        except (msgspec.MsgspecError, KeyError, TypeError):
            return None

    def translate(self, envelope: Envelope) -> Sequence[Event | Ignored]:
        try:
            said = msgspec.json.decode(envelope.body)
            sku, on_hand = str(said["sku"]), Decimal(said["on_hand"])
        except (msgspec.MsgspecError, KeyError, TypeError, ArithmeticError) as error:
            raise Untranslatable("no stock message", position="/sku", hint="send sku and on_hand") from error
        if sku in self.refuses:
            raise Untranslatable(f"sku {sku} is unknown", position="/sku")
        if "ignore" in said:
            return [Ignored(reason=said["ignore"])]
        copies = said.get("copies", self.copies)
        skus = [sku] * copies + ([str(said["also"])] if "also" in said else [])
        return [self._event(said, key, on_hand + self.added, output) for output, key in enumerate(skus)]

    @staticmethod
    def _event(said: dict[str, Any], sku: str, on_hand: Decimal, output: int) -> Event:
        when = datetime.fromisoformat(said.get("at", MOMENT))
        data: Any
        if said.get("withhold"):
            data = StockAdjusted(occurred_at=when, sku=sku, change=on_hand)
        else:
            data = StockSnapshot(occurred_at=when, sku=sku, on_hand=on_hand)
        return Event(data=data, partition_key=sku, output=output, once_key=said.get("once"))


def body(sku: str = "A", on_hand: int = 1, **more: Any) -> bytes:
    """One stock message."""
    return msgspec.json.encode({"sku": sku, "on_hand": on_hand, **more})


def message(sku: str = "A", on_hand: int = 1, *, key: str | None = None, **more: Any) -> Message:
    return Message(body=body(sku, on_hand, **more), key=key)


def configure(
    directory: Path,
    translator: Any = None,
    *,
    park: bool = False,
    policy: Policy = OPEN_POLICY,
    region: str = REGION,
    **journal: int,
) -> Configuration:
    """Two sources (`wms` may park, `carrier` never does), two lanes; skus that begin with `b` go to `bulk`."""
    model = msgspec.convert(
        {
            "region": region,
            "jurisdiction": "DE",
            "environment": "test",
            "lanes": {"realtime": {}, "bulk": {}},
            "residency": {"policy": "policy.toml"},
            "journal": {"ballast_bytes": 0, **journal},
        },
        Model,
    )
    translator = translator or StockTranslator()
    sources: Any = {
        name: _Configured(SourceRules(translator, parks)) for name, parks in (("wms", park), ("carrier", False))
    }
    nothing: Any = None
    return Configuration(
        path=directory / "entrepot.toml",
        digest="0" * 64,
        model=model,
        directory=directory,
        data_dir=directory / "state",
        vault=Vault(None),
        sources=sources,
        router=Router((Route(when=Condition(key="b*"), lane="bulk"),), {"wms": "realtime", "carrier": "realtime"}),
        policy=policy,
        clearance=_clearance(policy),
        hub=nothing,
        hub_settings=None,
        warnings=[],
    )


@cache
def _clearance(policy: Policy) -> Clearance:
    return compile_policy(policy, today=date(2026, 1, 2))


class _Configured(msgspec.Struct, frozen=True):
    """What the kernel uses of a configured source."""

    rules: SourceRules


# ---------------------------------------------------------------- the real kernel on an event loop


@asynccontextmanager
async def region(directory: Path, translator: Any = None, **options: Any) -> AsyncIterator[Kernel]:
    """The real kernel: real file, real writer, no edges."""
    async with open_kernel(configure(directory, translator, **options)) as kernel:
        yield kernel


def intake_of(kernel: Kernel, source: str = "wms") -> SourceIntake:
    room = kernel.room
    return SourceIntake(kernel.acceptance, kernel.journal, source, room=lambda: not room.full, full=room.disk_is_full)


async def accept(kernel: Kernel, *messages: Message, source: str = "wms") -> list[Receipt]:
    return await intake_of(kernel, source).accept(messages)


async def translate(kernel: Kernel) -> int:
    """Translate everything that was accepted; returns the number of facts."""
    facts = 0
    while (tally := await kernel.journal.write(kernel.translate.batch)).facts:
        kernel.moved(tally.positions)
        facts += tally.facts
    return facts


async def ship(kernel: Kernel, lane: str = "realtime", rows_max: int = 256) -> list[Sealed]:
    """Seal and acknowledge everything that waits in a lane, as a hub that never fails would."""
    step, shipped = kernel.lanes[lane], list[Sealed]()
    while rows := await step.take((await step.head()).acked, rows_max):
        await step.acknowledge(rows[-1].seq)
        shipped += rows
    return shipped


# ---------------------------------------------------------------- the same parts in one thread


def drive(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never waits."""
    try:
        work.send(None)
    except StopIteration as done:
        answer: T = done.value
        return answer
    finally:
        work.close()
    raise AssertionError("this coroutine waits for something: it needs an event loop")


class InlineStore(Store):
    """The store's connection in the calling thread; same file, same settings, same lock."""

    connection: sqlite3.Connection | None = None
    durable = True

    async def open(self) -> None:
        if not self._lock.try_take():
            self._lock.refuse()
        self.connection = sqlite3.connect(self.path, isolation_level=None, cached_statements=256)
        apply_settings(self.connection)
        if not self.durable:
            self.connection.execute("PRAGMA synchronous=OFF")

    async def run(self, function: Callable[[sqlite3.Connection], T]) -> T:
        assert self.connection is not None, "the journal is closed"
        try:
            return function(self.connection)
        except sqlite3.Error as error:
            raise describe(error) from error

    async def close(self) -> None:
        self._connection = None
        if self.connection is not None:
            self.connection.close()
            self.connection = None
        await super().close()


class Settled:
    """An `asyncio.Future` that was settled before anybody asked."""

    def __init__(self, outcome: Any) -> None:
        self._outcome = outcome

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        callback(self)

    def cancelled(self) -> bool:
        return False

    def done(self) -> bool:
        return True

    def exception(self) -> Exception | None:
        return self._outcome if isinstance(self._outcome, Exception) else None

    def result(self) -> Any:
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome

    def __await__(self) -> Generator[Any, None, Any]:
        yield from ()
        return self.result()


class InlineWriter(Writer):
    """Commits each change at once, by the writer's own function; `after_commit` looks at every commit."""

    after_commit: Callable[[sqlite3.Connection], None] = staticmethod(lambda connection: None)

    def submit(self, change: Callable[[sqlite3.Connection], Any]) -> Any:
        connection = self._store.connection  # type: ignore[attr-defined]
        (outcome,) = writer_module._apply(connection, [change])
        if not isinstance(outcome, Exception):
            self.after_commit(connection)
        return Settled(outcome)


class Bench:
    """A kernel on one thread. `restart` is what a kill leaves behind: nothing was said goodbye to."""

    def __init__(self, configuration: Configuration, *, after_commit: Any = None, durable: bool = True) -> None:
        """`durable=False` saves the flushes where no power is cut."""
        self.configuration = configuration
        self.after_commit = after_commit
        self.durable = durable
        self.open()

    def open(self) -> None:
        model = self.configuration.model
        self.journal = Journal(self.configuration.data_dir)
        self.journal.keys = Keys(run_keys=3, run_facts=9)  # so small that every test files some
        self.store = self.journal.store = InlineStore(self.journal.path)
        self.store.durable = self.durable
        writer = self.journal.writer = InlineWriter(self.store)
        names = {"source": list(self.configuration.sources), "type": list(TYPES)}
        drive(self.journal.open(model.region, model.environment, list(model.lanes), names))
        if self.after_commit:
            writer.after_commit = self.after_commit
        try:
            identity = load_or_create(self.configuration.data_dir / "identity", journal_is_new=True)
        except BaseException:
            self.close()
            raise
        self.kernel = Kernel(self.configuration, self.journal, identity, LaneAlert())

    def close(self) -> None:
        drive(self.store.close())

    def restart(self) -> None:
        self.close()
        self.open()

    @property
    def connection(self) -> sqlite3.Connection:
        assert self.store.connection is not None
        return self.store.connection

    def value(self, query: str, *parameters: Any) -> Any:
        """The first column of the first row."""
        row = self.connection.execute(query, parameters).fetchone()
        return None if row is None else row[0]

    def rows(self, query: str, *parameters: Any) -> list[Any]:
        return self.connection.execute(query, parameters).fetchall()

    def accept(self, *messages: Message, source: str = "wms") -> list[Accepted]:
        """One call, in one change of its own. Raises `Refused`."""
        prepared = [intake.prepare(source, each) for each in messages]
        call = Call(source, self.journal.epoch, clock.now_us(), prepared)
        names, keys = self.journal.names, self.journal.keys
        (outcome,) = drive(self.journal.write(lambda connection: intake.accept(connection, names, keys, [call])))
        if isinstance(outcome, Refused):
            raise outcome
        return outcome

    def translate(self) -> int:
        return drive(translate(self.kernel))

    def ship(self, lane: str = "realtime", rows_max: int = 256) -> list[Sealed]:
        return drive(ship(self.kernel, lane, rows_max))

    def take(self, lane: str = "realtime", *, after: int | None = None, rows_max: int = 256) -> Sequence[Sealed]:
        step = self.kernel.lanes[lane]
        return drive(step.take(drive(step.head()).sealed if after is None else after, rows_max))


@cache
def newborn() -> Path:
    """The state of a region that was opened once: copying it is cheaper than its birth. Gone with the process."""
    directory = Path(mkdtemp(prefix="entrepot-newborn-"))
    atexit.register(shutil.rmtree, directory)
    Bench(configure(directory), durable=False).close()
    return directory / "state"


# ---------------------------------------------------------------- messages by the dozen

SKUS = st.sampled_from(["A", "B", "b1", "b2"])
"""Two keys on each lane: few enough to meet again."""


@st.composite
def messages(draw: st.DrawFn) -> Message:
    """Anything a partner might send: good, withheld, several outputs, told before, ignored, rubbish; keys repeat."""
    more: dict[str, Any] = draw(
        st.one_of(
            st.just({}),
            st.just({}),
            st.just({"withhold": True}),
            st.fixed_dictionaries({"copies": st.integers(0, 3)}),
            st.fixed_dictionaries({"also": SKUS}),
            st.fixed_dictionaries({"once": st.sampled_from(["x", "y"])}),
            st.just({"ignore": "nothing new"}),
        )
    )
    said = st.one_of(
        st.builds(body, SKUS, st.integers(0, 3)).map(lambda raw: raw[:-1] + _tail(more)),
        st.just(b"rubbish"),
    )
    return Message(body=draw(said), key=draw(st.none() | st.sampled_from(["k1", "k2", "k3"])))


def _tail(more: dict[str, Any]) -> bytes:
    return b"," + msgspec.json.encode(more)[1:] if more else b"}"
