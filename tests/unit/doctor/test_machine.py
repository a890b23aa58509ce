"""What a machine may be like, and what the doctor says of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runtime.config.assemble import load_configuration
from runtime.doctor import agent, disk, files, host
from runtime.setup.place import Owner, Service
from tests.support.example import copy_example

MOUNTS = r"""
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
22 21 0:40 / /run rw,nosuid shared:5 - tmpfs tmpfs rw,size=1g
23 21 0:41 / /srv/fil\040er rw,relatime - nfs4 10.0.0.1:/x rw,vers=4.2
24 21 0:42 / /srv/layer rw - overlay overlay rw,lowerdir=/l
25 21 8:2 / /srv/weak rw,relatime - ext4 /dev/sda2 rw,nobarrier
26 21 0:43 / /srv/ssh rw - fuse.sshfs x: rw
27 21 0:44 / /srv/win rw - vfat /dev/sdb1 rw
28 21 8:3 / /srv/weak/fine rw - xfs /dev/sda3 rw
29 21 8:4 / /srv/over rw - tmpfs tmpfs rw
30 21 8:5 / /srv/over rw - xfs /dev/sda5 rw
broken line
"""


@pytest.mark.parametrize(
    ("folder", "level", "told"),
    [
        ("/var/lib/entrepot", "ok", "ext4 at /"),
        ("/run/entrepot", "critical", "gone after a restart"),
        ("/srv/fil er/data", "critical", "nfs4"),
        ("/srv/layer/data", "warning", "container"),
        ("/srv/weak/data", "critical", "flushes switched off"),
        ("/srv/weak/fine/data", "ok", "xfs"),
        ("/srv/ssh", "critical", "fuse.sshfs"),
        ("/srv/win", "warning", "vfat"),
        ("/srv/over", "ok", "xfs"),
        ("/srv/weakling", "ok", "ext4 at /"),
    ],
)
def test_the_kind_of_file_system_decides(folder: str, level: str, told: str) -> None:
    path = Path(folder)
    finding = disk.judge(path, disk.mount_of(path, disk.mounts(MOUNTS)))
    assert (finding.level, told in finding.found) == (level, True), finding
    assert bool(finding.next_step) == (level != "ok")


def test_a_file_system_that_cannot_be_seen_is_a_warning() -> None:
    assert disk.judge(Path("/x"), disk.mount_of(Path("/x"), [])).level == "warning"


@pytest.mark.parametrize(("seconds", "level"), [(0.00001, "warning"), (0.002, "ok"), (0.2, "warning")])
def test_a_flush_that_is_too_fast_is_as_telling_as_a_slow_one(seconds: float, level: str) -> None:
    finding = disk.judge_flush([seconds] * 16 + [1.0])
    assert (finding.level, bool(finding.next_step)) == (level, level != "ok")


def test_a_flush_leaves_nothing_behind(tmp_path: Path) -> None:
    [finding] = disk.flush(tmp_path / "not" / "yet")
    assert "a flush takes" in finding.found
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("version", "level", "told"),
    [("2.2.10", "warning", "does not stop"), ("2.5.0", "ok", "security updates"), ("2.7.3", "ok", "stops XML bombs")],
)
def test_an_old_parser_does_not_stop_xml_bombs(version: str, level: str, told: str) -> None:
    finding = host.judge_expat(version)
    assert (finding.level, told in finding.found) == (level, True)


def test_keys_that_others_may_read_are_critical(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    (tmp_path / "identity").mkdir()
    key = tmp_path / "identity" / "signing.key"
    key.write_bytes(b"x")
    key.chmod(0o644)
    [finding] = files.data_folder(tmp_path, None)
    assert finding.level == "critical"
    assert "chmod 600" in finding.next_step
    key.chmod(0o600)
    [finding] = files.data_folder(tmp_path, None)
    assert finding.level == "ok"
    tmp_path.chmod(0o755)
    [finding] = files.data_folder(tmp_path, None)
    assert finding.level == "warning"


def test_a_file_of_another_user_in_the_data_folder_is_critical(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    [finding] = files.data_folder(tmp_path, Owner(os.getuid() + 1, os.getgid()))
    assert (finding.level, "chown -R entrepot:" in finding.next_step) == ("critical", True)
    [finding] = files.data_folder(tmp_path, Owner(os.getuid(), os.getgid()))
    assert finding.level == "ok"


def test_what_the_agents_user_may_not_read_is_critical(tmp_path: Path) -> None:
    loaded = load_configuration(copy_example(tmp_path))
    for file in (loaded.path, tmp_path / "policy.toml"):
        file.chmod(0o640)
    [finding] = files.permissions(loaded, Owner(os.getuid(), os.getgid()))
    assert finding.level == "ok"
    [finding] = files.permissions(loaded, Owner(os.getuid() + 1, os.getgid() + 1))
    assert (finding.level, str(loaded.path) in finding.next_step) == ("critical", True)
    (tmp_path / "policy.toml").chmod(0o666)
    [finding] = files.permissions(loaded, None)
    assert (finding.level, "may change what may leave" in finding.found) == ("critical", True)


@pytest.mark.parametrize(
    ("mode", "uid", "gid", "may"),
    [(0o640, 1, 2, True), (0o240, 1, 2, False), (0o640, 0, 2, True), (0o600, 0, 2, False), (0o604, 0, 0, True), (0o640, 0, 0, False)],
)  # fmt: skip
def test_who_may_read_is_decided_by_the_first_class_that_fits(mode: int, uid: int, gid: int, may: bool) -> None:
    found = os.stat_result((mode, 0, 0, 1, uid, gid, 0, 0, 0, 0))
    assert files.readable_for(Owner(1, 2), found) is may


@pytest.mark.parametrize(
    ("shown", "level"),
    [
        ("Listen=127.0.0.1:8080 (Stream)", "ok"),
        ("Listen=[::1]:8080 (Stream)", "warning"),
        ("Listen=127.0.0.1:8080 (Stream)\nListen=10.0.0.1:8080 (Stream)", "warning"),
        ("Listen=", None),
    ],
)
def test_systemd_must_listen_where_the_configuration_says(
    shown: str, level: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shown").write_text(shown + "\n")
    (tmp_path / "systemctl").write_text(
        f'#!/bin/sh\n[ "$4" = "" ] && [ "$3" = entrepot.socket ] && cat {tmp_path}/shown\n'
    )
    (tmp_path / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    service = Service("entrepot", tmp_path)
    found = list(agent.socket_unit(service, "127.0.0.1:8080"))
    assert [finding.level for finding in found] == ([level] if level else [])
    assert all("systemctl edit entrepot.socket" in finding.next_step for finding in found if level == "warning")
    assert list(agent.socket_unit(None, "127.0.0.1:8080")) == []


def test_without_systemd_nothing_is_said_of_its_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert list(agent.socket_unit(Service("entrepot", tmp_path), "127.0.0.1:8080")) == []
