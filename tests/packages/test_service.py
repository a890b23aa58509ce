"""The agent as a service: it comes back from a kill and a hang, waits for a person where only one can help, keeps secrets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.installed import SERVICE, SETTINGS, SOCKET, STATE, Installed, until
from tests.support.machine import Machine

pytestmark = [pytest.mark.packages, pytest.mark.needs("machines")]
SCORE_MAX = 1.5
HARDENED = ("entrepot.service", "entrepot@eu-de.service", "entrepot-failure@entrepot.service")
SOCKETS = ("entrepot.socket", "entrepot@eu-de.socket")
PING = '{"id": "p-1", "kind": "PING", "at": "2026-03-02T08:14:09Z"}'


def test_the_units_are_hardened_and_systemd_finds_nothing_wrong_with_them(installed: Installed) -> None:
    for unit in HARDENED:
        said = installed.machine.must("systemd-analyze", "security", "--no-pager", unit)
        found = re.search(r"Overall exposure level for .*: ([0-9.]+)", said)
        assert found is not None, said[-500:]
        assert float(found[1]) <= SCORE_MAX, said
    assert installed.machine.run("systemd-analyze", "verify", "--man=no", *HARDENED, *SOCKETS) == (0, "")


def test_a_killed_agent_is_back_at_once_and_told_of(installed: Installed) -> None:
    pid = installed.property("MainPID")
    installed.machine.must("systemctl", "kill", "--signal=KILL", SERVICE)
    installed.restarted(pid)
    assert installed.property("NRestarts") == "1"
    assert installed.post(PING) == 202


def test_a_hanging_agent_is_killed_by_the_watchdog_and_an_idle_one_is_not(installed: Installed) -> None:
    installed.drop_in("watchdog", "WatchdogSec=3", "TimeoutAbortSec=2")
    installed.machine.must("systemctl", "restart", SERVICE)
    pid, begun = installed.property("MainPID"), installed.property("WatchdogTimestampMonotonic")
    until(
        lambda: int(installed.property("WatchdogTimestampMonotonic")) > int(begun) + 6_000_000,
        lambda: "an idle agent feeds its watchdog for two rounds",
    )
    assert installed.property("MainPID") == pid
    installed.machine.must("systemctl", "kill", "--kill-whom=main", "--signal=STOP", SERVICE)
    installed.restarted(pid)
    assert "Watchdog timeout" in installed.machine.log(SERVICE)
    assert installed.post(PING) == 202


def test_a_wrong_configuration_waits_for_a_person_and_loses_no_webhook(installed: Installed, tmp_path: Path) -> None:
    machine = installed.machine
    machine.must("sed", "-i", "s/^region.*/region = 7/", f"{SETTINGS}/entrepot.toml")
    code, _ = machine.run("systemctl", "restart", SERVICE)
    assert code != 0
    assert (installed.property("ActiveState"), installed.property("ExecMainStatus")) == ("failed", "2")
    assert installed.property("ActiveState", SOCKET) == "active"
    until(
        lambda: (
            "a person must act first" in machine.must("journalctl", "--output=cat", "--identifier=entrepot-failure")
        ),
        lambda: "the report on the failure",
    )
    (report,) = machine.must("sh", "-c", "cat /var/lib/entrepot-failures/*.txt").split("== entrepot check")[1:]
    assert f"{SETTINGS}/entrepot.toml: region: expected" in report
    machine.must("sed", "-i", 's/^region.*/region = "eu-de"/', f"{SETTINGS}/entrepot.toml")
    assert installed.post(PING) == 202, "the waiting webhook itself starts the agent"


def test_a_secret_is_an_encrypted_credential_that_only_the_agent_reads(installed: Installed) -> None:
    machine = installed.machine
    installed.configure(auth='{ scheme = "bearer", secrets = ["secret://wms-token"] }')
    machine.must("mkdir", "-p", "/etc/credstore.encrypted")
    encrypt = "systemd-creds encrypt --with-key=host --name=wms-token - /etc/credstore.encrypted/wms-token"
    machine.must("sh", "-c", encrypt, stdin="first-secret\n")
    installed.drop_in("secrets", "LoadCredentialEncrypted=wms-token")
    machine.must("systemctl", "restart", SERVICE)
    assert [installed.post(PING, token=token) for token in ("wrong", "first-secret")] == [401, 202]
    pid = installed.property("MainPID")
    assert "first-secret" not in machine.must("sh", "-c", f"cat /proc/{pid}/environ /proc/{pid}/cmdline | tr '\\0' ' '")
    assert "first-secret" not in machine.must("journalctl", "--output=cat", "--no-pager")
    machine.must("sh", "-c", encrypt, stdin="second-secret\n")
    machine.must("systemctl", "restart", SERVICE)
    assert [installed.post(PING, token=token) for token in ("first-secret", "second-secret")] == [401, 202]


def test_two_regions_on_one_host_do_not_see_each_other(machine: Machine) -> None:
    both = Installed(machine)
    for number, name in enumerate(("eu-de", "eu-fr"), 1):
        port = 8080 + number
        both.configure(region=name, instance=name, listen=f"127.0.0.1:{port}")
        both.drop_in("listen", "ListenStream=", f"ListenStream=127.0.0.1:{port}", unit=f"entrepot@{name}.socket")
        both.start(f"entrepot@{name}.service")
        assert both.property("ActiveState", f"entrepot@{name}.socket") == "active"
        assert both.post(PING, port=port) == 202
    pid = both.property("MainPID", "entrepot@eu-de.service")
    for folder in (STATE, SETTINGS):
        assert machine.must("nsenter", f"--target={pid}", "--mount", "ls", folder) == "eu-de"


def test_the_agent_can_write_and_run_nothing_but_what_it_must(installed: Installed) -> None:
    pid = installed.property("MainPID")
    inside = ("nsenter", f"--target={pid}", "--mount", "--")
    for place in (SETTINGS, "/usr", "/etc", "/var/log", "/srv", "/opt"):
        code, said = installed.machine.run(*inside, "touch", f"{place}/written")
        assert code != 0, place
        assert "Read-only file system" in said, place
    for place in (STATE, "/tmp", "/var/tmp", "/dev/shm"):
        code, said = installed.machine.run(*inside, "sh", "-c", f"cp /bin/true {place}/copy && {place}/copy")
        assert code == 126, place
        assert "Permission denied" in said, place
    assert installed.machine.must("stat", "--format=%U:%G %a", STATE) == "entrepot:entrepot 750"
    assert installed.machine.must("stat", "--format=%U:%G %a", SETTINGS) == "root:entrepot 750"
