"""`entrepot doctor`: everything the agent stands on, one row each, with the next step where one is needed."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace


def arguments(parser: ArgumentParser) -> None:
    """Nothing of its own."""
    parser.epilog = "Writes one small file into the data folder, to measure how long a flush takes, and removes it."


def run(options: Namespace) -> int:
    """The exit code is that of the worst row."""
    from runtime.cli import screen
    from runtime.cli.places import config_file
    from runtime.doctor.examine import CODES, examine, worst

    findings = list(examine(lambda: config_file(options.config)))
    level = worst(findings)
    if options.json:
        rows = [{"subject": f.subject, "level": f.level, "found": f.found, "next": f.next_step} for f in findings]
        screen.show_json({"level": level, "findings": rows})
    else:
        screen.table(("", "what", "found"), [(f.level, f.subject, f.found) for f in findings])
        steps = [f for f in findings if f.next_step]
        if steps:
            print()
        for finding in steps:
            screen.say(f"{finding.subject}: {finding.next_step}", finding.level)
    return CODES[level]
