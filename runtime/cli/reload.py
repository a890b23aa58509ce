"""`entrepot reload`: the running agent reads its configuration again and says what has changed, or why nothing has."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace


def arguments(parser: ArgumentParser) -> None:
    """Nothing of its own."""
    parser.epilog = "Exit code 0: in force. 2: refused with the reason, and the old configuration goes on."


def run(options: Namespace) -> int:
    """Raises `Refused` when no agent runs, and what the agent says against the new configuration."""
    from runtime.admin import client
    from runtime.cli import places, screen
    from runtime.errors import Refused

    data_dir = places.data_dir(places.config_file(options.config))
    if not client.is_running(data_dir):
        raise Refused(
            f"no agent is running on {data_dir}",
            hint="its next start reads the configuration; after a change of data_dir only a restart helps",
        )
    answer = client.call(data_dir, "reload", {})
    if options.json:
        screen.show_json(answer)
        return 0
    if not answer["changes"]:
        screen.say("nothing has changed: this configuration is in force already", "ok")
        return 0
    rows = [(change["part"], change["change"], change["detail"]) for change in answer["changes"]]
    screen.table(("part", "change", "what"), rows)
    for leaf in answer["loosened"]:
        screen.say(f"the residency policy releases more than before: {leaf}", "warning")
    screen.say(f"in force: configuration {answer['config'][:12]}", "ok")
    return 0
