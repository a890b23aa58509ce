"""A hub exactly as `entrepot topology hub-config` writes it: real nats-servers in operator mode, on loopback and free ports."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import anyio
import anyio.to_thread

from runtime.cli.entry import main
from sync import fleet_names as names
from sync import nkey
from sync.access import Access
from sync.channel import ApiError, HubAway
from sync.connection import Connection, connect
from sync.settings import HubSettings
from sync.trust import TRUST
from tests.support.hubs import scope
from tests.support.nats import NatsServer, free_port
from tests.support.operators import now
from tests.support.region import until


class MadeServer(NatsServer):
    """One machine of the plan; its files were written already."""

    def __init__(self, files: Path, store: Path, port: int) -> None:
        self.directory = store
        self.directory.mkdir(parents=True)
        self.port = port
        self.store = store / "streams"
        self.url = f"tls://127.0.0.1:{port}"
        self._config = files / "nats.conf"
        self._process = None


class MadeHub:
    """Enter it to start every machine. `files` is the folder that the command wrote."""

    def __init__(self, directory: Path, size: int = 3, **plan: Any) -> None:
        self.directory, self.files = directory, directory / "made"
        self.plan = directory / "hub-plan.toml"
        directory.mkdir(parents=True, exist_ok=True)
        self._nodes = [self._node(number) for number in range(1, size + 1)]
        self.websockets = [f"wss://127.0.0.1:{node['websocket_port']}" for node in self._nodes]
        self._write(plan)
        self.servers = [
            MadeServer(self.files / "nodes" / node["name"], Path(node["store"]), node["port"]) for node in self._nodes
        ]
        self.urls = [server.url for server in self.servers]
        self.ca = self.files / "offline" / "ca.pem"

    def make(self) -> None:
        """As the central team types it."""
        words = ["topology", "hub-config", "--plan", str(self.plan), "--out", str(self.files), "--json"]
        assert main(words) == 0

    def _node(self, number: int) -> dict[str, Any]:
        ports = {key: free_port() for key in ("port", "websocket_port", "cluster_port", "monitor_port")}
        name = f"hub{number}"
        return ports | {
            "name": name,
            "host": "127.0.0.1",
            "listen": "127.0.0.1",
            "directory": str(self.files / "nodes" / name),
            "store": str(self.directory / name),
        }

    def _write(self, more: dict[str, Any]) -> None:
        said = {"name": "hub", "file_bytes_max": 2_000_000_000, "memory_bytes_max": 64 * 1024 * 1024} | more
        lines = [f"{key} = {json.dumps(value)}" for key, value in said.items()]
        for node in self._nodes:
            lines += ["[[nodes]]", *(f"{key} = {json.dumps(value)}" for key, value in node.items())]
        self.plan.write_text("\n".join([*lines, ""]))

    def keys(self, environment: str = "test") -> Path:
        """The folder of a central team."""
        return self.files / f"headquarters-{environment}"

    def named(self, name: str) -> MadeServer:
        """The machine with this `server_name`."""
        return next(server for server in self.servers if server.directory.name == name)

    async def __aenter__(self) -> Self:
        await anyio.to_thread.run_sync(self.make)
        async with anyio.create_task_group() as tasks:
            for server in self.servers:
                tasks.start_soon(server.start)
        await until(self._ready, "the cluster has a leader", 60)
        return self

    async def __aexit__(self, *_: object) -> None:
        for server in self.servers:
            server.kill()

    async def _ready(self) -> bool:
        try:
            for server in self.servers:
                channel = await self.enter(self.keys() / "hub.creds", region="hq", server=server.url)
                try:
                    await channel.ask("STREAM.NAMES", {})
                finally:
                    channel.close()
        except (ApiError, HubAway):
            return False
        return True

    async def make_fleet_streams(self, environment: str = "test") -> None:
        """Those of configuration and state, as headquarters' other commands make them."""
        channel = await self.enter(self.keys(environment) / "hub.creds", region="hq", environment=environment)
        streams = {names.CONFIG_STREAM: names.CONFIG_SUBJECTS, names.STATE_STREAM: names.STATE_SUBJECTS}
        try:
            for name, subjects in streams.items():
                wanted = {"name": name, "subjects": [subjects], "storage": "file", "allow_direct": True}
                await channel.ask(f"STREAM.CREATE.{name}", wanted, seconds_max=5)
        finally:
            channel.close()

    def settings(self, credentials: Path, *servers: str, **more: Any) -> HubSettings:
        """`[hub]` of whoever has these credentials."""
        return HubSettings(
            servers=list(servers or self.urls), credentials=str(credentials), tls_ca=str(self.ca), **more
        )

    async def enter(
        self,
        credentials: Path,
        *,
        region: str = "eu-de",
        environment: str = "test",
        server: str = "",
        complaints: list[str] | None = None,
    ) -> Connection:
        """A connection with this login; what the server complains about is noted."""
        chosen = server or self.urls[0]
        access = Access(self.settings(credentials, chosen), scope(region=region, environment=environment))
        noted = complaints if complaints is not None else []
        return await connect(chosen, access, name="test", seconds_max=20, on_error=noted.append)

    def login(
        self,
        role: str,
        name: str,
        *,
        environment: str = "test",
        lanes: Sequence[str] = ("realtime",),
        seconds: int = 3_600,
        issued_ago: int = 0,
    ) -> Path:
        """A `.creds` file with the rights of a role, as headquarters signs it."""
        user = nkey.make("user")
        keys = self.keys(environment)
        place = dict(line.split(" = ", 1) for line in (keys / "hub.toml").read_text().splitlines() if " = " in line)
        token = TRUST.login(
            role,  # type: ignore[arg-type]
            name,
            issuer=(keys / "issuer.seed").read_text(),
            account=json.loads(place["account"]),
            environment=environment,
            user=user.public,
            lanes=lanes,
            now=now() - issued_ago,
            seconds=seconds,
        )
        path = self.directory / f"{role}-{name}-{user.public[:8]}.creds"
        path.write_text(TRUST.credentials(token, user.seed))
        path.chmod(0o600)
        return path


async def headquarters(hub: MadeHub, *words: str, environment: str = "test") -> Any:
    """A command of the central team, as it is typed; its JSON."""
    return await command("fleet", "enrol", *words, "--keys", str(hub.keys(environment)))


async def command(*words: str) -> Any:
    """(exit code, JSON) of a command in a process of its own."""
    done = await run(*words)
    return done.returncode, json.loads(done.stdout)


async def run(*words: str) -> subprocess.CompletedProcess[str]:
    """The same, as it is."""
    line = [sys.executable, "-m", "runtime.cli", *words, "--json"]
    done = await anyio.to_thread.run_sync(
        lambda: subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done
