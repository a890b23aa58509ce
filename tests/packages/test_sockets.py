"""The socket outlives the agent: 250 webhooks a second, and whatever happens to the agent nobody loses one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.debs import NEXT, package
from tests.support.installed import SERVICE, SOCKET, Installed
from tests.support.machine import Machine

pytestmark = [pytest.mark.packages, pytest.mark.needs("machines")]
IN_HAND_MAX = 64
CLOSED = {"ClientOSError", "ServerDisconnectedError"}
"""What a sender sees of a connection that ends under its request."""


def test_a_restart_costs_nobody_even_a_second_attempt(installed: Installed, tmp_path: Path) -> None:
    """The senders have not one first answer that is no receipt: those that never try again lose nothing either."""
    with installed.load() as load:
        for _ in range(2):
            installed.machine.must("systemctl", "restart", SERVICE)
    assert load.refused == {}, str(load)
    installed.assert_all_receipts_hold(load, tmp_path)


def test_on_kept_connections_a_restart_costs_at_most_a_second_attempt(installed: Installed, tmp_path: Path) -> None:
    """HTTP/1.1 cannot prevent that a request crosses the end of an idle connection; no request is ever turned down."""
    with installed.load("--keep-alive") as load:
        for _ in range(2):
            installed.machine.must("systemctl", "restart", SERVICE)
    assert set(load.refused) <= CLOSED, str(load)
    assert sum(load.refused.values()) <= IN_HAND_MAX, str(load)
    installed.assert_all_receipts_hold(load, tmp_path)


def test_a_reload_cuts_no_connection_and_a_wrong_file_changes_nothing(installed: Installed, tmp_path: Path) -> None:
    machine = installed.machine
    pid = installed.property("MainPID")
    with installed.load("--keep-alive") as load:
        before = installed.status()["config"]
        installed.configure(more="[journal]\nrefill_hours = 100\n")
        machine.must("systemctl", "reload", SERVICE)
        assert installed.status()["config"] != before
        installed.configure(region="eu-fr")
        code, _ = machine.run("systemctl", "reload", SERVICE)
        assert code != 0
        assert installed.property("ActiveState") == "active"
        assert "region can never change" in machine.log(SERVICE)
    assert load.refused == {}, str(load)
    assert installed.property("MainPID") == pid
    installed.assert_all_receipts_hold(load, tmp_path)


def test_a_kill_costs_only_the_requests_in_hand_and_those_are_tried_again(installed: Installed, tmp_path: Path) -> None:
    with installed.load() as load:
        pid = installed.property("MainPID")
        installed.machine.must("systemctl", "kill", "--signal=KILL", SERVICE)
        installed.restarted(pid)
    assert sum(load.refused.values()) <= IN_HAND_MAX, str(load)
    installed.assert_all_receipts_hold(load, tmp_path)


def test_an_upgrade_and_a_downgrade_cost_nobody_even_a_second_attempt(
    installed: Installed, suite: str, tmp_path: Path
) -> None:
    with installed.load() as load:
        installed.install(package(suite, NEXT))
        assert installed.status()["version"] == NEXT
        installed.install(package(suite), "--force-downgrade")
    assert load.refused == {}, str(load)
    installed.assert_all_receipts_hold(load, tmp_path)


def test_without_the_socket_unit_a_restart_refuses_senders(installed: Installed, tmp_path: Path) -> None:
    """The measure itself sees what the socket is for."""
    installed.machine.must("systemctl", "mask", "--now", SOCKET)
    installed.machine.must("systemctl", "restart", SERVICE)
    with installed.load() as load:
        installed.machine.must("systemctl", "restart", SERVICE)
    assert load.refused, str(load)
    assert set(load.refused) <= {"ClientConnectorError", *CLOSED}, str(load)
    installed.assert_all_receipts_hold(load, tmp_path)


def test_a_socket_that_is_open_to_all_is_refused_where_the_configuration_says_this_machine_only(
    installed: Installed,
) -> None:
    machine: Machine = installed.machine
    machine.must("systemctl", "stop", SOCKET, SERVICE)
    installed.drop_in("listen", "ListenStream=", "ListenStream=8080", unit=SOCKET)
    assert machine.run("systemctl", "start", SERVICE)[0] != 0
    assert installed.property("ExecMainStatus") == "2"
    assert "this machine only, but the service manager listens on [::]:8080" in machine.log(SERVICE)
