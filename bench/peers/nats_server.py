"""A real nats-server with JetStream: the hub of every measure, and the leaf of the leaf-node peer."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.processes import REPOSITORY, free_port, nats_server_binary, stop
from bench.wire import Refusal, Wire


class NatsServer:
    """Start, kill and restart on the same ports and the same store."""

    def __init__(self, directory: Path, *, name: str = "hub", sync_always: bool = False) -> None:
        self.directory, self.name, self.sync_always = directory, name, sync_always
        self.port, self.leaf_port = free_port(), free_port()
        self.remote: int | None = None
        self.process: subprocess.Popen[bytes] | None = None

    def _config(self) -> str:
        lines = [
            f'server_name: "{self.name}"',
            f'listen: "127.0.0.1:{self.port}"',
            "jetstream {",
            f'  store_dir: "{self.directory / self.name}"',
            f"  domain: {self.name}",
            "  max_file_store: 50GB",
            "  sync_interval: always" if self.sync_always else "",
            "}",
        ]
        if self.remote is None:
            lines.append(f'leafnodes {{ listen: "127.0.0.1:{self.leaf_port}" }}')
        else:
            lines.append(f'leafnodes {{ remotes: [{{ url: "nats-leaf://127.0.0.1:{self.remote}" }}] }}')
        return "\n".join(lines) + "\n"

    def start(self) -> float:
        """Monotonic instant at which JetStream answered for the first time."""
        path = self.directory / f"{self.name}.conf"
        path.write_text(self._config())
        with open(self.directory / f"{self.name}.log", "ab") as log:
            command = [nats_server_binary(), "-c", str(path)]
            self.process = subprocess.Popen(command, cwd=REPOSITORY, stdout=log, stderr=log)
        deadline = time.monotonic() + 60.0
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with Wire(self.port) as wire:
                    wire.request("$JS.API.INFO", seconds_max=1.0)
                    return time.monotonic()
            except (OSError, Refusal):
                time.sleep(0.002)
        log_end = (self.directory / f"{self.name}.log").read_text()[-2000:]
        raise RuntimeError(f"nats-server {self.name} did not start\n{log_end}")

    def kill(self) -> None:
        """No goodbye: SIGKILL, as in a crash."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def stop(self) -> None:
        if self.process is not None:
            stop(self.process)


@contextmanager
def nats_server(directory: Path, *, name: str = "hub", sync_always: bool = False) -> Iterator[NatsServer]:
    """A started server; stopped when the block ends."""
    server = NatsServer(directory, name=name, sync_always=sync_always)
    try:
        server.start()
        yield server
    finally:
        server.stop()
