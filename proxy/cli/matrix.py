"""``dragoman matrix``: what each pair of dialects carries."""

from pathlib import Path

import click

from proxy.matrix import as_markdown, cells
from proxy.registry import all_dialects


@click.command()
@click.option("--write", "target", type=click.Path(path_type=Path), help="Write to this file instead of printing.")
def matrix(target: Path | None) -> None:
    """Print what arrives, what is lost and what is refused, for every pair of dialects."""
    text = as_markdown(list(cells(list(all_dialects().values()))))
    if target is None:
        click.echo(text, nl=False)
    else:
        target.write_text(text, encoding="utf-8")
        click.echo(f"wrote {target}")
