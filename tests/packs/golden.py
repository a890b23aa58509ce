"""The golden files: a message as the platform sends it, and beside it what it becomes.

`PACK/NAME.json|csv|xml` holds the bytes; `PACK/NAME.expected.json` the headers, the options, the message and its outputs.
After a change that is meant: `python -m tests.packs.golden` writes the outputs anew; read the difference before it is kept.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from runtime import packs
from runtime.mapping import CompiledPack, Trial, try_pack
from runtime.mapping.trial import split_sample
from tests.support.mappings import ACCEPTED_US

HERE = Path(__file__).parent
KINDS = {".json": "application/json", ".csv": "text/csv", ".xml": "application/xml"}


def samples() -> list[Path]:
    return sorted(f for f in HERE.glob("*/*") if f.suffix in KINDS and not f.name.endswith(".expected.json"))


def expected_file(sample: Path) -> Path:
    return sample.with_name(sample.stem + ".expected.json")


def expected(sample: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(expected_file(sample).read_text("utf-8"))
    return found


@cache
def pack(name: str, options: tuple[tuple[str, str], ...] = ()) -> CompiledPack:
    return packs.load(name, dict(options))


def trials(sample: Path, given: dict[str, Any]) -> list[Trial]:
    """What the pack makes of it. A line of a CSV file is a message of its own."""
    chosen = pack(sample.parent.name, tuple(sorted(given.get("options", {}).items())))
    kind = KINDS[sample.suffix]
    one_each = "application/json" if kind == "text/csv" else kind
    headers = {name.lower(): value for name, value in given.get("headers", {}).items()}
    return [
        trial
        for body in split_sample(sample.read_bytes(), kind)
        for trial in try_pack(chosen, body, one_each, headers, received_us=ACCEPTED_US)
    ]


def told(found: list[Trial]) -> list[dict[str, Any]]:
    """What is compared: without versions, which change with every word of a pack."""
    kept = ("message", "known_by", "key", "outputs", "errors", "warnings")
    plain: list[dict[str, Any]] = json.loads(msgspec.json.encode(found))
    return [{name: trial[name] for name in kept if trial.get(name) or name == "outputs"} for trial in plain]


def main() -> None:
    for sample in samples():
        file = expected_file(sample)
        given = json.loads(file.read_text("utf-8")) if file.exists() else {}
        inputs = {name: given[name] for name in ("says", "headers", "options") if name in given}
        answer = {**inputs, "becomes": told(trials(sample, inputs))}
        file.write_text(json.dumps(answer, indent=2, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
