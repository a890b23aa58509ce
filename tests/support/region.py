"""A real region under the test's control: its own folder, a real agent process, senders that keep their receipts."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Self

import aiohttp
import anyio
import anyio.lowlevel
import anyio.to_thread
import nats
import orjson

from runtime.admin import client
from runtime.errors import EntrepotError
from tests.support.nats import free_port

MAPPING = """
mapping = "test-stock"
version = 1
key = "id"
zone = "Europe/Berlin"
[[outputs]]
type = "stock.snapshot"
when = "kind == 'STOCK'"
partition_key = "sku"
[outputs.fields]
sku = "sku"
on_hand = { path = "qty", convert = "decimal" }
occurred_at = { path = "at", convert = "instant" }
unit = { const = "H87" }
[[ignore]]
when = "kind == 'PING'"
reason = "heartbeat"
"""
POLICY = """
policy = "test-floor"
version = 1
[[rules]]
id = "open"
when = { class = ["public", "business", "business.confidential"] }
action = "allow"
"""
SECONDS_MAX = 25.0
STOP_SECONDS_MAX = 12.0
"""Promised are 10, for the window on the wire; two for a busy machine."""


def fact(number: int, *, sku: str = "A-1", kind: str = "STOCK", qty: Any = None, **more: Any) -> bytes:
    """One message of the test partner."""
    said = {"id": f"m-{number}", "kind": kind, "sku": sku, "qty": qty if qty is not None else number, **more}
    return orjson.dumps(said | {"at": "2026-03-02T08:14:09Z"})


async def until(condition: Callable[[], Awaitable[Any]], what: str, seconds_max: float = SECONDS_MAX) -> Any:
    """Poll until the condition gives something true; fails with `what` after a bounded time."""
    with anyio.move_on_after(seconds_max):
        while True:
            found = await condition()
            if found:
                return found
            await anyio.sleep(0.03)
    raise AssertionError(f"not within {seconds_max:g} s: {what}")


class Region:
    """One agent and its folder. `hub` is a NATS URL."""

    def __init__(self, directory: Path, hub: str, **options: Any) -> None:
        self.directory = directory
        self.port = free_port()
        self.receipts: list[dict[str, Any]] = []
        self.variables: dict[str, str] = {}
        """Added to the environment of the agent alone, not of the commands."""
        self._process: subprocess.Popen[bytes] | None = None
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "mapping.toml").write_text(options.pop("mapping", MAPPING))
        (directory / "policy.toml").write_text(options.pop("policy", POLICY))
        self.configure(hub, **options)

    def configure(
        self,
        hub: str,
        *,
        environment: str = "test",
        manage: bool = True,
        on_letter: str = "pass",
        hub_more: str = "",
        more: str = "",
        region: str = "eu-de",
        lane: str = "realtime",
    ) -> None:
        """Write entrepot.toml."""
        self.config.write_text(
            f"""
region = "{region}"
jurisdiction = "DE"
environment = "{environment}"
data_dir = "state"
[hub]
servers = ["{hub}"]
manage_streams = {str(manage).lower()}
audit_seconds = 1.0
{hub_more}
[gateway]
listen = "127.0.0.1:{self.port}"
[residency]
policy = "policy.toml"
[evidence]
checkpoint_seconds = 1
[lanes.{lane}]
[sources.wms]
adapter = "webhook"
mapping = "mapping.toml"
auth = {{ scheme = "none" }}
on_letter = "{on_letter}"
{more}
"""
        )

    @property
    def config(self) -> Path:
        return self.directory / "entrepot.toml"

    @property
    def state(self) -> Path:
        return self.directory / "state"

    @property
    def log(self) -> str:
        return (self.directory / "agent.log").read_text()

    @property
    def public_key(self) -> Path:
        return self.state / "identity" / "signing.pub"

    # ------------------------------------------------------------ the process

    async def start(self) -> Region:
        """Start the agent and wait until it is ready."""
        variables = os.environ | {"NO_COLOR": "1"} | self.variables
        with (self.directory / "agent.log").open("ab") as log:
            command = [sys.executable, "-m", "runtime.cli", "run", "--config", str(self.config)]
            self._process = await anyio.to_thread.run_sync(
                lambda: subprocess.Popen(command, stdout=log, stderr=log, env=variables)
            )
        try:
            await until(self._ready, f"the agent is ready; its log ends: {self.log[-800:]}")
        except BaseException:
            self.kill()  # nobody leaves a context that was not entered
            raise
        return self

    async def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"the agent ended: {self.log[-1500:]}"
        try:
            async with aiohttp.ClientSession() as http, http.get(f"{self.url}/live") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    def kill(self) -> None:
        """`kill -9`."""
        self._end(signal.SIGKILL)

    async def stop(self) -> int:
        """SIGTERM; returns the exit code. Raises when the agent needs longer than it may."""
        return await anyio.to_thread.run_sync(lambda: self._end(signal.SIGTERM))

    def _end(self, how: signal.Signals) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(how)
        try:
            return process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    @property
    def pid(self) -> int:
        """Of the agent that runs."""
        assert self._process is not None
        return self._process.pid

    async def ended(self) -> int:
        """The exit code of an agent that ends by itself."""
        process = self._process
        assert process is not None

        async def gone() -> tuple[int] | None:
            await anyio.lowlevel.checkpoint()
            return None if process.poll() is None else (process.returncode,)

        (code,) = await until(gone, f"the agent ends; its log ends: {self.log[-800:]}")
        self._process = None
        return int(code)

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        self.kill()

    def copy(self, directory: Path) -> None:
        """Copy the state of a stopped agent."""
        shutil.copytree(self.state, directory)

    def restore(self, directory: Path) -> None:
        """Put an older copy of the state in place."""
        shutil.rmtree(self.state)
        shutil.copytree(directory, self.state)

    # ------------------------------------------------------------ senders

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def send(self, body: bytes, *, key: str | None = None) -> tuple[int, dict[str, Any]]:
        """One POST; a receipt goes into the ledger. Raises what the connection raises."""
        headers = {"content-type": "application/json"} | ({"idempotency-key": key} if key else {})
        address = f"{self.url}/in/wms"
        async with aiohttp.ClientSession() as http, http.post(address, data=body, headers=headers) as answer:
            said = await answer.json(content_type=None)
            if answer.status == 202:
                self.receipts.append(said | {"body": body})
            return answer.status, said

    async def send_lines(self, bodies: list[bytes]) -> dict[str, Any]:
        """One NDJSON POST."""
        headers = {"content-type": "application/x-ndjson"}
        address, body = f"{self.url}/in/wms", b"\n".join(bodies)
        async with aiohttp.ClientSession() as http, http.post(address, data=body, headers=headers) as answer:
            assert answer.status == 202, await answer.text()
            return dict(await answer.json())

    async def persist(self, bodies: list[bytes]) -> None:
        """Send one after the other as a good partner does: again with the same key until there is a receipt."""
        for body in bodies:
            await until(lambda b=body: self._sent(b), "a receipt")  # type: ignore[misc]

    async def _sent(self, body: bytes) -> bool:
        try:
            return (await self.send(body))[0] == 202
        except (aiohttp.ClientError, OSError):
            return False

    # ------------------------------------------------------------ what people ask

    async def ask(self, verb: str, **parameters: Any) -> Any:
        """A verb over the admin socket."""
        return await anyio.to_thread.run_sync(lambda: client.call(self.state, verb, parameters))

    async def status(self) -> dict[str, Any]:
        """Empty while the agent does not answer."""
        try:
            return dict(await self.ask("status"))
        except EntrepotError:
            return {}

    async def run(self, *arguments: str) -> tuple[int, str, str]:
        """A command as a person types it: (exit code, stdout, stderr)."""
        command = [sys.executable, "-m", "runtime.cli", *arguments, "--config", str(self.config)]
        done = await anyio.to_thread.run_sync(
            lambda: subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        )
        return done.returncode, done.stdout, done.stderr

    async def verify(self, hub: str) -> dict[str, Any]:
        """The stand-alone reader's verdict."""
        key = str(self.public_key)
        _, out, err = await self.run("verify", "--json", "--hub", hub, "--region", "eu-de", "--public-key", key)
        return dict(json.loads(out)) if out else {"ok": False, "problems": [err]}

    async def settled(self, *, facts: int = 0) -> dict[str, Any]:
        """The status once everything accepted is at the hub."""

        async def calm() -> dict[str, Any] | None:
            now = await self.status()
            done = now and now["facts"] >= facts and now["pending"] == 0 and now["hub_connected"]
            return now if done else None

        return dict(await until(calm, f"everything is delivered; status {await self.status()}; {self.log[-1500:]}"))

    async def alerted(self, name: str, *, raised: bool = True) -> dict[str, Any]:
        """The status once this alert stands, or stands no more."""

        async def is_so() -> dict[str, Any] | None:
            now = await self.status()
            return now if now and (name in {alert["name"] for alert in now["alerts"]}) is raised else None

        state = "raised" if raised else "cleared"
        return dict(await until(is_so, f"{name} is {state}; {self.log[-1500:]}"))

    async def fenced(self, kind: str) -> dict[str, Any]:
        """The status once the lane is fenced for this reason."""

        async def is_so() -> dict[str, Any] | None:
            now = await self.status()
            return now if now and now["lanes"]["realtime"]["fenced"] == kind else None

        return dict(await until(is_so, f"fenced as {kind}; {self.log[-1500:]}"))


async def stored(hub: str, stream: str = "EU-DE_REALTIME", **options: Any) -> list[Any]:
    """Every message of a stream, in order, read by another client than ours; `options` of its connection."""
    connection = await nats.connect(hub, **options)
    try:
        context = connection.jetstream()
        state = (await context.stream_info(stream)).state
        return [await context.get_msg(stream, seq=seq) for seq in range(state.first_seq or 1, state.last_seq + 1)]
    finally:
        await connection.close()


def events(messages: list[Any]) -> list[Any]:
    """Those that are events: no epoch records."""
    return [m for m in messages if not m.subject.endswith(".entrepot.epoch")]


def origins(messages: list[Any]) -> list[str]:
    """Their origins, in the order of the stream."""
    return [m.headers["entrepot-origin"] for m in events(messages)]


def expected(receipts: list[dict[str, Any]]) -> list[str]:
    """The origins that these receipts promise, each once, in order of acceptance."""
    numbers = {(r["epoch"], r["intake_seq"]) for r in receipts}
    return [f"{epoch}.{seq}.0" for epoch, seq in sorted(numbers, key=lambda n: n[1])]
