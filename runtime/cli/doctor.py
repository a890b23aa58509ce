"""`entrepot doctor`: everything the agent stands on, one row each, with the next step where one is needed."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

CODES = {"ok": 0, "warning": 1, "critical": 2}


def arguments(parser: ArgumentParser) -> None:
    """Nothing of its own."""
    parser.epilog = "Writes one small file into the data folder, to measure how long a flush takes, and removes it."


def run(options: Namespace) -> int:
    """The exit code is that of the worst row."""
    from runtime.cli import screen
    from runtime.cli.examination import examine

    findings = list(examine(options))
    worst = max((finding.level for finding in findings), key=lambda level: CODES[level])
    if options.json:
        rows = [{"subject": f.subject, "level": f.level, "found": f.found, "next": f.next_step} for f in findings]
        screen.show_json({"level": worst, "findings": rows})
    else:
        screen.table(("", "what", "found"), [(f.level, f.subject, f.found) for f in findings])
        steps = [f for f in findings if f.next_step]
        if steps:
            print()
        for finding in steps:
            screen.say(f"{finding.subject}: {finding.next_step}", finding.level)
    return CODES[worst]
