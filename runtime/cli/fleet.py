"""`entrepot fleet`: the central team's desk. Files in git and the hub's streams are all that it needs."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from importlib import import_module

ACTIONS = {
    "ls": ("look", "every region: where it stands, drift, lag, buffer, alerts, silent since"),
    "show": ("look", "one region in full, with the layer that said each key"),
    "drift": ("look", "regions in which something else is in force than was offered"),
    "history": ("look", "who changed what: the audit, its chain proved"),
    "plan": ("change", "what the files would change, tried before anything is sent"),
    "apply": ("change", "send it to the named regions at once, without waves"),
    "refresh": ("change", "say again what is newest, before regions stop believing it; for a timer"),
    "topology": ("change", "show or make the fleet's streams at the hub"),
    "keygen": ("change", "make this machine's release key"),
    "rollout": ("rollout", "send it in waves, stop at the first that breaks; or go on with one"),
    "pause": ("rollout", "offer nothing more until `rollout --continue`"),
    "abort": ("rollout", "stop, and bring the old content back to everybody who was offered the change"),
    "rollback": ("rollout", "bring old content back: of the last rollout, or of the named regions"),
    "enrol": ("enrol", "let regions in: tokens, logins, revocation"),
    "diagnose": ("ask", "ask an agent a read-only question"),
    "action": ("ask", "have an agent do something once: pause, resume, replay, drain, rotate"),
}
"""Word → the file that does it, and what it is for."""


def arguments(parser: ArgumentParser) -> None:
    """One word each; see `ACTIONS`."""
    words = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for word, (file, sentence) in ACTIONS.items():
        own = words.add_parser(word, help=sentence, description=f"{sentence[0].upper()}{sentence[1:]}.")
        import_module(f"runtime.cli.fleet_{file}").ARGUMENTS[word](own)


def run(options: Namespace) -> int:
    """Exit code 1: somebody should look. 2: something is refused, broken, or not to be believed."""
    file, _ = ACTIONS[options.action]
    return int(import_module(f"runtime.cli.fleet_{file}").RUNS[options.action](options))
