"""What a central team decides about its hub: machines, ports, environments, limits. Pure; every limit has its default here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from runtime.errors import ConfigError

MEBIBYTE = 1024 * 1024
GIBIBYTE = 1024 * MEBIBYTE
Name = Annotated[str, Meta(pattern="^[a-z0-9-]{1,40}$")]
Host = Annotated[str, Meta(pattern=r"^[A-Za-z0-9.:-]{1,253}$")]
Port = Annotated[int, Meta(ge=1, le=65535)]
_DISTINCT_PORTS = ("port", "cluster_port", "websocket_port", "monitor_port")


class Node(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[nodes]]`: one machine."""

    name: Name
    host: Host
    """The name, or address, that regions and the other machines use; it stands in the certificate."""
    listen: Host = "0.0.0.0"
    """Address to listen on."""
    port: Port = 4222
    """For regions."""
    websocket_port: Port = 443
    """For regions whose firewall allows nothing else (`wss://`)."""
    cluster_port: Port = 6222
    """Between the machines."""
    monitor_port: Port = 8222
    """On 127.0.0.1 only."""
    zone: str = ""
    """What fails together with it: a rack, a power supply, a site. Default: the machine itself."""
    directory: str = "/etc/nats"
    """Where this machine's files will lie."""
    store: str = "/var/lib/nats"
    """Where its streams and account claims are kept."""


class HubPlan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole hub."""

    name: Name
    nodes: Annotated[list[Node], Meta(min_length=1, max_length=9)]
    environments: Annotated[list[Literal["test", "prod"]], Meta(min_length=1, max_length=2)] = field(
        default_factory=lambda: ["prod", "test"]
    )
    """One account each: subjects, streams and keys of one never meet those of another."""
    release_keys: dict[Literal["test", "prod"], list[str]] = {}
    """Of headquarters, per environment: regions learn them with their token. Ed25519, base64."""
    payload_bytes_max: Annotated[int, Meta(ge=MEBIBYTE, le=64 * MEBIBYTE)] = 8 * MEBIBYTE
    """Largest message."""
    connections_max: Annotated[int, Meta(ge=10, le=100_000)] = 2_000
    """Per machine, and per account in all."""
    memory_bytes_max: Annotated[int, Meta(ge=16 * MEBIBYTE)] = 256 * MEBIBYTE
    """Of streams in memory, per machine."""
    file_bytes_max: Annotated[int, Meta(ge=64 * MEBIBYTE)] = 100 * GIBIBYTE
    """Of streams on disk, per machine."""

    def check(self) -> None:
        """Raises `ConfigError` for what each value alone cannot show."""
        for problem in self._problems():
            raise ConfigError(problem, hint="correct it in the plan of the hub")

    @property
    def replicas(self) -> int:
        """Copies of each stream: an odd number, at most three."""
        return 3 if len(self.nodes) >= 3 else 1

    @property
    def servers(self) -> list[str]:
        """What stands in `[hub] servers`."""
        return [f"tls://{_shown(node.host)}:{node.port}" for node in self.nodes]

    @property
    def websockets(self) -> list[str]:
        """What stands there where only port 443 is open."""
        return [f"wss://{_shown(node.host)}:{node.websocket_port}" for node in self.nodes]

    def _problems(self) -> Iterator[str]:
        if len(self.nodes) == 2:
            yield "two nodes cannot outvote each other: one of them away stops both; take one or three"
        for key in ("name", "zone"):
            named = [getattr(node, key) or node.name for node in self.nodes]
            twice = sorted({name for name in named if named.count(name) > 1})
            if twice:
                yield f"two nodes have the {key} {twice[0]!r}" + (
                    "" if key == "name" else ": copies would fail together"
                )
        if len(set(self.environments)) < len(self.environments):
            yield "an environment is named twice"
        for node in self.nodes:
            if len({getattr(node, key) for key in _DISTINCT_PORTS}) < len(_DISTINCT_PORTS):
                yield f"node {node.name} uses a port twice"


def configuration(plan: HubPlan, node: Node) -> str:
    """nats.conf of one machine."""
    q, at = json.dumps, node.directory.rstrip("/")
    pair = f"cert_file: {q(f'{at}/cert.pem')}, key_file: {q(f'{at}/key.pem')}"
    routes = [q(f"tls://{_shown(other.host)}:{other.cluster_port}") for other in plan.nodes if other is not node]
    return f"""# Machine {node.name} of hub {plan.name}. Written by `entrepot topology hub-config`; change the plan, not this file.
server_name: {q(node.name)}
server_tags: [{q(f"zone:{node.zone or node.name}")}]
listen: {q(f"{_shown(node.listen)}:{node.port}")}
http: "127.0.0.1:{node.monitor_port}"

max_connections: {plan.connections_max}
max_payload: {plan.payload_bytes_max}
max_control_line: 32768   # a login with its exact subjects is longer than the usual 4 KiB
ping_interval: "20s"
ping_max: 2
write_deadline: "10s"
lame_duck_duration: "30s"

tls {{ {pair}, min_version: "1.2", timeout: 5 }}

websocket {{
  listen: {q(f"{_shown(node.listen)}:{node.websocket_port}")}
  tls {{ {pair}, min_version: "1.2" }}
  handshake_timeout: "5s"
  compression: false
}}
{_cluster(plan, node, pair, routes)}
jetstream {{
  store_dir: {q(f"{node.store.rstrip('/')}/streams")}
  max_memory_store: {plan.memory_bytes_max}
  max_file_store: {plan.file_bytes_max}
  sync_interval: always     # acknowledged means on the disk of a majority, not in their memory
  unique_tag: "zone:"       # no two copies of a stream where they would fail together
}}

include "accounts.conf"
"""


def accounts(node: Node, *, operator: str, system_account: str, claims: dict[str, str]) -> str:
    """accounts.conf of one machine: who vouches for whom. `claims`: public account key → JWT; nothing in it is secret."""
    preload = "\n".join(f"  {key}: {token}" for key, token in claims.items())
    return f"""# Written by `entrepot topology hub-config`. Claims that were pushed later are in the folder below, and win.
operator: {operator}
system_account: {system_account}
resolver {{
  type: full
  dir: {json.dumps(f"{node.store.rstrip('/')}/accounts")}
  allow_delete: false
  interval: "1m"
  timeout: "2s"
  limit: 100
}}
resolver_preload {{
{preload}
}}
"""


def _cluster(plan: HubPlan, node: Node, pair: str, routes: list[str]) -> str:
    if not routes:
        return ""
    authority = json.dumps(f"{node.directory.rstrip('/')}/ca.pem")
    return f"""
cluster {{
  name: {json.dumps(plan.name)}
  listen: {json.dumps(f"{_shown(node.listen)}:{node.cluster_port}")}
  routes: [{", ".join(routes)}]
  tls {{ {pair}, ca_file: {authority}, verify: true, min_version: "1.2", timeout: 5 }}
}}
"""


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
