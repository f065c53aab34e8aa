"""What is told on the way, and what comes out."""

from __future__ import annotations

import logging

import click
import rich.console

from ..error import printable

console = rich.console.Console(
    stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False
)


class Lines(logging.Handler):
    """Log records as lines above the live display."""

    def emit(self, record: logging.LogRecord) -> None:
        tell(self.format(record))


def tell(text: str) -> None:
    """A line on stderr, above the live display."""
    console.print(printable(text))


def say(text: str) -> None:
    """A line on stdout."""
    click.echo(printable(text))
