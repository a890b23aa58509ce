"""The agent under test: a child process with a generated configuration, one webhook source signed and one plain.

What is measured is `python -m runtime.cli run --config FILE` as a user runs it; nothing of it is imported here.
"""

from __future__ import annotations

import http.client
import importlib.util
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.load import Load, Loaded, drive
from bench.payloads import EVENT_BYTES, POST_BYTES, padded
from bench.processes import REPOSITORY, free_port, stop, wait_for_port

REGION, LANE = "eu-de", "realtime"
STREAM = "EU-DE_REALTIME"
SIGNED, PLAIN = "wms", "carrier"
SECRET = "bench-secret-of-a-partner-0123456789"
NDJSON_LINES = 100
NDJSON_CONNECTIONS = 8
FILES = Path(__file__).parent / "config"
NUMBER = "{number}"
NUMBER_DIGITS = 12
COMMAND = (sys.executable, "-m", "runtime.cli")


def available() -> bool:
    """Whether the agent can be started at all."""
    try:
        return importlib.util.find_spec("runtime.cli.__main__") is not None
    except ModuleNotFoundError:
        return False


def template(size: int) -> str:
    """A WMS stock message of `size` bytes once the number is filled in; every message is another adjustment."""
    document = json.loads((FILES / "message.json").read_text())
    return padded(document, size - NUMBER_DIGITS + len(NUMBER)).decode()


class Agent:
    """Start, stop, kill and restart on the same data directory and port; counts what it has been given."""

    def __init__(self, directory: Path, hub_port: int, more: str = "") -> None:
        """`more`: text at the end of entrepot.toml."""
        self.directory, self.hub_port, self.more = directory, hub_port, more
        self.port = free_port()
        self.given = 0
        self.process: subprocess.Popen[bytes] | None = None
        self._write_config()

    @property
    def config(self) -> Path:
        return self.directory / "entrepot.toml"

    @property
    def data(self) -> Path:
        return self.directory / "state"

    @property
    def pid(self) -> int:
        if self.process is None:
            raise RuntimeError("the agent is not running")
        return self.process.pid

    def _write_config(self) -> None:
        text = (FILES / "entrepot.toml").read_text()
        text = text.replace("@HUB_PORT@", str(self.hub_port)).replace("@PORT@", str(self.port))
        self.config.write_text(text + self.more)
        for name in ("mapping.toml", "policy.toml"):
            (self.directory / name).write_text((FILES / name).read_text())
        secrets = self.directory / "secrets"
        secrets.mkdir(mode=0o700)
        (secrets / "wms").write_text(SECRET)
        (secrets / "wms").chmod(0o600)

    def start(self) -> float:
        """Seconds from the start of the process until `/live` answers 200."""
        log = self.directory / "agent.log"
        begin = time.monotonic()
        with open(log, "ab") as output:
            command = [*COMMAND, "run", "--config", str(self.config)]
            self.process = subprocess.Popen(
                command, cwd=REPOSITORY, stdout=output, stderr=output, stdin=subprocess.DEVNULL
            )
        wait_for_port(self.port, process=self.process, log=log)
        while self.get("/live") != 200:
            if time.monotonic() - begin > 30.0:
                raise RuntimeError(f"the agent does not come alive\n{log.read_text()[-2000:]}")
            time.sleep(0.01)
        return time.monotonic() - begin

    def get(self, path: str) -> int:
        """HTTP status of a GET; 0 when nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5.0)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()

    def post(self, body: bytes, key: str) -> tuple[int, dict[str, Any]]:
        """One message to the plain source: status and receipt."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30.0)
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        try:
            connection.request("POST", f"/in/{PLAIN}", body, headers)
            answer = connection.getresponse()
            receipt: dict[str, Any] = json.loads(answer.read())
            return answer.status, receipt
        finally:
            connection.close()

    def status(self) -> dict[str, Any]:
        """`entrepot status --json`; its exit code is a verdict on health, not on the call."""
        command = [*COMMAND, "status", "--json", "--config", str(self.config)]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, timeout=30.0, check=False)
        if not done.stdout:
            raise RuntimeError(f"status says nothing: {done.stderr.decode()[-1000:]}")
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def stop(self) -> None:
        if self.process is not None:
            stop(self.process, grace_seconds=20.0)

    def kill(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def feed(
        self, events: int, *, rate: float = 0.0, lines: int = NDJSON_LINES, connections: int = NDJSON_CONNECTIONS
    ) -> Loaded:
        """NDJSON into the plain source; raises unless every request was accepted."""
        return self._drive(
            Load(
                port=self.port,
                source=PLAIN,
                events=events,
                template=template(EVENT_BYTES),
                lines=lines,
                connections=connections,
                rate=rate,
                seconds_max=300.0,
            )
        )

    def post_signed(self, events: int) -> Loaded:
        """Single signed messages over 64 connections."""
        return self._drive(
            Load(port=self.port, source=SIGNED, events=events, template=template(POST_BYTES), secret=SECRET)
        )

    def _drive(self, load: Load) -> Loaded:
        load.first = self.given + 1
        loaded = drive(load)
        self.given += loaded.events
        return loaded


@contextmanager
def agent(directory: Path, hub_port: int, more: str = "") -> Iterator[Agent]:
    """A live agent on an empty journal; stopped when the block ends."""
    under_test = Agent(directory, hub_port, more)
    try:
        under_test.start()
        yield under_test
    finally:
        under_test.stop()
