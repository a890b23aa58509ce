"""Everything that touches the centre. In reading order: reconcile (the table) and window (what is on the wire)
decide; look, shipment and uplink do it for one lane; continuation and downlink are the way back; link joins them with
checkpoints and connection; wire, stream, topology and connection speak NATS. fleet is the agent's post, desk and
observatory are headquarters'; trust lets regions in; verify reads a hub's streams alone; loopback is a hub in memory.
"""

from __future__ import annotations

from sync.hub import NatsHub

HUB = NatsHub()
"""The entry point `entrepot.hub` → `nats`."""
