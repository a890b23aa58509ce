"""Gathers the parts of a support bundle, each redacted where it is gathered and each within a time limit."""

from __future__ import annotations

import json
import platform
import subprocess
import tomllib
import urllib.request
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from runtime.cli import places
from runtime.cli.ask import asking
from runtime.config.load import read_toml
from runtime.doctor import concealment
from runtime.errors import EntrepotError
from runtime.gateway.settings import parse_listen
from runtime.ports import Finding
from runtime.setup.place import service_of

LOG_LINES_MAX = 1_000
COMMAND_SECONDS_MAX = 10.0
METRICS_BYTES_MAX = 4_000_000
UNIT_PROPERTIES = """
    Id LoadState ActiveState SubState Result UnitFileState NRestarts ExecMainStartTimestamp ExecMainExitTimestamp
    ExecMainCode ExecMainStatus MemoryCurrent MemoryPeak TasksCurrent LimitNOFILE WatchdogTimestamp NAccepted NConnections
""".split()
"""Never Environment: somebody may have put a secret there."""

Part = Callable[[], bytes]


class Left(Exception):
    """A part cannot be had; the sentence goes into the manifest."""


def parts(options: Namespace, findings: Iterable[Finding]) -> Iterator[tuple[str, Part]]:
    """Names and how to gather each, in the order of the bundle."""
    rows = [{"subject": f.subject, "level": f.level, "found": f.found, "next": f.next_step} for f in findings]
    yield "findings.json", lambda: document(rows)
    yield "status.json", lambda: document(concealment.status(_asked(options, "status")))
    yield "journal.json", lambda: document(concealment.journal_stats(_asked(options, "journal.stats")))
    yield "configuration.json", lambda: document(concealment.settings(read_toml(_config(options))))
    yield "policy.json", lambda: document(concealment.settings(read_toml(_policy(options))))
    yield "files.json", lambda: document(_files(options))
    yield "versions.json", lambda: document(versions())
    yield "metrics.txt", lambda: _metrics(options)
    yield "units.json", lambda: document(_units(_service(options)))
    yield "log.jsonl", lambda: _log(_service(options))


def document(value: Any) -> bytes:
    """JSON that reads well and is the same for the same value."""
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=True).encode() + b"\n"


def _config(options: Namespace) -> Path:
    return places.config_file(options.config)


def _asked(options: Namespace, verb: str) -> dict[str, Any]:
    with asking(options) as ask:
        answer: dict[str, Any] = ask(verb)
        return answer


def _policy(options: Namespace) -> Path:
    config = _config(options)
    named = read_toml(config).get("residency", {}).get("policy")
    if not isinstance(named, str):
        raise Left("the configuration names no policy")
    return config.absolute().parent / named


def _files(options: Namespace) -> list[dict[str, Any]]:
    """Name, size and digest of every file that the configuration names; never what a mapping says."""
    config = _config(options)
    raw = read_toml(config)
    named = [config.name, raw.get("residency", {}).get("policy")]
    sources = [source for source in raw.get("sources", {}).values() if isinstance(source, dict)]
    named += [source.get(key) for source in sources for key in ("mapping", "schema")]
    found = []
    for name in sorted({name for name in named if isinstance(name, str)}):
        path = config.absolute().parent / name
        if not path.is_file():
            found.append({"name": name, "found": False})
            continue
        content = path.read_bytes()
        row: dict[str, Any] = {"name": name, "bytes": len(content), "sha256": sha256(content).hexdigest()}
        found.append(row | _mapping(content))
    return found


def _mapping(content: bytes) -> dict[str, Any]:
    try:
        raw = tomllib.loads(content.decode())
    except ValueError:
        return {"readable": False}
    return {key: raw[key] for key in ("mapping", "version") if isinstance(raw.get(key), str | int)}


def versions() -> dict[str, Any]:
    """Of everything that the agent consists of."""
    import pyexpat
    import ssl

    from runtime.journal.store import SQLITE_VERSION

    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "kernel": platform.release(),
        "system": _system(),
        "libraries": {"sqlite": SQLITE_VERSION, "openssl": ssl.OPENSSL_VERSION, "expat": pyexpat.EXPAT_VERSION},
        "packages": {d.metadata["Name"].lower(): d.version for d in distributions()},
    }


def _system() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        return ""


def _metrics(options: Namespace) -> bytes:
    gateway = read_toml(_config(options)).get("gateway", {})
    host, port = parse_listen(str(gateway.get("listen", "127.0.0.1:8080")))
    local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    url = f"http{'s' if 'tls' in gateway else ''}://{f'[{local}]' if ':' in local else local}:{port}/metrics"
    import ssl

    ours_alone = ssl.create_default_context()
    ours_alone.check_hostname, ours_alone.verify_mode = (
        False,
        ssl.CERT_NONE,
    )  # nobody else listens there, nothing is sent
    direct = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=ours_alone)
    )
    try:
        with direct.open(url, timeout=COMMAND_SECONDS_MAX) as answer:
            text = answer.read(METRICS_BYTES_MAX).decode("utf-8", "replace")
    except OSError as error:
        raise Left(f"no metrics: nothing answers on port {port} ({type(error).__name__})") from None
    ours = [
        line
        for line in text.splitlines()
        if line.removeprefix("# HELP ").removeprefix("# TYPE ").startswith("entrepot_")
    ]
    return "\n".join([*ours, ""]).encode()


def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, timeout=COMMAND_SECONDS_MAX, check=False)
    except FileNotFoundError:
        raise Left(f"{command[0]} is not here") from None
    except subprocess.TimeoutExpired:
        raise Left(f"{command[0]} gave no answer within {COMMAND_SECONDS_MAX:g} s") from None
    if done.returncode != 0:
        raise Left(f"{command[0]} ended with code {done.returncode}")
    return done.stdout.decode("utf-8", "replace")


def _service(options: Namespace) -> str:
    """Its name without `.service`."""
    try:
        found = service_of(_config(options))
    except EntrepotError:
        found = None
    return "entrepot" if found is None else found.name


def _units(service: str) -> list[dict[str, str]]:
    asked = ",".join(UNIT_PROPERTIES)
    text = _output("systemctl", "show", "--no-pager", f"--property={asked}", f"{service}.service", f"{service}.socket")
    known = frozenset(UNIT_PROPERTIES)
    rows = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in text.split("\n\n")]
    return [{name: value for name, value in row.items() if name in known} for row in rows if row]


def _log(service: str) -> bytes:
    """The last lines of the agent's log; what cannot be judged is counted only."""
    text = _output(
        "journalctl", f"--unit={service}.service", f"--lines={LOG_LINES_MAX}", "--output=json", "--no-pager", "--quiet"
    )
    if not text.strip():
        raise Left("the system's journal has no line of this service that this user may read")
    shown, hidden = [], 0
    for line in text.splitlines():
        entry = _entry(line)
        if entry is None:
            hidden += 1
        else:
            shown.append(json.dumps(entry, sort_keys=True))
    if hidden:
        shown.append(json.dumps({"event": "lines left out that are not the agent's own", "count": hidden}))
    return "\n".join([*shown, ""]).encode()


def _entry(line: str) -> dict[str, Any] | None:
    try:
        raw = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return concealment.journal_entry(raw) if isinstance(raw, dict) else None
