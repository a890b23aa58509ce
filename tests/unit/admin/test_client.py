"""What a command makes of the agent's answers."""

from __future__ import annotations

import socket
from pathlib import Path
from threading import Thread

import pytest

from runtime.admin import client
from runtime.admin.place import socket_path
from runtime.errors import Permanent, with_step

BROKEN = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 13\r\n\r\n500 Internal:"


def test_an_answer_that_is_no_json_is_told_as_the_agents_failure(tmp_path: Path) -> None:
    place = socket_path(tmp_path)
    place.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(place))
        listening.listen()
        listening.settimeout(30)

        def answer() -> None:
            with listening.accept()[0] as asked:
                said = b""
                while not said.endswith(b"\r\n\r\n{}"):  # whoever hangs up before the body is no agent that failed
                    said += asked.recv(65_536)
                asked.sendall(BROKEN)

        agent = Thread(target=answer)
        agent.start()
        with pytest.raises(Permanent, match="status 500") as told:
            client.call(tmp_path, "status", {})
        agent.join()
    place.unlink()
    assert "journalctl" in told.value.hint


def test_a_step_follows_its_sentence_behind_a_full_stop() -> None:
    assert with_step("the hub is away", "look at `status`") == "the hub is away. Look at `status`"
    assert with_step("Two letters wait.", "Run it.") == "Two letters wait. Run it."
    assert with_step("the hub is away", "") == "the hub is away"
