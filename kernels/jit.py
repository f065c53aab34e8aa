"""Numba, where it is installed: Python functions compiled for this machine's CPU, kept on disk.

Only modules called *_numba.py import this, and only what runs on the fast executor imports those.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import numba
from numba.core import event

log = logging.getLogger(__name__)

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile at the first call; it then runs without the interpreter's lock.

    Sums may be reordered, and a product and a sum fused, but NaN and infinities stay what they
    are. The code is kept beside the module, or in the user's cache where that cannot be written
    to; where neither can be, it is compiled in each process.
    """
    options: dict[str, Any] = {
        "nogil": True,
        "fastmath": {"contract", "reassoc", "nsz"},
        "error_model": "numpy",
    }
    try:
        return numba.njit(cache=True, **options)(function)
    except (OSError, RuntimeError):  # no place to keep it
        return numba.njit(**options)(function)


inlined = numba.njit(inline="always")


class _Teller(event.Listener):
    """Says what is compiled, as it takes seconds: each kernel once, not what it calls."""

    def __init__(self) -> None:
        self.told: set[str] = set()
        self.depth = 0

    def on_start(self, event: Any) -> None:
        function = event.data["dispatcher"].py_func
        ours = function.__module__.startswith(__package__)
        if ours and self.depth == 0 and function.__name__ not in self.told:
            self.told.add(function.__name__)
            log.info("compiling %s for this CPU, this once", function.__name__)
        self.depth += 1

    def on_end(self, event: Any) -> None:
        self.depth -= 1


event.register("numba:compile", _Teller())  # type: ignore[no-untyped-call]
