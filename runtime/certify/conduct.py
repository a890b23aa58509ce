"""The trials in their order, in a scratch folder that is removed whatever happens, and the signed certificate at the end."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Sequence
from secrets import randbits, token_hex

from runtime import clock
from runtime.certify import clocks, flush, full, host, kill, partition, power
from runtime.certify.certificate import FORMAT, Certificate, verdict
from runtime.certify.ground import Finding, Ground, not_tried
from runtime.config.assemble import Configuration
from runtime.errors import EntrepotError, Refused

FREE_BYTES_MIN = 256 * 1024 * 1024
SHARE_OF_KILLS = 0.4
SHARE_OF_POWER_CUTS = 0.4


def certify(
    configuration: Configuration, *, seconds: float, say: Callable[[str], None], command: Sequence[str] | None = None
) -> Certificate:
    """`command` starts the process that is tried. Raises `Refused` without a data folder or without room."""
    data_dir = configuration.data_dir
    free = shutil.disk_usage(data_dir).free
    if free < FREE_BYTES_MIN:
        raise Refused(
            f"trials need {FREE_BYTES_MIN:,} bytes in {data_dir} and {free:,} are free", hint="make room first"
        )
    folder = data_dir / f".certify-{token_hex(4)}"
    folder.mkdir(mode=0o700)
    started = clock.monotonic()
    try:
        ground = Ground(folder, random.Random(randbits(64)), say)  # noqa: S311 - moments of kills, no secret
        if command is not None:
            ground = ground._replace(command=command)
        trials = [_fairly(name, trial) for name, trial in _trials(ground, configuration, seconds)]
    finally:
        shutil.rmtree(folder)
    return Certificate(
        format=FORMAT,
        region=configuration.model.region,
        environment=configuration.model.environment,
        made_at=clock.rfc3339(clock.now_us()),
        seconds=round(clock.monotonic() - started),
        host=host.describe(data_dir),
        verdict=verdict(trials),
        trials=trials,
    )


def _trials(ground: Ground, configuration: Configuration, seconds: float) -> list[tuple[str, Callable[[], Finding]]]:
    return [
        ("flush", lambda: flush.run(ground)),
        ("clock", lambda: clocks.run(ground)),
        ("disk_full", lambda: full.run(ground)),
        ("partition", lambda: partition.run(ground, configuration)),
        ("kill", lambda: kill.run(ground, seconds * SHARE_OF_KILLS)),
        ("power", lambda: power.run(ground, seconds * SHARE_OF_POWER_CUTS)),
    ]


def _fairly(name: str, trial: Callable[[], Finding]) -> Finding:
    """A trial that could not be made is not one that was passed."""
    try:
        return trial()
    except EntrepotError as error:
        return not_tried(name, str(error))
    except OSError as error:
        return not_tried(name, f"this host did not let it: {error.strerror}")
