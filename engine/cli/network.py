"""The networks that are known by name: `oneiro models`."""

from __future__ import annotations

import click

from .group import commands


@commands.group("models", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Everything that is known, as JSON.")
@click.pass_context
def models_command(context: click.Context, as_json: bool) -> None:
    """List the networks that are known by name."""
    from oneiro.models import catalogue

    if context.invoked_subcommand is None:
        click.echo(catalogue.as_json() if as_json else catalogue.table())


@models_command.command("info")
@click.argument("name")
def info_command(name: str) -> None:
    """Print what is known of the network NAME."""
    from oneiro.models import catalogue, find

    click.echo(catalogue.page(find(name)))


@models_command.command("pull")
@click.argument("names", nargs=-1, required=True)
def pull_command(names: tuple[str, ...]) -> None:
    """Fetch networks by their NAMES ahead of time, and print where they are kept."""
    from oneiro.models import find, path

    for entry in [find(name) for name in names]:
        click.echo(path(entry))
