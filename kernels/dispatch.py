"""One function, several implementations, chosen by the home of its arrays.

The NumPy half of a kernel is its specification: readable, any float type, checked by its adjoint.
Twins are proven by parity with it. A kernel without a twin runs its specification on whatever
array came: symbols understand it when it is written in the NumPy functions that they answer to.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]  # also stands for a Symbol, which behaves like one
Case = tuple[Any, ...]

P = ParamSpec("P")
R = TypeVar("R")

KERNELS: dict[str, Kernel[..., Any]] = {}  # parity tests and benchmarks walk this


class Kernel(Generic[P, R]):
    """A specification and its twins; call it as you would call the specification."""

    def __init__(self, specification: Callable[P, R]) -> None:
        functools.update_wrapper(self, specification)
        self.name = specification.__name__
        self.specification = specification
        self.twins: dict[str, Callable[P, R]] = {}
        self.draw: Callable[[np.random.Generator], Iterator[Case]] | None = None
        KERNELS[self.name] = self

    def __repr__(self) -> str:
        return self.name

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        where = home((*args, *kwargs.values()))
        implementation = self.twins.get(where, self.specification)
        if where == "symbol":
            graph = next(arg.graph for arg in args if is_symbol(arg))  # type: ignore[attr-defined]
            result: R = graph.call(self, implementation, args, kwargs)
            return result
        return implementation(*args, **kwargs)

    def onnx(self, twin: Callable[P, R]) -> Callable[P, R]:
        """Decorate the twin on symbols: the same function as ONNX nodes."""
        self.twins["symbol"] = twin
        return twin

    def cases(self, draw: Callable[[np.random.Generator], Iterator[Case]]) -> None:
        """Decorate draw(random), which yields the arguments of calls that every twin must pass."""
        self.draw = draw


kernel = Kernel


def home(values: Iterable[Any]) -> str:
    """Where arrays live: "symbol" if there is one among `values`, "numpy" otherwise.

    NumPy arrays beside a symbol are constants of its graph.
    """
    return "symbol" if any(map(is_symbol, values)) else "numpy"


def is_symbol(value: Any) -> bool:
    """Has the value no numbers yet? See symbol.py."""
    return getattr(type(value), "home", None) == "symbol"


def alike(value: Any, model: Any) -> Any:
    """`value` in the type of `model`, and at its home: an array beside a symbol becomes one."""
    if value.dtype != model.dtype:
        value = value.astype(model.dtype)
    return value + np.zeros_like(model) if is_symbol(model) and not is_symbol(value) else value


def own(array: Array) -> Array:
    """An array that may be written to without changing another; a symbol is a value as it is."""
    return array.copy() if isinstance(array, np.ndarray) else array
