"""``dragoman serve``: the proxy itself."""

from pathlib import Path

import click

from proxy.app import build_app, build_services, curl_examples
from proxy.registry import UnknownDialectError, all_dialects
from proxy.server import ListenError, is_loopback, listen, run
from proxy.settings import DEMO_PROVIDER, Settings, SettingsError, load_settings
from proxy.telemetry import set_up_logging


@click.command()
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    help="YAML file; without it, the demo and the providers whose key is in the environment.",
)
@click.option("--host", help="Address to listen on; overrides the file.")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port to listen on, 0 for any free one; overrides the file."
)
def serve(config_path: Path | None, host: str | None, port: int | None) -> None:
    """Serve every registered dialect."""
    try:
        settings = load_settings(config_path) if config_path is not None else Settings()
        services = build_services(settings)
        host = host or settings.server.host
        if not is_loopback(host):
            raise click.ClickException(f"refusing to listen on {host}: without client keys only loopback is allowed")
        listener = listen(host, settings.server.port if port is None else port)
    except (SettingsError, UnknownDialectError, ListenError) as error:
        raise click.ClickException(str(error)) from None
    for name, reason in services.disabled.items():
        click.echo(f"provider {name} is disabled: {reason}", err=True)
    set_up_logging()
    base = f"http://{host}:{listener.getsockname()[1]}"
    dialects = list(all_dialects(settings.profiles).values())

    def announce() -> None:
        click.echo(f"Dragoman listens on {base}. Paste any of these:")
        for command in curl_examples(dialects, base, f"{DEMO_PROVIDER}/echo").values():
            click.echo(command)

    run(build_app(services, dialects), listener, announce)
