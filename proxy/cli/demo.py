"""``dragoman demo``: the demo models behind any dialect, to test against without the internet."""

import click

from adapters.model.error import Fault
from proxy.app import build_app, build_services
from proxy.demo import MODELS
from proxy.registry import UnknownDialectError, load_dialect
from proxy.server import ListenError, listen, run
from proxy.settings import DEMO_PROVIDER, Settings
from proxy.telemetry import set_up_logging

_HOST = "127.0.0.1"


@click.command()
@click.option("--dialect", "dialect_name", required=True, help="One of the registered dialects.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Port on 127.0.0.1; 0, the default: any free one."
)
def demo(dialect_name: str, port: int) -> None:
    """Serve the demo models over HTTP as if by a provider that speaks DIALECT.

    The models are echo, tools, json, slow, think, mirror, cut and fail-STATUS.
    """
    try:
        dialect = load_dialect(dialect_name)
        listener = listen(_HOST, port)
    except (UnknownDialectError, ListenError) as error:
        raise click.ClickException(str(error)) from None
    set_up_logging()
    root = dialect.roots[0].replace("{organisation}", "acme")
    base = f"http://{_HOST}:{listener.getsockname()[1]}{root}"
    models = {model.id: f"{DEMO_PROVIDER}/{model.id}" for model in MODELS} | {"fail-*": f"{DEMO_PROVIDER}/fail-*"}
    services = build_services(Settings(models=models), Fault.CLIENT)
    run(build_app(services, [dialect]), listener, lambda: click.echo(f"demo provider, {dialect_name}: base_url {base}"))
