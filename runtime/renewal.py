"""Watches the listener's certificate on disk: a renewed one is used at once, one that ends soon raises an alert."""

from __future__ import annotations

from collections.abc import Callable

import anyio
from anyio.to_thread import run_sync

from runtime import clock
from runtime.config.assemble import Configuration
from runtime.errors import ConfigError
from runtime.gateway import tls
from runtime.gateway.server import Gateway
from runtime.observe.log import Log
from runtime.watchpost import Watchpost

LOOK_SECONDS = 10.0
EXPIRING_DAYS = 14
"""Certificates of 90 days are renewed 30 days before their end: who has 14 left has missed it twice."""
DAY_US = 86_400 * 1_000_000


class Renewal:
    """One agent's."""

    def __init__(
        self, gateway: Gateway, configuration: Callable[[], Configuration], watchpost: Watchpost, log: Log
    ) -> None:
        self._gateway = gateway
        self._configuration = configuration
        self._alerts = watchpost.alerts
        self._log = log

    async def run(self) -> None:
        """Look every few seconds."""
        while True:
            await self.look()
            await anyio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Use what has been renewed. What cannot be used is told, and the one before goes on."""
        configuration = self._configuration()
        settings, serving = configuration.model.gateway.tls, self._gateway.tls
        if settings is None or serving is None:
            self._alerts.clear_alert("certificate_unusable")
            self._alerts.clear_alert("certificate_expiring")
            return
        try:
            if await run_sync(tls.digest, settings, configuration.directory) != serving.loaded.digest:
                loaded = await run_sync(tls.load, settings, configuration.directory)
                if self._configuration() is configuration:  # else a reload has done more
                    serving.use(loaded)
                    self._log.info("the certificate was renewed", until=clock.rfc3339(loaded.expires_us))
            self._alerts.clear_alert("certificate_unusable")
        except ConfigError as error:
            self._alerts.raise_alert("certificate_unusable", "", str(error), error.hint)
        self._look_at_end(serving.loaded.expires_us)

    def _look_at_end(self, expires_us: int) -> None:
        left_us = expires_us - clock.now_us()
        if left_us < EXPIRING_DAYS * DAY_US:
            when = clock.rfc3339(expires_us)[:16]
            tense = f"ends on {when} UTC" if left_us > 0 else f"ended on {when} UTC: senders turn away"
            self._alerts.raise_alert("certificate_expiring", "", f"The certificate of the listener {tense}.")
        else:
            self._alerts.clear_alert("certificate_expiring")
