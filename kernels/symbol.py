"""Arrays whose values are not known yet: NumPy code that runs on them is written down as a graph.

NumPy hands each of its functions that meets a foreign array over to that array
(`__array_ufunc__`, `__array_function__`). A Symbol answers by adding ONNX nodes to its graph, and
by noting what it was asked, which is what a Plan is made from. Nothing here imports onnx: a graph
is plain data until it is exported. What each NumPy function becomes stands in translation.py.
"""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .dispatch import Array
from .foreign import ForeignArray

Dims = tuple[int | None, ...]
Shape = tuple[Any, ...]  # sizes: ints where they are known, symbols of one int64 where not

END = int(np.iinfo(np.int64).max)  # "to the end" in an ONNX Slice
LONGEST = 1000  # sizes that are taken out of one symbol

TRANSLATIONS: dict[Any, Callable[..., Any]] = {}  # NumPy function -> what it is on symbols


class Operation(NamedTuple):
    """An ONNX node as plain data."""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]


class Call(NamedTuple):
    """What the traced code asked for: a kernel or a NumPy function, and what came of it."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    options: dict[str, Any]
    results: tuple[Any, ...]


class Body:
    """Nodes that a node of the graph runs, as often as it likes; while open, it takes new ones.

    They may read what the graph made before. It notes their calls, too, for those that will fold
    constants.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.inputs: list[Symbol] = []
        self.outputs: list[Any] = []
        self.nodes: list[Operation] = []
        self.calls: list[Call] = []
        self.inside = False

    def input(self, dtype: Any, dims: Iterable[int | None]) -> Any:
        """A value that comes anew each time."""
        symbol = Symbol(self.graph, f"inner_{next(self.graph.counter)}", dtype, dims)
        self.inputs.append(symbol)
        return symbol

    def __enter__(self) -> None:
        self.change_places()

    def __exit__(self, *error: object) -> None:
        self.change_places()

    def change_places(self) -> None:
        """What the graph has becomes the body's, and back."""
        graph = self.graph
        self.nodes, graph.nodes = graph.nodes, self.nodes
        self.calls, graph.calls = graph.calls, self.calls
        self.inside, graph.inside = graph.inside, self.inside


class Graph:
    """What a program did: its calls, and the ONNX nodes that say the same."""

    def __init__(self) -> None:
        self.inputs: list[Symbol] = []
        self.constants: dict[str, Array] = {}
        self.calls: list[Call] = []
        self.nodes: list[Operation] = []
        self.counter = itertools.count()
        self.inside = False

    def call(
        self,
        function: Callable[..., Any],
        twin: Callable[..., Any],
        args: tuple[Any, ...],
        options: dict[str, Any],
    ) -> Any:
        """Note the call of `function` and let `twin` add its nodes.

        Calls that the twin makes in turn are its own affair.
        """
        if self.inside:
            return twin(*args, **options)
        self.inside = True
        try:
            result = twin(*args, **options)
        finally:
            self.inside = False
        results = tuple(result) if isinstance(result, tuple | list) else (result,)
        # what only hands an argument on, such as x[...], is no call
        new = (v for v in results if isinstance(v, Symbol) and all(v is not arg for arg in args))
        if next(new, None) is not None:
            self.calls.append(Call(function, args, options, results))
        return result

    def input(self, name: str, dtype: Any, dims: Iterable[int | None]) -> Symbol:
        """A value that whoever runs the graph provides; a size of None may vary."""
        symbol = Symbol(self, name, dtype, dims)
        self.inputs.append(symbol)
        return symbol

    def constant(self, array: Array) -> Symbol:
        """A value stored in the graph."""
        symbol = Symbol(self, f"constant_{next(self.counter)}", array.dtype, array.shape)
        self.constants[symbol.name] = array
        return symbol


class NoValueError(TypeError):
    """Code asked a symbol for its numbers."""


class Symbol(ForeignArray):
    """A tensor of a Graph. `dims` holds its sizes, None where only a run will tell.

    A vector that was put together, as shapes are, keeps its elements as `parts`: arrays where they
    are known, symbols where not, each of one element. So what is known of it stays known. What a
    gate let through remembers what came to it, and the mask, as `gated`.
    """

    home = "symbol"
    parts: tuple[Any, ...] = ()
    gated: tuple[Any, ...] = ()

    def __init__(self, graph: Graph, name: str, dtype: Any, dims: Iterable[Any]) -> None:
        self.graph = graph
        self.name = name
        self.dtype = np.dtype(dtype)
        self.dims: Dims = tuple(None if size is None else operator.index(size) for size in dims)

    def __repr__(self) -> str:
        return f"Symbol({self.name}, {self.dtype}, {self.dims})"

    def __bool__(self) -> bool:
        raise NoValueError(f"{self} has no value yet: Python cannot branch on it, np.where can")

    def no_value(self, *_: Any) -> Any:
        raise NoValueError(f"{self} has no value yet, and a number is asked for")

    __int__ = __float__ = __index__ = __iter__ = __array__ = no_value

    def __len__(self) -> int:
        size = self.dims[0]
        if size is None:
            raise NoValueError(f"the length of {self} is not known yet")
        return size

    @property
    def ndim(self) -> int:
        return len(self.dims)

    @functools.cached_property
    def shape(self) -> Shape:
        """Known sizes as ints, the others as symbols, ready for arithmetic, reshape and slices."""
        return tuple(
            self.size_along(axis) if size is None else size for axis, size in enumerate(self.dims)
        )

    def size_along(self, axis: int) -> Symbol:
        """A size that only a run will tell, as a vector of one."""
        size: Symbol = node("Shape", self, start=axis, end=axis + 1, dtype=np.int64, dims=(1,))
        size.parts = (size,)
        return size

    def transpose(self, *axes: int) -> Any:
        return np.transpose(self, axes)

    def reshape(self, *shape: Any) -> Any:
        return np.reshape(self, shape[0] if isinstance(shape[0], tuple | list) else shape)

    def astype(self, dtype: Any) -> Any:
        return self.graph.call(cast, cast, (self, np.dtype(dtype)), {})

    def __getitem__(self, key: Any) -> Any:
        """Slices, one for each leading axis: x[:, 1:, ::-1]."""
        parts = key if isinstance(key, tuple) else (key,)
        if not all(isinstance(part, slice) for part in parts):
            raise TypeError(f"a symbol is cut by slices alone, not by {key}")
        bounds = bounded(parts)
        return self.graph.call(operator.getitem, lambda x, _: cut(x, bounds), (self, key), {})

    def __setitem__(self, key: Any, value: Any) -> None:
        raise TypeError("a symbol is a value, not storage: write x = ..., not x[...] = ...")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if options.get("out") is not None:
            raise TypeError("a symbol is a value, not storage: write x = x + dx, not x += dx")
        if method != "__call__" or ufunc not in TRANSLATIONS or options:
            raise NotImplementedError(unknown(f"np.{ufunc.__name__}"))
        twin = functools.partial(by_element, ufunc, TRANSLATIONS[ufunc])
        return self.graph.call(ufunc, twin, inputs, {})

    def __array_function__(
        self, function: Any, types: Any, args: tuple[Any, ...], options: dict[str, Any]
    ) -> Any:
        if function not in TRANSLATIONS:
            raise NotImplementedError(unknown(f"np.{function.__name__}"))
        return self.graph.call(function, TRANSLATIONS[function], args, options)


def unknown(function: str) -> str:
    names = ", ".join(sorted(f.__name__ for f in TRANSLATIONS))
    return f"{function} has no ONNX form in kernels/translation.py, which has {names}"


def cast(x: Any, dtype: Any) -> Any:
    """x.astype(dtype), for arrays and symbols alike."""
    if not isinstance(x, Symbol):
        return x.astype(dtype)
    if is_partly_known(x):
        return joined([cast(part, dtype) for part in x.parts])
    return node("Cast", x, to=np.dtype(dtype), dtype=dtype, dims=x.dims)


def node(name: str, *inputs: Any, dims: Any = None, dtype: Any = None, **attributes: Any) -> Any:
    """Add a node to the graph of its inputs and return its result; a list when `dims` is one.

    `inputs` are symbols, arrays or numbers; numbers and floating arrays take the type of the
    symbols beside them, None is one that is left out. `dims` and `dtype` of the result default to
    those of elementwise arithmetic.
    """
    symbols = [x for x in inputs if isinstance(x, Symbol)]
    graph = symbols[0].graph
    leading = next((x.dtype for x in symbols if x.dtype != bool), np.dtype(bool))
    operands = [
        x if x is None or isinstance(x, Symbol) else graph.constant(as_constant(x, leading))
        for x in inputs
    ]
    if dims is None:
        dims = broadcast(*(x.dims for x in operands if x is not None))
    several = isinstance(dims, list)
    stem = f"{name}_{next(graph.counter)}"
    results = [
        Symbol(
            graph, f"{stem}.{k}" if several else stem, leading if dtype is None else dtype, sizes
        )
        for k, sizes in enumerate(dims if several else [dims])
    ]
    read = tuple("" if x is None else x.name for x in operands)
    made = tuple(x.name for x in results)
    graph.nodes.append(Operation(name, read, made, attributes))
    return results if several else results[0]


def as_constant(x: Any, leading: Any) -> Array:
    """An array for the graph; numbers and floating arrays follow the floats that they meet."""
    array = np.asarray(x)
    follows = isinstance(x, int | float) or array.dtype.kind == leading.kind == "f"
    return array.astype(leading) if follows else array


def broadcast(*shapes: Dims) -> Dims:
    """The sizes of an elementwise result, None where only a run will tell."""
    dims: list[int | None] = []
    for sizes in itertools.zip_longest(*(shape[::-1] for shape in shapes), fillvalue=1):
        fixed = {size for size in sizes if size not in (None, 1)}
        if len(fixed) > 1:
            texts = " and ".join("x".join(map(str, shape)) for shape in shapes)
            raise ValueError(f"shapes {texts} do not match")
        dims.append(fixed.pop() if fixed else None if None in sizes else 1)
    return tuple(dims[::-1])


def known(shape: Shape) -> Dims:
    """The `dims` of a shape: its ints, None for its symbols."""
    return tuple(None if isinstance(size, Symbol) else operator.index(size) for size in shape)


def vector(graph: Graph, sizes: Sequence[Any]) -> Symbol:
    """Ints and size symbols as one int64 vector."""
    joint = as_vector(sizes)
    return joint if isinstance(joint, Symbol) else graph.constant(joint)


def as_vector(sizes: Sequence[Any]) -> Any:
    """Sizes as one int64 vector: an array where all are known, else a symbol."""
    if not any(isinstance(size, Symbol) for size in sizes):
        return np.array(sizes, np.int64)
    return joined([s if isinstance(s, Symbol) else np.array([s], np.int64) for s in sizes])


def as_sizes(shape: Any) -> Shape:
    """The sizes that a vector of integers holds: the other way of `as_vector`."""
    return tuple(p if isinstance(p, Symbol) else operator.index(p[0]) for p in elements(shape))


def joined(parts: Sequence[Any]) -> Any:
    """Arrays and symbols of one element as a vector, which remembers them if it is a symbol."""
    if not any(isinstance(part, Symbol) for part in parts):
        return np.concatenate(parts)
    if len(parts) == 1:
        return parts[0]
    result = node("Concat", *parts, axis=0, dims=(len(parts),))
    result.parts = tuple(parts)
    return result


def elements(x: Any) -> tuple[Any, ...]:
    """The elements of a vector, each an array or a symbol of one: the other way of `joined`."""
    if not isinstance(x, Symbol):
        return tuple(x.reshape(-1, 1))
    if x.parts:
        return x.parts
    if x.ndim == 0:
        return (x.reshape(1),)
    if x.dims == (1,):
        return (x,)
    if len(x) > LONGEST:
        raise ValueError(f"{len(x):,} sizes are more than any shape has")
    return tuple(cut(x, {0: slice(k, k + 1)}) for k in range(len(x)))


def picked(x: Symbol, places: Array) -> Any:
    """The parts of x that stand at `places`, which has one axis, or none for a number."""
    result = joined([x.parts[k] for k in places.reshape(-1)])
    if not isinstance(result, Symbol):
        return result.reshape(places.shape)
    if places.ndim:
        return result
    number = node("Squeeze", result, np.array([0]), dims=())
    number.parts = (result,)
    return number


def is_partly_known(x: Any) -> bool:
    return any(not isinstance(part, Symbol) for part in getattr(x, "parts", ()))


def by_element(function: Callable[..., Any], twin: Callable[..., Any], *inputs: Any) -> Any:
    """What `twin` makes of `inputs`; of vectors known in part it is `function` of each element."""
    if not any(map(is_partly_known, inputs)) or any(getattr(x, "ndim", 0) > 1 for x in inputs):
        return twin(*inputs)
    columns = [elements(x) if hasattr(x, "dtype") else (x,) for x in inputs]
    (count,) = broadcast(*((len(column),) for column in columns))
    rows = zip(*(itertools.cycle(column) for column in columns))
    return joined([function(*row) for row in itertools.islice(rows, count)])


def zeros(graph: Graph, shape: Shape, dtype: Any) -> Any:
    """An array of zeros whose shape may hold symbols."""
    zero = graph.constant(np.zeros((), dtype))
    return node("Expand", zero, vector(graph, shape), dtype=zero.dtype, dims=known(shape))


def bounded(key: tuple[slice, ...]) -> dict[int, slice]:
    """The slices that cut, by their axes."""
    return {
        axis: part
        for axis, part in enumerate(key)
        if any(end is not None for end in (part.start, part.stop, part.step))
    }


def cut(x: Any, bounds: dict[int, slice], dims: Dims | None = None) -> Any:
    """x[start:stop:step] along the axes of `bounds`; starts and stops may be symbols.

    `dims` tells the sizes of the result where they are known better than the bounds say.
    """
    found = list(x.dims)
    starts: list[Any] = []
    stops: list[Any] = []
    steps = []
    for axis, part in bounds.items():
        step = part.step or 1
        starts.append(part.start if part.start is not None else 0 if step > 0 else -1)
        stops.append(part.stop if part.stop is not None else END if step > 0 else -END)
        steps.append(step)
        varies = isinstance(part.start, Symbol) or isinstance(part.stop, Symbol)
        size = found[axis]
        found[axis] = None if varies or size is None else len(range(*part.indices(size)))
    if not bounds:
        return x
    if x.parts and found[0]:
        return picked(x, np.arange(len(x.parts))[bounds[0]])
    operands = [vector(x.graph, bound) for bound in (starts, stops, list(bounds), steps)]
    return node("Slice", x, *operands, dtype=x.dtype, dims=dims or tuple(found))
