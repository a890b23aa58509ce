"""`entrepot packs`: the installed mapping packs, and for one of them all that somebody must know to connect it."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runtime.mapping import CompiledPack

WIDTH = 30


def arguments(parser: ArgumentParser) -> None:
    """list | show NAME."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("list", help="every installed pack")
    show = actions.add_parser("show", help="messages, events, what to tell the platform, quirks")
    show.add_argument("name", help="a pack")


def run(options: Namespace) -> int:
    """Raises `ConfigError` for a pack that does not exist or cannot be read."""
    from runtime import packs
    from runtime.cli import screen

    if options.action == "list":
        return _list(as_json=options.json)
    pack = packs.load(options.name)
    if options.json:
        screen.show_json(describe(pack))
    else:
        _show(describe(pack))
    return 0


def _list(*, as_json: bool) -> int:
    """Every pack; one that cannot be read is named with the reason and hides no other."""
    from runtime import packs
    from runtime.cli import screen

    found = [_entry(name) for name in packs.names()]
    if as_json:
        screen.show_json(found)
    for one in [] if as_json else found:
        broken = "error" in one
        said = one["error"] if broken else f"{one['title']}: {one['summary']} ({one['messages']} messages)"
        screen.say(f"{one['pack']:<14} {said}", "critical" if broken else "")
    return 1 if any("error" in one for one in found) else 0


def _entry(name: str) -> dict[str, Any]:
    from runtime import packs
    from runtime.errors import ConfigError

    try:
        return {**_summary(packs.load(name)), "pack": name}
    except ConfigError as error:
        return {"pack": name, "error": str(error)}


def _summary(pack: CompiledPack) -> dict[str, Any]:
    manifest = pack.manifest
    return {
        "pack": manifest.pack,
        "title": manifest.title,
        "version": manifest.version,
        "summary": manifest.summary,
        "messages": len(manifest.messages),
    }


def describe(pack: CompiledPack) -> dict[str, Any]:
    """All of it as plain values."""
    import msgspec

    manifest = pack.manifest
    return {
        **_summary(pack),
        "adapter": manifest.platform.adapter,
        "scheme": manifest.platform.scheme,
        "headers": list(pack.headers),
        "type": _listed(manifest.type),
        "key": _listed(manifest.key),
        "tell": manifest.platform.tell,
        "options": {name: msgspec.to_builtins(option) for name, option in manifest.options.items()},
        "messages": [
            {"name": m.name, "events": list(pack.types_of(m)), "ignored": m.ignore, "letter": m.letter, "says": m.says}
            for m in manifest.messages
        ],
        "quirks": manifest.platform.quirks,
        "follow": manifest.platform.follow,
        "source": manifest.platform.source,
        "digest": pack.sha256,
    }


def _listed(given: str | list[str]) -> list[str]:
    return [given] if isinstance(given, str) else given


def _show(found: dict[str, Any]) -> None:
    from runtime.cli import screen

    screen.say(f"{found['title']} ({found['pack']}, version {found['version']}): {found['summary']}")
    signed = found["scheme"] or "none: the platform signs nothing"
    screen.say(f"adapter: {found['adapter']}; signature scheme: {signed}")
    screen.say(f"known twice by: {' and '.join(found['key']) or 'nothing of its own'}")
    if found["headers"]:
        screen.say(f"headers kept with each message: {', '.join(found['headers'])}")
    for heading, lines in (("tell the platform", found["tell"]), ("quirks", found["quirks"])):
        screen.say(f"{heading}:" if lines else "")
        for line in lines:
            screen.say(f"  - {line}")
    if found["follow"]:
        screen.say("its messages are hints; to ask for the rest, in entrepot.toml:")
        for line in found["follow"].strip().splitlines():
            screen.say(f"  {line}")
    if found["options"]:
        screen.say("options:")
        for name, option in found["options"].items():
            default = f" (default {option['default']})" if option["default"] else " (required)" * option["required"]
            screen.say(f"  {name:<16} {option['says']}{default}")
    screen.say("messages:")
    for message in found["messages"]:
        becomes = ", ".join(message["events"])
        if not becomes:
            becomes = f"ignored: {message['ignored']}" if message["ignored"] else f"a letter: {message['letter']}"
        screen.say(f"  {message['name']:<{WIDTH}} {becomes}")
