"""`entrepot map render`: what a rendering makes of events, before a target sends it to anybody."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.errors import ConfigError, Permanent

if TYPE_CHECKING:
    from runtime.rendering import Rendering

EVENT_BYTES_MAX = 16 * 1024 * 1024


def arguments(parser: ArgumentParser) -> None:
    """RENDERING EVENT…."""
    parser.add_argument("file", metavar="RENDERING", help="the rendering (TOML); its tables lie beside it")
    parser.add_argument(
        "events", nargs="+", metavar="EVENT", help="an event as CloudEvents JSON: type, subject, data …"
    )
    parser.epilog = "Exit code 2: at least one event would become a letter."


def show(options: Namespace) -> int:
    """Raises `ConfigError` for a rendering or an event that cannot be read."""
    from runtime.cli import screen

    rendering = _load(Path(options.file))
    found = [_rendered(rendering, Path(name)) for name in options.events]
    if options.json:
        screen.show_json(found)
    else:
        for one in found:
            _show(one)
    return 2 if any("rejected" in one for one in found) else 0


def _show(one: dict[str, str]) -> None:
    from runtime.cli import screen

    screen.say(f"{one['event']}: {one['rendering']}, {one['content_type']}")
    if "rejected" in one:
        screen.say(f"  rejected: {one['rejected']}", "critical")
        if one["hint"]:
            screen.say(f"    next: {one['hint']}")
    else:
        print(one["body"], end="" if one["body"].endswith("\n") else "\n")


def _rendered(rendering: Rendering, path: Path) -> dict[str, str]:
    from runtime.rendering import event_tree

    said = {"event": str(path), "rendering": rendering.version, "content_type": rendering.content_type}
    charset = rendering.content_type.partition("charset=")[2] or "utf-8"
    delivery = _delivery(path)
    try:
        body = rendering.render(event_tree(delivery, "region"))
    except Permanent as error:
        return {**said, "rejected": str(error), "hint": error.hint}
    return {**said, "body": body.decode(charset, "replace").replace("\r\n", "\n")}


def _delivery(path: Path) -> Any:
    """A delivery of the event in a file. Raises `ConfigError`."""
    import msgspec

    from runtime import clock
    from runtime.ports import Delivery

    event = _event(path)
    attributes = {name: msgspec.json.decode(raw) for name, raw in event.items() if bytes(raw).startswith(b'"')}
    attributes.pop("data", None)
    return Delivery(
        id=f"region.lane.1.{attributes.get('sequence', '1')}",
        type=attributes.get("type", ""),
        key=attributes.get("partitionkey", attributes.get("subject")),
        attributes=attributes,
        data=bytes(event["data"]),
        attempt=1,
        first_us=clock.now_us(),
    )


def _event(path: Path) -> dict[str, Any]:
    """Member → JSON as it is written."""
    import msgspec

    try:
        with path.open("rb") as file:
            event = msgspec.json.decode(file.read(EVENT_BYTES_MAX + 1), type=dict[str, msgspec.Raw])
    except OSError as error:
        raise ConfigError(f"the event {path} cannot be read ({error.strerror})") from None
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ConfigError(f"{path} is no JSON object: {error}") from None
    if "data" not in event:
        raise ConfigError(
            f"{path} has no data",
            hint='an event is written as CloudEvents JSON: { "type": "io.entrepot.…", "data": { … } }',
        )
    return event


def _load(path: Path) -> Rendering:
    from runtime.rendering import load

    def read(file: Path) -> str:
        try:
            return file.read_text("utf-8")
        except (OSError, UnicodeError) as error:
            raise ConfigError(
                f"{file} cannot be read ({getattr(error, 'strerror', None) or 'it is no text'})"
            ) from None

    return load(read(path), str(path), lambda name: read(path.parent / name.removeprefix("region:")))
