"""The ``dragoman`` command."""

import click

from proxy.cli.demo import demo
from proxy.cli.matrix import matrix
from proxy.cli.serve import serve


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="dragoman")
def main() -> None:
    """Dragoman: a proxy that translates between LLM API dialects."""


main.add_command(serve)
main.add_command(demo)
main.add_command(matrix)
