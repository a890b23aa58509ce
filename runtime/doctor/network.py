"""The doors that a firewall must open, and whether the receiver of alerts can be reached."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from runtime.gateway.settings import is_loopback, parse_listen
from runtime.ports import Finding

CONNECT_SECONDS_MAX = 5.0


def incoming(listen: str) -> Iterator[Finding]:
    """Where senders come in."""
    host, port = parse_listen(listen)
    if is_loopback(listen):
        yield Finding("firewall", "ok", f"in: nothing; senders reach port {port} from this machine only")
    else:
        yield Finding("firewall", "ok", f"in: TCP to {host} port {port} (senders)")


def alerts(webhook: str | None) -> Iterator[Finding]:
    """The receiver of alerts, without its path: that may hold a token."""
    if not webhook:
        yield Finding("alert webhook", "ok", "none is set: alerts are in the log, the metrics and the status")
        return
    parts = urlsplit(webhook)
    host, port = parts.hostname or "?", parts.port or (443 if parts.scheme == "https" else 80)
    yield Finding("firewall", "ok", f"out: TCP to {host} port {port} (alerts)")
    try:
        socket.create_connection((host, port), CONNECT_SECONDS_MAX).close()
    except OSError as error:
        step = "correct [alerts] webhook, this machine's DNS, or the firewall; alerts wait and are tried again"
        yield Finding(
            "alert webhook", "warning", f"{host} port {port} cannot be reached ({error.strerror or error})", step
        )
    else:
        yield Finding("alert webhook", "ok", f"{host} port {port} answers")
