"""Files and secrets that cannot be a login are named as such; none of their bytes is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runtime.errors import ConfigError
from runtime.ports import Scope
from sync.access import Access
from sync.settings import HubSettings

BINARY = b"\xff\xfeS\x00U\x00"


@pytest.mark.parametrize(
    "login",
    [
        {"credentials": "hub.creds"},
        {"nkey": "hub.creds"},
        {"credentials": "secret://login"},
        {"token": "secret://login"},
    ],
)
def test_a_login_that_is_no_text_is_named_and_not_quoted(login: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "hub.creds").write_bytes(BINARY)
    scope = Scope(region="eu-de", environment="test", directory=str(tmp_path), secret=lambda name: BINARY)
    ((key, value),) = login.items()
    with pytest.raises(ConfigError, match=rf"\[hub\] {key}: {value} is no text") as told:
        Access(HubSettings(servers=["nats://hub"], **login), scope).options()
    assert told.value.hint
    assert told.value.__cause__ is None
