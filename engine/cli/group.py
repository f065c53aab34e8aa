"""The command `oneiro`, and how it ends."""

from __future__ import annotations

import logging
import sys
import warnings

import click

from oneiro.kernels.dispatch import DeviceError

from .. import __version__
from ..error import OneiroError
from .console import Lines, tell


def main() -> None:
    """The command `oneiro`: exits 0, 1 for what went wrong, 2 for a wrong call, 130 for Ctrl-C."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[Lines()])
    warnings.showwarning = lambda message, *_: tell(str(message))
    try:
        commands(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except (OneiroError, DeviceError) as error:
        sys.exit(f"oneiro: {error}")
    except MemoryError:
        sys.exit("oneiro: not enough memory: try --size 1024, or fewer ends")
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        sys.exit(f"oneiro: {where}{error.strerror or error}")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="oneiro")
def commands() -> None:
    """See what a convolutional network sees."""
