"""Asks a running agent over its admin socket. Standard library only: commands must start fast."""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from typing import Any

from runtime.admin.place import socket_path
from runtime.errors import EntrepotError, Permanent, Refused, Retryable

TIMEOUT_SECONDS = 300.0
UNTIMED = frozenset({"journal.backup", "journal.verify"})
"""Verbs that take as long as the journal is large."""
_KINDS: dict[str, type[EntrepotError]] = {
    "Refused": Refused,
    "Undrained": Refused,
    "Permanent": Permanent,
    "Retryable": Retryable,
}


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_seconds: float | None = TIMEOUT_SECONDS) -> None:
        super().__init__("agent", timeout=timeout_seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def is_running(data_dir: Path) -> bool:
    """Whether an agent answers on the admin socket of this data folder, even if it would not answer this user."""
    connection = _Connection(socket_path(data_dir))
    try:
        connection.connect()
    except PermissionError:
        return True
    except OSError:
        return False
    finally:
        connection.close()
    return True


def call(data_dir: Path, verb: str, parameters: dict[str, Any]) -> Any:
    """The agent's answer as plain data. Raises what the agent raised; `Retryable` when it does not answer."""
    connection = _Connection(socket_path(data_dir), None if verb in UNTIMED else TIMEOUT_SECONDS)
    try:
        connection.request("POST", f"/v1/{verb}", json.dumps(parameters), {"content-type": "application/json"})
        response = connection.getresponse()
        body = response.read()
    except PermissionError:
        raise Refused(
            f"this user may not open {socket_path(data_dir)}", hint="run as root, or join the agent's group"
        ) from None
    except (OSError, http.client.HTTPException) as error:
        raise Retryable(
            f"the agent does not answer on {socket_path(data_dir)} ({error})",
            hint="it may be starting or stopping: try again; if it stays so, look at the end of its log",
        ) from None
    finally:
        connection.close()
    try:
        answer = json.loads(body)
    except ValueError:
        raise Permanent(
            f"the agent failed at this and did not say why (status {response.status}); it goes on",
            hint="the end of its log says more: `journalctl -u entrepot -n 20`; please report it, it is a defect",
        ) from None
    if response.status == http.client.OK:
        return answer
    raise _KINDS.get(answer["kind"], EntrepotError)(answer["error"], hint=answer["hint"])
