"""A certificate says no more than was seen, holds only as it was signed, and never calls passed what was not tried."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from runtime.certify import certificate as certificates
from runtime.certify.certificate import Certificate
from runtime.certify.ground import Finding, Verdict, not_tried
from runtime.certify.host import Host, mount_of
from runtime.errors import EntrepotError
from runtime.identity import Identity, load_or_create

HOST = Host(
    name="h|1",
    system="Linux 6",
    machine="x86_64",
    processors=2,
    file_system="ext4",
    device="/dev/sda1",
    mount_options="rw",
    sqlite="3.40.1",
    python="3.11.2",
    entrepot="0.1.0",
)


@pytest.fixture
def identity(tmp_path: Path) -> Identity:
    return load_or_create(tmp_path / "identity", journal_is_new=True)


def finding(verdict: Verdict) -> Finding:
    return Finding(trial="kill", verdict=verdict, sentence="seen", figures={"kills": 3}, shows_not="the disk")


def certificate(*verdicts: Verdict, **more: str) -> Certificate:
    trials = [finding(verdict) for verdict in verdicts]
    said = {"verdict": certificates.verdict(trials)} | more
    return Certificate(
        format=1, region="eu-de", environment="test", made_at="2026-11-23T09:30:00.000000+00:00", seconds=9, host=HOST,
        trials=trials, **said,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("verdicts", "all_in_all"),
    [
        (["passed", "passed"], "passed"),
        (["passed", "not tried"], "incomplete"),
        (["not tried", "failed"], "failed"),
        ([], "failed"),
    ],
)
def test_what_was_not_tried_is_not_passed(verdicts: list[Verdict], all_in_all: str) -> None:
    assert certificates.verdict([finding(verdict) for verdict in verdicts]) == all_in_all


def test_it_is_verified_as_it_was_signed(identity: Identity) -> None:
    made = certificate("passed", "not tried")
    assert certificates.verify(certificates.sign(made, identity), identity.public_key) == made


def test_a_changed_word_another_key_or_a_false_verdict_is_refused(identity: Identity, tmp_path: Path) -> None:
    signed = certificates.sign(certificate("failed"), identity)
    other = load_or_create(tmp_path / "other", journal_is_new=True)
    with pytest.raises(EntrepotError, match="signature under the certificate is false"):
        certificates.verify(signed.replace(b"failed", b"passed"), identity.public_key)
    with pytest.raises(EntrepotError, match="signed by another key"):
        certificates.verify(signed, other.public_key)
    with pytest.raises(EntrepotError, match="contradicts itself"):
        certificates.verify(certificates.sign(certificate("failed", verdict="passed"), identity), identity.public_key)
    with pytest.raises(EntrepotError, match="no durability certificate"):
        certificates.verify(b"# Durability certificate", identity.public_key)


def test_the_page_says_what_was_seen_and_what_it_does_not_show() -> None:
    page = certificates.page(certificate("passed", "not tried"), "abcd")
    assert page.startswith("# Durability certificate: incomplete\n")
    for said in ("| kill | **passed** | seen |", "kills 3", "- kill: the disk", "`abcd`", "h\\|1"):
        assert said in page


def test_a_trial_that_was_not_tried_says_why() -> None:
    assert msgspec.to_builtins(not_tried("hub", "it is away"))["sentence"] == "it is away"


def test_the_mount_is_the_nearest_above_the_folder() -> None:
    table = (
        "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro\n"
        "30 22 8:2 / /var rw,noatime - xfs /dev/sda2 rw\nrubbish\n"
    )
    assert mount_of(Path("/var/lib/entrepot"), table) == ("xfs", "/dev/sda2", "rw,noatime,rw")
    assert mount_of(Path("/variable"), table)[:2] == ("ext4", "/dev/sda1")
    assert mount_of(Path("/x"), "") == ("unknown", "unknown", "")
