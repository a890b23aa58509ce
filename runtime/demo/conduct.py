"""Runs a demo from the first process to the verdict: start, traffic, drain, stop, prove.

The demo plays the service manager: hub and agent are started again whenever somebody kills them.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from http.client import HTTPException
from pathlib import Path
from typing import Any

import anyio
from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from msgspec import Struct
from rich.console import Console
from rich.live import Live

from runtime import clock
from runtime.admin import client
from runtime.cli.loop import run_async
from runtime.config.assemble import Configuration, load_configuration
from runtime.demo import judge, view
from runtime.demo.ledger import Ledger
from runtime.demo.partners import Partners
from runtime.demo.services import Service
from runtime.demo.stage import Stage, build_stage
from runtime.errors import EntrepotError, Permanent, Retryable

START_SECONDS_MAX = 30.0
STARTS_MAX = 3
"""An agent that ends so often before it was ever ready has a reason that waiting does not mend."""
FINISH_SECONDS_MAX = 30.0
DRAIN_SECONDS_MAX = 30.0
ANSWER_SECONDS_MAX = 3.0
LOOK_SECONDS = 0.5
LINE_SECONDS = 2.0
RATE_SAMPLES = 10
SEED = 20_260_302


class Wishes(Struct, frozen=True, kw_only=True):
    """What was asked for on the command line."""

    seconds: float | None
    rate: float
    keep: str | None
    json: bool


def conduct(wishes: Wishes) -> int:
    """0 if everything was as promised, 2 if not, 130 after a second Ctrl-C. Raises `ConfigError` before the start."""
    stage = build_stage(wishes.keep)
    try:
        summary = run_async(Demo(stage, wishes).run)
    finally:
        stage.remove()
    if summary is None:
        return 130
    summary["state"] = str(stage.root) if stage.kept else None
    if wishes.json:
        print(json.dumps(summary, indent=2))
    else:
        _tell(summary)
    return 0 if summary["ok"] else 2


class Demo:
    """One run."""

    def __init__(self, stage: Stage, wishes: Wishes) -> None:
        self._stage = stage
        self._wishes = wishes
        self._configuration: Configuration = load_configuration(stage.config)
        hub = [stage.nats_server, "--addr", "127.0.0.1", "--port", str(stage.hub_port), "--jetstream"]
        agent = [sys.executable, "-m", "runtime.cli", "run", "--config", str(stage.config)]
        self._hub = Service("hub", [*hub, "--store_dir", str(stage.root / "hub")], stage.root / "hub.log")
        self._agent = Service("agent", agent, stage.root / "agent.log")
        self._ledger = Ledger()
        self._status: dict[str, Any] | None = None
        self._answering = False
        self._asking = CapacityLimiter(4)
        self._samples: deque[tuple[float, int, int]] = deque(maxlen=RATE_SAMPLES)
        self._began = clock.monotonic()
        self._stopping = anyio.Event()
        self._saying = ""

    async def run(self) -> dict[str, Any] | None:
        """The summary; None if a second Ctrl-C cut it short."""
        summary: dict[str, Any] | None = None
        async with anyio.create_task_group() as everything:
            everything.start_soon(self._heed_signals, everything.cancel_scope)
            everything.start_soon(self._hub.run)
            await self._until_open("hub", self._hub, self._stage.hub_port)
            everything.start_soon(self._agent.run)
            await self._until_open("agent", self._agent, self._stage.gateway_port)
            async with self._watched():
                await self._let_partners_work()
                self._hub.wake()
                self._agent.wake()
                self._saying = "delivering what is left"
                drained = await self._drain()
                letters = await self._letters()
                self._saying = "stopping the agent"
            agent_exit = await self._agent.stop()
            summary = await self._judge(drained, letters, agent_exit)
            await self._hub.stop()
            everything.cancel_scope.cancel()
        return summary

    async def _heed_signals(self, scope: anyio.CancelScope) -> None:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
            async for _ in signals:
                if self._stopping.is_set():
                    scope.cancel()
                    return
                self._stopping.set()

    async def _until_open(self, name: str, service: Service, port: int) -> None:
        """Raises `Permanent` with the program's last words when it does not start."""
        with anyio.move_on_after(START_SECONDS_MAX):
            while len(service.exits) < STARTS_MAX:
                try:
                    async with await anyio.connect_tcp("127.0.0.1", port):
                        return
                except OSError:
                    await anyio.sleep(0.05)
        words = await run_sync(service.last_words)
        raise Permanent(
            f"the {name} does not start: {words}", hint="run it again with --keep DIR and read the logs there"
        )

    # ------------------------------------------------------------ work

    async def _let_partners_work(self) -> None:
        stage = self._stage
        partners = Partners(stage.gateway_url, stage.drop_folder, self._wishes.rate, self._ledger, SEED)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._limit_time)
            finished = anyio.Event()

            async def work() -> None:
                await partners.run(self._stopping)
                finished.set()

            tasks.start_soon(work)
            await self._stopping.wait()
            self._saying = "partners finish what they have in hand"
            with anyio.move_on_after(FINISH_SECONDS_MAX):
                await finished.wait()
            tasks.cancel_scope.cancel()

    async def _limit_time(self) -> None:
        if self._wishes.seconds is not None:
            await anyio.sleep(self._wishes.seconds)
            self._stopping.set()

    async def _drain(self) -> dict[str, Any]:
        """Wait until nothing is pending, within bounds; the last status. Raises `Retryable` without any answer."""
        status: dict[str, Any] | None = None
        with anyio.move_on_after(DRAIN_SECONDS_MAX):
            while status is None or status["pending"] or status["untranslated"]:
                await anyio.sleep(0.1)
                status = await self._ask("status") or status
        if status is None:
            words = await run_sync(self._agent.last_words)
            raise Retryable(
                f"the agent did not come back: {words}", hint="run it again with --keep DIR and read the logs there"
            )
        return status

    async def _letters(self) -> list[judge.Place]:
        """Those that wait, and those that somebody has discarded while looking around."""
        found: list[judge.Place] = []
        for state in ("open", "discarded"):
            after = 0
            while page := await self._ask("letters.list", after=after, limit=1_000, state=state):
                found += [(1, row["intake_seq"]) for row in page]
                after = page[-1]["id"]
        return found

    async def _ask(self, verb: str, **parameters: Any) -> Any:
        """None when the agent does not answer in time."""
        with anyio.move_on_after(ANSWER_SECONDS_MAX):
            try:
                return await run_sync(
                    client.call, self._configuration.data_dir, verb, parameters,
                    abandon_on_cancel=True, limiter=self._asking,
                )  # fmt: skip
            except (EntrepotError, OSError, HTTPException, ValueError):
                return None
        return None

    async def _judge(
        self, status: dict[str, Any], letters: list[judge.Place], agent_exit: int | None
    ) -> dict[str, Any]:
        evidence = await judge.collect(self._configuration)
        # In a live demo people send their own messages; the judge then cannot know them all.
        others = self._wishes.seconds is None and status["facts"] > len(self._ledger.receipts)
        problems = judge.compare(self._ledger, status, letters, evidence, others=others)
        if agent_exit != 0:
            problems.append(f"the agent did not end in order (exit code {agent_exit})")
        books = ("accepted", "delivered", "withheld", "dead_lettered", "ignored", "expired", "pending")
        return {
            "ok": not problems,
            "problems": problems,
            "seconds": round(clock.monotonic() - self._began, 1),
            "region": status["region"],
            "books": {name: status[name] for name in books},
            "balanced": status["balanced"],
            "messages": status["facts"],
            "receipts": len(self._ledger.receipts),
            "by_hand": max(0, status["facts"] - len(self._ledger.receipts)),
            "duplicates": status["duplicates"],
            "repeats": self._ledger.repeats,
            "retries": self._ledger.retries,
            "unanswered": len(self._ledger.unanswered),
            "letters": len(letters),
            "lanes": {
                name: {
                    "sealed": sealed,
                    "acked": status["lanes"][name]["acked"],
                    "hub_last": evidence.lanes[name].last,
                    "fenced": status["lanes"][name]["fenced"],
                }
                for name, (sealed, _) in evidence.sealed.items()
            },
            "checkpoints": evidence.verdict.checkpoints,
            "starts": {"hub": self._hub.starts, "agent": self._agent.starts},
        }

    # ------------------------------------------------------------ the picture

    @asynccontextmanager
    async def _watched(self) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch)
            yield
            tasks.cancel_scope.cancel()

    async def _watch(self) -> None:
        """Ask the agent and show what it says, until cancelled."""
        live = sys.stdout.isatty() and not self._wishes.json
        if not live and not self._wishes.json:
            _introduce(self._stage)
        told = self._began
        with Live(console=Console(), auto_refresh=False) if live else nullcontext() as screen:
            while True:
                status = await self._ask("status")
                self._answering = status is not None
                if status is not None:
                    self._status = status
                    acked = sum(lane["acked"] for lane in status["lanes"].values())
                    self._samples.append((clock.monotonic(), status["accepted"], acked))
                if screen is not None:
                    screen.update(view.picture(self._facts()), refresh=True)
                elif not self._wishes.json and clock.monotonic() - told >= LINE_SECONDS:
                    told = clock.monotonic()
                    print(view.line(self._facts()), flush=True)
                await anyio.sleep(LOOK_SECONDS)

    def _facts(self) -> view.Facts:
        return view.Facts(
            seconds=clock.monotonic() - self._began,
            status=self._status,
            answering=self._answering,
            rates=self._rates(),
            hub_pid=self._hub.pid,
            hub_starts=self._hub.starts,
            agent_pid=self._agent.pid,
            agent_starts=self._agent.starts,
            receipts=len(self._ledger.receipts),
            retries=self._ledger.retries,
            gateway_url=self._stage.gateway_url,
            command=command_name(),
            config=self._stage.config,
            stopping=self._saying,
        )

    def _rates(self) -> dict[str, float]:
        if len(self._samples) < 2:
            return {"accepted": 0.0, "acked": 0.0}
        (then, accepted, acked), (now, accepted_now, acked_now) = self._samples[0], self._samples[-1]
        passed = max(0.001, now - then)
        return {"accepted": (accepted_now - accepted) / passed, "acked": (acked_now - acked) / passed}


def command_name() -> str:
    """How a person would call us again in another terminal."""
    script = Path(sys.argv[0])
    if script.name != "entrepot":
        return f"{sys.executable} -m runtime.cli"
    shown = os.path.relpath(script)
    return shown if len(shown) < len(str(script.absolute())) else str(script.absolute())


def _introduce(stage: Stage) -> None:
    print(
        f"a hub at {stage.hub_url}, region eu-de at {stage.gateway_url}, three partners at work; Ctrl-C ends it",
        flush=True,
    )
    print(f"ask it: {command_name()} status --config {stage.config}", flush=True)


def _signed(checkpoints: int) -> str:
    return "1 signed checkpoint agrees" if checkpoints == 1 else f"{checkpoints:,} signed checkpoints agree"


def _tell(summary: dict[str, Any]) -> None:
    from runtime.cli import screen

    books = summary["books"]
    parts = " + ".join(
        f"{count:,} {name.replace('_', '-')}" for name, count in books.items() if name != "accepted" and count
    )
    print()
    if summary["ok"]:
        screen.say(f"the books balance: {books['accepted']:,} accepted = {parts or 'nothing'}", "ok")
        total = sum(lane["hub_last"] for lane in summary["lanes"].values())
        proof = f"{total:,} events, each once, in order, as sealed, and {_signed(summary['checkpoints'])}"
        screen.say(f"the hub holds exactly what was accepted: {proof}", "ok")
    for problem in summary["problems"]:
        screen.say(problem, "critical")
    starts = summary["starts"]
    print(
        f"{summary['receipts']:,} receipts, {summary['duplicates']:,} repeats recognised, {summary['letters']:,} letters, "
        f"{summary['retries']:,} retries; started: agent {starts['agent']}×, hub {starts['hub']}×"
    )
    if summary["by_hand"]:
        print(f"{summary['by_hand']:,} messages were sent by somebody else")
    print(f"state is kept in {summary['state']}" if summary["state"] else "the state was removed; --keep DIR keeps it")
