"""`entrepot onboard SOURCE`: one page for the partner behind a source; it holds no secret."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from runtime.errors import ConfigError


def arguments(parser: ArgumentParser) -> None:
    """SOURCE, --url."""
    parser.add_argument("source", help="the name behind [sources.…]")
    parser.add_argument(
        "--url", help="what partners reach the gateway by (default: gateway.public_url, else gateway.listen)"
    )


def run(options: Namespace) -> int:
    """Raises `ConfigError` for a source that does not exist or takes no HTTP."""
    import msgspec

    from runtime.cli import places, screen
    from runtime.fleet.force import load_in_force
    from runtime.nearest import nearest
    from runtime.onboarding import markdown, page

    configuration = load_in_force(places.config_file(options.config))
    source = configuration.sources.get(options.source)
    if source is None:
        raise ConfigError(
            f"there is no source {options.source!r}{nearest(options.source, configuration.sources)}",
            hint="`entrepot check --json` names them",
        )
    if not source.adapter.accepts_http:
        raise ConfigError(
            f"source {source.name} takes no HTTP requests: its adapter is {source.shared.adapter}",
            hint="docs/settings.md says what that adapter fetches, and from where",
        )
    make = getattr(source.adapter, "guide", None)
    guide = None if make is None else make(source.settings)
    said = page(configuration, source, (options.url or configuration.model.gateway.address).rstrip("/"), guide)
    if options.json:
        screen.show_json(msgspec.to_builtins(said))
    else:
        print(markdown(said), end="")
    return 0
