"""`python -m tests.fuzz [--inputs N] [--seed N] [--only NAME]`: spoilt inputs for verifier, mappings and gateway; counts and findings.

Exit code 1 when something was found, or fewer inputs were tried than asked for.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from secrets import randbelow
from tempfile import TemporaryDirectory

from tests.fuzz import gateway, mappings, verifier
from tests.fuzz.campaign import Result, Told

INPUTS = 1_000_000
SHARES = {"verifier": 0.40, "mappings": 0.45, "gateway": 0.15}
"""A request over a socket costs a hundred times a look at a signature."""
FINDINGS_FILE = Path("build/fuzz.txt")
LINE_START = "\r\x1b[K" if sys.stdout.isatty() else ""
NEXT = "\n"


def say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=INPUTS, help=f"of all campaigns together ({INPUTS:,})")
    parser.add_argument("--seed", type=int, default=None, help="another one each time, unless it is named")
    parser.add_argument("--only", choices=SHARES, help="one campaign, with all inputs")
    options = parser.parse_args()
    seed = randbelow(2**31) if options.seed is None else options.seed
    wanted = {options.only: options.inputs} if options.only else _shared(options.inputs)
    say(f"seed {seed}; {sum(wanted.values()):,} inputs: {', '.join(f'{n} {c:,}' for n, c in wanted.items())}\n")
    results = [_campaign(name, seed, inputs) for name, inputs in wanted.items()]
    return _conclude(results, sum(wanted.values()))


def _shared(inputs: int) -> dict[str, int]:
    shares = {name: round(inputs * share) for name, share in SHARES.items()}
    return shares | {"mappings": shares["mappings"] + inputs - sum(shares.values())}


def _campaign(name: str, seed: int, inputs: int) -> Result:
    begun = time.monotonic()
    told = _teller(name, inputs, begun)
    with TemporaryDirectory(prefix="entrepot-fuzz-") as folder:
        campaigns: dict[str, Callable[[], Result]] = {
            "verifier": lambda: verifier.run(seed, inputs, told),
            "mappings": lambda: mappings.run(seed, inputs, told),
            "gateway": lambda: gateway.run(seed, inputs, told, Path(folder)),
        }
        result = campaigns[name]()
    say(f"{LINE_START}{result.said}; {time.monotonic() - begun:.0f} s\n")
    return result


def _teller(name: str, inputs: int, begun: float) -> Told:
    """One line that is written over on a terminal, and one line for each tenth elsewhere."""
    live, tenth = sys.stdout.isatty(), max(1, inputs // 10)

    def tell(tried: int) -> None:
        if live or tried % tenth < 1_000:
            rate = tried / max(time.monotonic() - begun, 1e-9)
            say(f"{LINE_START if live else ''}{name}: {tried:,} of {inputs:,} ({rate:,.0f}/s){'' if live else NEXT}")

    return tell


def _conclude(results: list[Result], wanted: int) -> int:
    tried, findings = sum(r.inputs for r in results), [text for r in results for text in r.findings]
    say(f"{tried:,} inputs tried, {len(findings)} findings\n")
    if findings:
        FINDINGS_FILE.parent.mkdir(exist_ok=True)
        FINDINGS_FILE.write_text("\n\n".join(findings), "utf-8", "backslashreplace")
        say(f"{findings[0][:2_000]}\n… all in {FINDINGS_FILE}\n")
    return int(bool(findings) or tried < wanted)


if __name__ == "__main__":
    raise SystemExit(main())
