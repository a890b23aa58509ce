"""The package on a machine: installed, configured, asked by systemd, and sent to by partners that keep their receipts."""

from __future__ import annotations

import fcntl
import json
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tests.support.debs import package
from tests.support.machine import TREE, Machine
from tests.support.region import MAPPING, POLICY

SERVICE, SOCKET = "entrepot.service", "entrepot.socket"
STATE, SETTINGS = "/var/lib/entrepot", "/etc/entrepot"
RATE_PER_SECOND = 250
LOAD_SECONDS_MAX = 120.0
SECONDS_MAX = 40.0
CONFIGURATION = """
region = "{region}"
jurisdiction = "DE"
environment = "test"
data_dir = "{state}"
[hub]
servers = ["{hub}"]
manage_streams = true
[gateway]
listen = "{listen}"
[residency]
policy = "policy.toml"
[evidence]
checkpoint_seconds = 1
[lanes.realtime]
[sources.wms]
adapter = "webhook"
mapping = "mapping.toml"
auth = {auth}
"""


def installation(suite: str) -> Path:
    """What an installation changes on a disk; made once for a package, so that not every test waits for it."""
    deb = package(suite)
    folder = deb.parent / "installed"
    with (deb.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            with Machine(suite, "installation") as machine:
                Installed(machine).install(deb)
                machine.keep(folder)
    return folder


def until(condition: Callable[[], Any], what: Callable[[], str], seconds_max: float = SECONDS_MAX) -> Any:
    """Poll another machine until the condition holds; fails with `what()` after a bounded time."""
    end = time.monotonic() + seconds_max
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {seconds_max:g} s: {what()}"
        time.sleep(0.1)
    return found


class Load:
    """Partners at work: what they say at the end."""

    def __init__(self) -> None:
        self.said: dict[str, Any] = {}

    @property
    def receipts(self) -> dict[str, list[int]]:
        return dict(self.said["receipts"])

    @property
    def refused(self) -> dict[str, int]:
        """First answers that were no receipt, by reason."""
        return dict(self.said["refused"])

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self.said.items() if name != "receipts")


class Installed:
    """One region on one machine."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def configure(
        self,
        *,
        hub: str = "nats://127.0.0.1:4222",
        listen: str = "127.0.0.1:8080",
        auth: str = '{ scheme = "none" }',
        region: str = "eu-de",
        instance: str = "",
        more: str = "",
    ) -> None:
        """Write configuration as a person or Ansible would."""
        folder = f"{SETTINGS}/{instance}".rstrip("/")
        state = f"{STATE}/{instance}".rstrip("/")
        text = CONFIGURATION.format(region=region, state=state, hub=hub, listen=listen, auth=auth) + more
        for name, content in (("entrepot.toml", text), ("mapping.toml", MAPPING), ("policy.toml", POLICY)):
            self.machine.write(f"{folder}/{name}", content)

    def install(self, deb: Path, *options: str) -> str:
        """What `apt install ./package` does in the end; returns what was said."""
        shutil.copy(deb, self.machine.root / "srv" / deb.name)
        return self.machine.must("dpkg", "--force-confold", *options, "--install", f"/srv/{deb.name}")

    def start(self, unit: str = SERVICE) -> None:
        """What a person does after `entrepot init`; returns when the agent has said READY=1."""
        code, said = self.machine.run("systemctl", "enable", "--now", unit)
        assert code == 0, said + self.machine.log(unit)[-2000:]
        assert self.property("ActiveState", unit) == "active"

    def property(self, name: str, unit: str = SERVICE) -> str:
        return self.machine.property(unit, name)

    def restarted(self, pid: str) -> str:
        """Wait until another process than `pid` has said READY=1; returns its number."""

        def other() -> str:
            now = self.property("MainPID")
            return now if now not in {pid, "0"} and self.property("ActiveState") == "active" else ""

        return str(until(other, lambda: f"a new process; {self.machine.log(SERVICE)[-1500:]}"))

    def status(self) -> dict[str, Any]:
        """`entrepot status --json`, as root."""
        code, said = self.machine.run("entrepot", "status", "--json", "--config", f"{SETTINGS}/entrepot.toml")
        assert code in {0, 1, 2}, said[-1500:]
        return dict(json.loads(said))

    def drop_in(self, name: str, *lines: str, unit: str = SERVICE) -> None:
        """What `systemctl edit` writes."""
        section = "[Socket]" if unit.endswith(".socket") else "[Service]"
        self.machine.write(f"/etc/systemd/system/{unit}.d/{name}.conf", "\n".join((section, *lines, "")))
        self.machine.must("systemctl", "daemon-reload")

    def post(self, body: str, *, port: int = 8080, token: str = "") -> int:
        """One webhook; the status of its answer."""
        program = (
            "import sys, urllib.request as u, urllib.error as e\n"
            f"r = u.Request('http://127.0.0.1:{port}/in/wms', sys.argv[1].encode(), {{'content-type': 'application/json'}})\n"
            "sys.argv[2] and r.add_header('authorization', 'Bearer ' + sys.argv[2])\n"
            "try: print(u.urlopen(r, timeout=20).status)\n"
            "except e.HTTPError as error: print(error.code)"
        )
        return int(self.machine.must("python3", "-c", program, body, token))

    @contextmanager
    def load(self, *more: str, port: int = 8080) -> Iterator[Load]:
        """Partners send at 250 a second while the block runs, and are waited for; they use the machine's loopback."""
        url = f"http://127.0.0.1:{port}/in/wms"
        words = [sys.executable, "-m", "tests.support.senders", url, str(RATE_PER_SECOND), *more]
        command = self.machine.command(*words, network_only=True)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        load = Load()
        with subprocess.Popen(command, cwd=TREE, text=True, **pipes) as senders:
            try:
                until(lambda: self.status()["accepted"] > RATE_PER_SECOND / 2, lambda: "the first receipts")
                yield load
                taken = self.status()["accepted"]
                until(lambda: self.status()["accepted"] > taken + RATE_PER_SECOND, lambda: "a second after the trial")
                said, error = senders.communicate(timeout=LOAD_SECONDS_MAX)
            finally:
                senders.kill()
        assert senders.returncode == 0, error[-1500:]
        load.said = json.loads(said)

    def accepted(self, folder: Path) -> dict[str, int]:
        """Key → number of every fact in the journal of the region, which is stopped for it."""
        self.machine.must("systemctl", "stop", SOCKET, SERVICE)
        for file in (self.machine.root / STATE.lstrip("/")).glob("journal.db*"):
            shutil.copy(file, folder)
        with closing(sqlite3.connect(folder / "journal.db")) as journal:
            rows = journal.execute("SELECT key, seq FROM intake").fetchall()
        assert len(rows) == len({key for key, _ in rows}), "a message was taken twice"
        return dict(rows)

    def assert_all_receipts_hold(self, load: Load, folder: Path) -> None:
        """Every message has a receipt, and every receipt stands for one fact in the journal."""
        assert load.said["lost"] == []
        assert len(load.receipts) == load.said["sent"]
        assert self.accepted(folder) == {key: number for key, (_, number) in load.receipts.items()}
