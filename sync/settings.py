"""The keys of `[hub]`, with bounds and defaults as part of the type.

Secrets are never written here: `credentials`, `nkey`, `token` and `password` take `secret://name`;
`credentials` and `nkey` also take a file, relative to entrepot.toml.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

ServerUrl = Annotated[str, Meta(pattern=r"^(nats|tls|wss?)://[^\s@]+$")]
"""Without user and password: status and alerts show it."""


class HubSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How this region reaches the hub and how hard it may push."""

    servers: Annotated[list[ServerUrl], Meta(min_length=1, max_length=32)]
    """NATS URLs, tried in turn; list every server of a cluster, discovered ones are not used. `wss://` where only port 443
    is open."""
    manage_streams: bool = False
    """Make missing streams by itself. For demos and tests; elsewhere `entrepot topology apply` makes them."""
    replicas: Annotated[int, Meta(ge=1, le=5)] = 1
    """Copies of each stream, used when streams are made; 3 on a cluster."""

    credentials: str = ""
    """NATS `.creds` file (JWT and seed): a path or `secret://name`. Read again at each connection. A login that ends is
    renewed into its file (docs/hub.md); a secret cannot be."""
    nkey: str = ""
    """NKey seed: a path or `secret://name`."""
    user: str = ""
    """User name, where the hub works with passwords."""
    password: str = ""
    """`secret://name`; goes with `user`."""
    token: str = ""
    """`secret://name`."""

    tls_ca: str = ""
    """PEM file of authorities to trust. With this, `tls_cert`, a `tls://` or `wss://` server, plain text is refused."""
    tls_cert: str = ""
    """PEM file: this region's certificate, where the hub asks for one."""
    tls_key: str = ""
    """PEM file: the key of `tls_cert`."""

    publish_mode: Literal["auto", "single"] = "auto"
    """`auto`: fast ingest where server and stream have it (2.14). `single`: one acknowledgement an event."""
    window_rows_max: Annotated[int, Meta(ge=2, le=8192)] = 2048
    """Events on the wire without an answer, per lane. The server drops beyond 10,000 waiting messages."""
    window_bytes_max: Annotated[int, Meta(ge=65536, le=64 * 1024 * 1024)] = 4 * 1024 * 1024
    """Bytes on the wire without an answer, per lane; a single larger event still goes, alone."""
    ack_timeout_seconds: Annotated[float, Meta(gt=0, le=60)] = 5.0
    """No answer for this long: the result counts as unknown and the stream's leader is asked."""
    flush_seconds_max: Annotated[float, Meta(ge=0, le=60)] = 10.0
    """At a stop: the longest wait for answers to what is already on the wire."""
    connect_timeout_seconds: Annotated[float, Meta(gt=0, le=60)] = 2.0
    """One attempt at one server."""
    reconnect_seconds_min: Annotated[float, Meta(ge=0.01, le=60)] = 0.1
    """First pause after a failed attempt to connect."""
    reconnect_seconds_max: Annotated[float, Meta(ge=0.05, le=300)] = 0.5
    """Pause between attempts, with jitter. Above 1 s the first event after an outage may need more than 2 s."""
    audit_seconds: Annotated[float, Meta(ge=1, le=3600)] = 30.0
    """An idle lane compares itself with the hub this often, so that a hub's loss is seen without traffic."""
