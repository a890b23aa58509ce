"""Everything that touches the centre. In reading order: reconcile (the table) and window (what is on the wire)
decide; look, shipment and uplink do it for one lane; link joins lanes, checkpoints and connection; wire, stream,
topology and connection speak NATS; verify reads a hub's streams alone; loopback is a hub in memory.
"""

from __future__ import annotations

from sync.hub import NatsHub

HUB = NatsHub()
"""The entry point `entrepot.hub` → `nats`."""
