"""Which answer counts as the next login, and how it gets into its file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runtime.errors import ConfigError, Refused
from runtime.ports import Scope
from sync import jwt, nkey, permissions, renewal
from sync.access import Access, section
from sync.settings import HubSettings

ISSUER, USER = nkey.make("account"), nkey.make("user")


def token(*, user: str = USER.public, issued_at: int = 100, region: str = "eu-de", environment: str = "test") -> str:
    allowed = permissions.agent(region, ["realtime"])
    claims = permissions.claims("agent", allowed, account="A", environment=environment, region=region)
    return jwt.sign(ISSUER, user, "agent", claims, issued_at=issued_at, expires_at=issued_at + 100)


HELD = jwt.read(token())


def test_an_answer_counts_when_it_was_issued_later() -> None:
    fresh = renewal._checked(token(issued_at=101), HELD)
    assert fresh is not None
    assert fresh.iat == 101
    assert renewal._checked(token(issued_at=100), HELD) is None
    assert renewal._checked(token(issued_at=99, user="U"), HELD) is None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"user": nkey.make("user").public}, "another key"),
        ({"region": "fr"}, "another region"),
        ({"environment": "prod"}, "another environment"),
    ],
)
def test_an_answer_for_somebody_else_is_refused(change: dict[str, Any], told: str) -> None:
    with pytest.raises(Refused, match=told):
        renewal._checked(token(issued_at=200, **change), HELD)


def test_rubbish_in_the_place_of_the_answer_is_refused() -> None:
    with pytest.raises(Refused, match="no JWT"):
        renewal._checked("rubbish", HELD)


def test_the_file_gets_the_new_login_and_keeps_seed_and_mode(tmp_path: Path) -> None:
    file = tmp_path / "hub.creds"
    file.write_text(jwt.credentials(token(), USER.seed))
    file.chmod(0o640)
    (tmp_path / ".hub.creds.new").write_text("left over from a crash")
    renewal.replace(file, token(issued_at=150))
    text = file.read_text()
    assert jwt.read(section(text, "NATS USER JWT")).iat == 150
    assert section(text, "USER NKEY SEED") == USER.seed
    assert file.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["hub.creds"]


@pytest.mark.parametrize(
    ("region", "environment", "told"),
    [
        ("eu-de", "test", ""),
        ("fr", "test", "for region eu-de, this agent's is fr"),
        ("eu-de", "prod", "for environment test, this agent's is prod"),
        ("fr", "", ""),
    ],
)
def test_a_login_of_another_region_or_environment_is_refused_before_anybody_is_asked(
    tmp_path: Path, region: str, environment: str, told: str
) -> None:
    (tmp_path / "hub.creds").write_text(jwt.credentials(token(), USER.seed))
    scope = Scope(region=region, environment=environment, directory=str(tmp_path), secret=lambda name: name.encode())
    access = Access(HubSettings(servers=["tls://h:1"], credentials="hub.creds"), scope)
    if told:
        with pytest.raises(ConfigError, match=told):
            access.options()
    else:
        access.options()
        assert access.inboxes == "_INBOX_eu-de.>"
