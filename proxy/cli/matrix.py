"""``dragoman matrix``: what each pair of dialects carries."""

import click


@click.command()
def matrix() -> None:
    """Print what arrives, what is approximated and what is refused, for every pair of dialects."""
