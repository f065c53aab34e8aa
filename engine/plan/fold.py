"""Constant factors and terms for each channel, such as batch normalisation's, put into filters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from oneiro.kernels.conv import conv, conv_backward
from oneiro.kernels.dispatch import Array
from oneiro.kernels.symbol import Call, Symbol

from ..call import readers


class Folding:
    """Calls with their constants, in which filters take up what stands beside them.

    Products are worked out in float64. Sums round otherwise than those of a Net.
    """

    def __init__(
        self, calls: Iterable[Call], constants: dict[str, Array], results: Iterable[str]
    ) -> None:
        self.constants = dict(constants)
        self.kept = set(results)
        self.calls: list[Call | None] = list(calls)
        self.found: dict[tuple[str, bytes], Symbol] = {}  # filters, by their names and factors
        self.reading = readers(call for call in self.calls if call)
        self.making: dict[str, int] = {}
        for k, call in enumerate(self.calls):
            if call is None:
                continue
            self.calls[k] = self.behind(call) or self.before(call) or call
            self.making.update((symbol.name, k) for symbol in call.results)

    def remaining(self) -> list[Call]:
        """What is left to do."""
        return [call for call in self.calls if call is not None]

    def behind(self, call: Call) -> Call | None:
        """A convolution, or its way back, that does a product or a sum behind it, too."""
        for x, other in zip(call.args, call.args[::-1]) if len(call.args) == 2 else ():
            value = self.constant(other)
            k = self.making.get(x.name) if isinstance(x, Symbol) else None
            leading = None if k is None else self.calls[k]
            if value is None or leading is None or not self.alone(x):
                continue
            by = by_channel(value, x.dims)
            if by is None or call.results[0].dims != x.dims:
                continue
            made = self.scaled(leading, call, by)
            if made is not None:
                self.calls[k] = None  # type: ignore[index]
                return made
        return None

    def scaled(self, leading: Call, call: Call, by: Array) -> Call | None:
        if leading.function is conv:
            x, w, b, window, group = leading.args
            filters, bias = self.constant(w), None if b is None else self.constant(b)
            if filters is None or (b is not None and bias is None):
                return None
            bias = np.zeros(len(filters)) if bias is None else bias.astype(np.float64)
            if call.function is np.multiply:
                args = (x, self.by_outputs(w, filters, by), self.named(bias * by, w), window, group)
            elif call.function is np.add:
                args = (x, w, self.named(bias + by, w), window, group)
            else:
                return None
            return Call(conv, args, {}, call.results)
        if leading.function is conv_backward and call.function is np.multiply:
            dy, w, shape, window, group = leading.args
            filters = self.constant(w)
            if filters is None:
                return None
            # filters are (o, c / group, *kernel): those of a group meet its own inputs
            inputs = by.reshape(group, 1, -1, *(1,) * (filters.ndim - 2))
            grouped = filters.reshape(group, -1, *filters.shape[1:])
            scaled = (grouped * inputs).reshape(filters.shape)
            return Call(
                conv_backward, (dy, self.named(scaled, w), shape, window, group), {}, call.results
            )
        return None

    def before(self, call: Call) -> Call | None:
        """The way back of a convolution that does a product in front of it, too."""
        if call.function is not conv_backward:
            return None
        dy, w, *rest = call.args
        k = self.making.get(dy.name) if isinstance(dy, Symbol) else None
        leading = None if k is None else self.calls[k]
        filters = self.constant(w)
        if leading is None or leading.function is not np.multiply or filters is None:
            return None
        for x, other in zip(leading.args, leading.args[::-1]):
            value = self.constant(other)
            by = None if value is None else by_channel(value, dy.dims)
            if by is None or not isinstance(x, Symbol) or x.dims != dy.dims:
                continue
            readings = self.reading[dy.name]
            readings.remove(next(r for r in readings))
            if not readings and dy.name not in self.kept:
                self.calls[k] = None  # type: ignore[index]
            self.reading[x.name].append(-1)
            return Call(
                conv_backward, (x, self.by_outputs(w, filters, by), *rest), {}, call.results
            )
        return None

    def by_outputs(self, w: Symbol, filters: Array, by: Array) -> Symbol:
        """Filters w by a factor for each of their outputs: one array for both ways."""
        key = w.name, by.tobytes()
        if key not in self.found:
            self.found[key] = self.named(filters * by.reshape(-1, *(1,) * (filters.ndim - 1)), w)
        return self.found[key]

    def constant(self, arg: Any) -> Array | None:
        """A constant in float64; None for what is none."""
        if isinstance(arg, Symbol):
            arg = self.constants.get(arg.name)
        if isinstance(arg, np.ndarray | np.generic | float | int) and not isinstance(arg, bool):
            return np.asarray(arg, np.float64)
        return None

    def alone(self, symbol: Symbol) -> bool:
        """Does nobody else read it?"""
        return len(self.reading[symbol.name]) == 1 and symbol.name not in self.kept

    def named(self, array: Array, like: Symbol) -> Symbol:
        """A new constant."""
        name = f"{like.name}/folded{len(self.constants)}"
        symbol = Symbol(like.graph, name, like.dtype, array.shape)
        self.constants[symbol.name] = np.ascontiguousarray(array, like.dtype)
        return symbol


def by_channel(value: Array, dims: tuple[int | None, ...]) -> Array | None:
    """A value for each channel of what has these sizes, (n, c, ...); None where it has more."""
    channels = dims[1] if len(dims) > 1 else None
    if channels is None or value.ndim > len(dims):
        return None
    shape = (1,) * (len(dims) - value.ndim) + value.shape
    if any(size != 1 for axis, size in enumerate(shape) if axis != 1):
        return None
    return np.broadcast_to(value.reshape(-1), channels) if shape[1] in (1, channels) else None
