"""Layers in order, run forward and backward over blobs that anybody may read and write."""

from __future__ import annotations

import contextlib
import copy
import difflib
import functools
import importlib.util
import logging
import math
import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import numpy as np

from oneiro.kernels import crew
from oneiro.kernels.dispatch import (
    DEVICES,
    Array,
    Device,
    DeviceError,
    device_named,
    fetched,
    home,
    is_device,
    is_symbol,
    own,
)
from oneiro.kernels.symbol import Graph, NoValueError, known

from .blob import Blobs
from .error import ArgumentError, ModelError
from .executor import PRECISIONS, chosen_executor
from .half import scale_of
from .image import Picture
from .importer import Node, foreseen, read_model
from .layer import RULES, Activation, Missing, as_tuple
from .preprocess import Preprocess
from .provider import chosen_provider, is_runtime

log = logging.getLogger(__name__)

Names = str | Iterable[str]

FAULTS = (  # what layers raise where a file asks for what cannot be
    ArithmeticError, DeviceError, LookupError, MemoryError, NotImplementedError, TypeError,
    ValueError,
)  # fmt: skip


class RuleWarning(UserWarning):
    """A rule was asked for that changes nothing in this network."""


class UnsizedError(ModelError):
    """A layer's shape depends on values that are only known in a run."""


class Net:
    """A network from an .onnx file, as Caffe would hold it.

    `blobs` maps names to Blobs in the order in which forward fills them, `params` maps layer names
    to their constants, `inputs` and `outputs` list blob names, and `input` is the picture's. A
    name may be that of a blob, an alias, or a layer, which means the layer's last output.

    `device` is "cpu", "cuda", "emulator" (a CPU that runs the CUDA kernels, to prove them), "auto",
    a GPU if there is one, or "ort" or "ort:NAME": Plans then run in onnxruntime, in the execution
    provider of that name (provider.py). On a GPU `precision` says how convolutions multiply:
    "exact" (also "auto") as float32 does, "tf32" with 10 bits behind the point, "half" with float16
    and sums in float32; what a blob holds is a DeviceArray there. `dtype` is float32 or, on the
    CPU, float64.

    `executor` is who makes the calls of Plans on the CPU: "fast" is onnxruntime and Numba, "numpy"
    needs neither, "auto" is the first where both are installed. With precision "auto" the fast one
    may take Winograd's way to convolve, which rounds more; "exact" forbids that. A Net by itself
    always computes in NumPy.

    The picture's blob is (n, c, h, w) whatever the file wants; `layout` says that, "NCHW" or
    "NHWC", where its own Transpose does not tell. `max_bytes` bounds the file, its constants
    together, and each blob (16 GiB). `weights_dir` is the folder that weights in files of their
    own may lie in, links followed; by default they are plain files in the model's. Raises
    ModelError for a file that cannot be read, ArgumentError for the rest.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        device: str = "auto",
        dtype: Any = np.float32,
        *,
        layout: str | None = None,
        max_bytes: int | None = None,
        weights_dir: str | os.PathLike[str] | None = None,
        precision: str = "auto",
        executor: str = "auto",
    ) -> None:
        self.dtype = np.dtype(dtype)
        # None: NumPy on the host; there Plans may be made by a provider of onnxruntime's
        self.provider = chosen_provider(device, self.dtype) if is_runtime(device) else None
        place = "cpu" if self.provider else device
        self.device = chosen_device(place, self.dtype, precision)
        self.again = functools.partial(  # opens the same file, perhaps in another process
            Net,
            os.path.abspath(path),
            device if self.device or self.provider else "cpu",
            self.dtype,
            layout=layout,
            max_bytes=max_bytes,
            weights_dir=weights_dir and os.path.abspath(weights_dir),
            precision=precision,
            executor=executor,
        )
        self.executor = chosen_executor(executor, self.dtype)
        self.on_host = precision if precision == "auto" else "exact"  # it knows no fewer bits
        self.sessions: dict[Any, Any] = {}  # of onnxruntime, which Plans of all sizes share
        self.model = read_model(path, self.dtype, layout, max_bytes, weights_dir)
        self.nodes: list[Node] = self.model.nodes
        self.constants: dict[str, Any] = self.model.constants
        self.inputs = list(self.model.inputs)
        self.outputs = self.model.outputs
        self.blobs = self.empty_blobs()
        self.aliases: Mapping[str, str] = {}
        self.preprocessing: Preprocess | None = None
        self.favourites: Mapping[str, Any] = {}  # arguments of deepdream that suit this network
        self.size: tuple[int, int] | None = None  # height and width that it was trained at
        self.labels: tuple[str, ...] = ()  # of its classes, in the order of its output
        # input shapes and end of the last reshape, and whether it told the size of every blob
        self._accepted: tuple[Any, bool] | None = None
        if self.device:
            self.constants = self.to(self.place).constants

    def __repr__(self) -> str:
        return f"Net({self.model.name!r}, {len(self.nodes)} layers, inputs={self.inputs})"

    @property
    def input(self) -> str:
        """The blob that takes the picture: the first input of four axes."""
        declared = self.model.inputs
        if not declared:
            raise ModelError(f"{self.model.name}: takes no input")
        return next((n for n in self.inputs if len(declared[n][1]) == 4), self.inputs[0])

    @property
    def channels(self) -> int:
        """Channels of the picture, three where the file does not say."""
        sizes = self.model.inputs[self.input][1]
        return (sizes[1] if len(sizes) == 4 else None) or 3

    @property
    def precision(self) -> str:
        """How convolutions multiply."""
        return self.device.precision if self.device else self.on_host

    @property
    def params(self) -> dict[str, list[Array]]:
        """The constants that each layer reads: filters, biases, statistics."""
        listed = {
            node.name: [self.constants[b] for b in node.bottoms if b in self.constants]
            for node in self.nodes
        }
        return {name: constants for name, constants in listed.items() if constants}

    def place(self, array: Array) -> Any:
        """An array where the net computes."""
        return self.device.place(array) if self.device else fetched(array)

    def to(self, place: Callable[[Array], Any]) -> Net:
        """A copy with blobs of its own whose constants are `place(constant)`: a trace's symbols.

        Integers, and what layers read as numbers, stay as they are. What inputs beside the
        picture hold counts as constants.
        """
        net = copy.copy(self)
        net.nodes = [node._replace(layer=copy.copy(node.layer)) for node in self.nodes]
        held = self.constants.items()
        net.constants = {name: self.held(name, array, place) for name, array in held}
        net.blobs = net.empty_blobs()
        for name in self.inputs:
            data = self.blobs[name].data
            if name != self.input and data is not None:
                net.blobs[name].data = self.held(name, data, place)
        net._accepted = None
        return net

    def empty_blobs(self) -> Blobs:
        names = [*self.inputs, *(top for node in self.nodes for top in node.tops)]
        return Blobs(names, self.resolve)

    def preprocess(self, img: Array) -> Array:
        """The picture (height, width, channels) of 0..255 as the net takes it, (1, c, h, w)."""
        return self.place(self.known_preprocessing().preprocess(img, self.channels, self.dtype))

    def deprocess(self, x: Array) -> Picture:
        """What `preprocess` made as a picture again; values are not clipped."""
        return self.known_preprocessing().deprocess(np.asarray(x))

    def known_preprocessing(self) -> Preprocess:
        if self.preprocessing is None:
            raise ArgumentError(
                f"how pictures are fed to {self.model.name!r} is not known: "
                "give mean, scale and order (x = (value - mean) * scale, order RGB, BGR or GRAY); "
                f"for a classifier `oneiro inspect FILE --photo PHOTO` tries the usual ways"
            )
        return self.preprocessing

    def shapes(
        self, shapes: Mapping[str, Sequence[int]], end: Names | None = None
    ) -> dict[str, tuple[int, ...]]:
        """The shape of every blob up to `end`, for inputs of these shapes.

        Nothing is computed: the layers run on symbols. Raises ModelError with the layer's name
        where shapes do not fit.
        """
        shadow = self.on_symbols(shapes)
        shadow.forward(end=end)
        return known_shapes(shadow)

    def reachable_shapes(self, shapes: Mapping[str, Sequence[int]]) -> dict[str, tuple[int, ...]]:
        """As `shapes`, of the blobs that can be had: what does not fit is left out."""
        shadow = self.on_symbols(shapes)
        shadow.fill_reachable()
        return known_shapes(shadow)

    def on_symbols(self, shapes: Mapping[str, Sequence[int]]) -> Net:
        """A copy whose inputs are symbols of these shapes.

        An input that layers read as numbers, such as a shape, holds what it holds here.
        """
        graph = Graph()
        shadow = self.to(graph.constant)
        for name, shape in shapes.items():
            name = self.as_input(name)
            self.check_size(name, shape)
            data = self.blobs[name].data
            if name in self.numeric and data is not None and data.shape == tuple(shape):
                shadow.blobs[name].data = data
            else:
                symbol = graph.input(name, self.model.inputs[name][0], tuple(shape))
                shadow.blobs[name].data = shadow.taken({name: symbol})[name]
        return shadow

    @functools.cached_property
    def numeric(self) -> set[str | None]:
        """Blobs and constants whose values layers read as numbers, also through other layers."""
        read: set[str | None] = set()
        for node in reversed(self.nodes):
            whole = node.layer.reads_values and not read.isdisjoint(node.tops)
            read.update(b for k, b in enumerate(node.bottoms) if whole or k in node.layer.numbers)
        return read

    def check_size(self, name: str, shape: Sequence[int | None]) -> None:
        """Raise ModelError where a blob would be larger than the net may grow."""
        size = math.prod(n for n in shape if n is not None) * self.dtype.itemsize
        self.check_bytes(f"{name!r} of {tuple(shape)}", size)

    def check_bytes(self, text: str, size: int) -> None:
        if size > self.model.max_bytes:
            limit = f"more than max_bytes={self.model.max_bytes:,}"
            raise ModelError(f"{self.model.name}: blob {text} would take {size:,} bytes, {limit}")

    def reshape(
        self,
        shapes: Mapping[str, Sequence[int]] | None = None,
        /,
        *,
        end: Names | None = None,
        **more: Sequence[int],
    ) -> None:
        """Tell every blob the shape that it will have for inputs of these shapes, up to `end`.

        Inputs that are not named keep their shape. Data of another shape is gone; inputs without
        data get zeros. Raises ModelError with the layer's name where shapes do not fit.
        """
        asked = {self.as_input(name): shape for name, shape in {**(shapes or {}), **more}.items()}
        kept = {name: self.blobs[name].shape for name in self.inputs if name not in asked}
        asked |= {name: shape for name, shape in kept.items() if shape is not None}
        found = self.shapes(asked, end)
        for name, blob in self.blobs.items():
            blob.expect(found.get(name))
        for name, shape in asked.items():
            if self.blobs[name].data is None:
                self.blobs[name].data = self.held(name, np.zeros(shape, self.model.inputs[name][0]))

    def forward(
        self,
        inputs: Mapping[str, Any] | None = None,
        /,
        *,
        start: Names | None = None,
        end: Names | None = None,
        **more: Any,
    ) -> dict[str, Any]:
        """Fill the blobs from the inputs, or from the blobs `start`, up to the blobs `end`.

        Inputs are given by name and reshape the net; one that is not given keeps its data. With
        `start` the data of those blobs is taken as it stands, and only what depends on it is
        worked out again. Other blobs become empty. Returns the data of `end`, by default of the
        net's outputs.
        """
        if not isinstance(inputs, Mapping | None):
            raise ArgumentError(f"inputs are given by name: forward({{{self.input!r}: x}})")
        given = self.taken({**(inputs or {}), **more})
        ends = self.resolve_all(end) if end is not None else tuple(self.outputs)
        starts = self.resolve_all(start) if start is not None else tuple(self.inputs)
        self.check_missing(ends, held=starts)
        nodes = self.between(starts, ends, held=starts)
        whole = bool(nodes) and set(starts) == set(self.inputs)
        sized = whole and self.check_shapes(given, ends)
        for name, value in given.items():
            self.blobs[name].data = value
        made = {top for node in nodes for top in node.tops}
        for name in self.reached(starts) - set(starts) - made:
            self.blobs[name].data = None
        for name in starts:
            data = self.blobs[name].data
            if data is not None and (placed := self.held(name, data)) is not data:
                self.blobs[name].data = placed
        held = {name: self.blobs[name].data for name in starts}
        for node in nodes:
            self.fill(node, sized)
            for name in held.keys() & set(node.tops):
                self.blobs[name].data = held[name]
        return {name: self.value(name) for name in ends}

    def backward(
        self,
        start: Names | None = None,
        end: Names | None = None,
        rule: str | Mapping[str, str] = "gradient",
    ) -> dict[str, Any]:
        """Bring the diffs that the blobs `start` hold down to the blobs `end`, the inputs.

        Seeds are what `.diff` of the start blobs holds at the call; every other diff is
        overwritten, and one start blob below another ends as seed plus inflow. `rule` is how
        rectifiers go back: "gradient", "guided", "deconv", or {layer: rule} for some of them.
        "deconv-overwrite" is "deconv" but where windows of a MaxPool overlap: there the last value
        that comes to a place stays, and is not added to the others.
        Returns the diffs of `end`.
        """
        rules = self.rules(rule)
        starts = self.resolve_all(start) if start is not None else tuple(self.outputs)
        ends = self.resolve_all(end) if end is not None else tuple(self.inputs)
        seeds = {name: self.blobs[name].diff for name in starts if name in self.blobs}
        for blob in self.blobs.values():
            blob.clear_diff()
        slopes = {n: seed for n, seed in seeds.items() if seed.dtype.kind == "f"}
        scaled = slopes
        scale = self.scale_of(slopes.values())
        if scale is not None:
            scaled = {name: seed * scale for name, seed in slopes.items()}
        for name, seed in scaled.items():
            self.blobs[name].seed(seed)
        passed = []
        for node in reversed(self.between(ends, starts)):
            flows = [self.blobs[top].flowed for top in node.tops]
            if all(flow is None for flow in flows):
                continue
            # layers may hand on what they get: a seed stays its owner's
            flows = [
                own(f) if t in seeds and f is not None else f
                for t, f in zip(node.tops, flows, strict=True)
            ]
            passed.append(node)
            back = getattr(node.layer, RULES[rules.get(node.tops[0], "gradient")])
            diffs = self.run(node, back, flows)
            for bottom, diff in zip(node.bottoms, diffs, strict=False):
                if diff is not None and bottom is not None and bottom in self.blobs:
                    self.blobs[bottom].add_diff(diff)
        warn_if_idle(rules, passed)
        for name, blob in self.blobs.items() if scale is not None else ():
            if blob.flowed is scaled.get(name, self):
                blob.seed(slopes[name])  # nothing came to it: it is still its owner's
            else:
                blob.divide_diff(scale)
        return {name: self.blobs[name].diff for name in ends if self.blobs[name].data is not None}

    def scale_of(self, seeds: Iterable[Any]) -> Any:
        """What diffs are multiplied by while they go back in half precision; else None."""
        listed = [seed for seed in seeds if 0 not in known(seed.shape)]
        return scale_of(listed) if self.precision == "half" and listed else None

    def rules(self, rule: str | Mapping[str, str]) -> dict[str, str]:
        """{blob: rule} for what every layer makes whose rule is not the gradient."""
        if isinstance(rule, str):
            chosen = {node.tops[0]: rule for node in self.nodes}
        else:
            chosen = {self.resolve(name): value for name, value in rule.items()}
        for value in [rule] if isinstance(rule, str) else rule.values():
            if value not in RULES:
                raise ArgumentError(f"rule {value!r} is not one of {', '.join(RULES)}")
        return {name: value for name, value in chosen.items() if value != "gradient"}

    def run(self, node: Node, function: Callable[..., Any], args: list[Any]) -> tuple[Any, ...]:
        """What a layer makes, as a tuple; its errors named after it."""
        try:
            # what is not finite shows itself in what comes out
            with crew.alone(), np.errstate(all="ignore"):
                result = function(*args)
        except NoValueError as error:
            text = f"{self.model.name}: layer {node.name!r} ({node.layer.kind}): {error}"
            raise UnsizedError(text) from error
        except FAULTS as error:
            text = f"{self.model.name}: layer {node.name!r} ({node.layer.kind}): {error}"
            raise ModelError(text) from error
        return as_tuple(result)

    def fill(self, node: Node, sized: bool = False) -> None:
        """Run a layer forward, and put what it makes into its blobs.

        Symbols tell how large a blob will be, before there is one, unless that has been `sized`.
        """
        bottoms = [self.value(b) for b in node.bottoms]
        for k in node.layer.numbers:
            if k < len(bottoms) and is_device(bottoms[k]):
                bottoms[k] = np.asarray(bottoms[k])
        if not sized and home(bottoms) != "symbol":
            (size,) = self.run(node, foreseen, [node.layer, bottoms])
            self.check_bytes(repr(node.tops[0]), size)
        tops = self.run(node, node.layer.forward, bottoms)
        for top, value in zip(node.tops, tops, strict=False):
            if is_symbol(value):
                self.check_size(top, value.dims)
            self.blobs[top].data = value

    def fill_reachable(self) -> ModelError | None:
        """Run every layer that has what it reads; returns the first error.

        What has no layer, and what depends on such, stays empty.
        """
        first = None
        for node in self.nodes:
            if isinstance(node.layer, Missing) or any(map(self.is_empty, node.bottoms)):
                continue
            try:
                self.fill(node)
            except ModelError as error:
                first = first or error
        return first

    def is_empty(self, name: str | None) -> bool:
        """Is this a blob that nothing has filled?"""
        return name is not None and name not in self.constants and self.blobs[name].data is None

    def value(self, name: str | None) -> Any:
        """The data of a blob, or a constant."""
        if name is None:
            return None
        if name in self.constants:
            return self.constants[name]
        data = self.blobs[name].data
        if data is None:
            raise ModelError(f"blob {name!r} is empty: give it to forward, or run forward to it")
        return data

    def taken(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """{input: array}: what was given, and what else the inputs hold, in the inputs' types."""
        held = {name: self.blobs[name].data for name in self.inputs}
        taken = {name: data for name, data in held.items() if data is not None}
        taken |= {self.as_input(name): value for name, value in inputs.items()}
        for name, value in taken.items():
            dtype, sizes = self.model.inputs[name]
            if not is_symbol(value) and (value is not held[name] or value.dtype != dtype):
                # the net's own, not the caller's
                value = value.astype(dtype) if is_device(value) else np.array(value, dtype)
            taken[name] = value = self.held(name, value)
            if sizes and len(sizes) != value.ndim:
                expected = "x".join("?" if size is None else str(size) for size in sizes)
                raise ArgumentError(
                    f"input {name!r} takes {expected}, not an array of {value.shape}"
                )
        return {name: value for name, value in taken.items() if value is not held[name]}

    def held(self, name: str, array: Array, place: Callable[[Array], Any] | None = None) -> Any:
        """A blob or constant where the net computes, or where `place` takes it.

        Integers, and what layers read as numbers, are on the host; symbols are nowhere.
        """
        if is_symbol(array):
            return array
        stays = array.dtype.kind != "f" or name in self.numeric
        return fetched(array) if stays else (place or self.place)(array)

    def as_input(self, name: str) -> str:
        """The input of that name or alias."""
        resolved = self.aliases.get(name, name)
        if resolved not in self.inputs:
            raise ArgumentError(
                f"{name!r} is no input of the net; inputs: {', '.join(self.inputs)}"
            )
        return resolved

    def check_shapes(self, given: Mapping[str, Any], ends: tuple[str, ...]) -> bool:
        """Meet shapes that do not fit before anything is changed or computed.

        Returns whether the size of every blob is known now.
        """
        held = {name: self.blobs[name].data for name in self.inputs} | dict(given)
        arrays = {name: array for name, array in held.items() if array is not None}
        if arrays.keys() <= self.numeric or home(arrays.values()) == "symbol":
            return False
        numbers = {name: a.tobytes() for name, a in arrays.items() if name in self.numeric}
        asked = ({name: array.shape for name, array in arrays.items()}, numbers, ends)
        if self._accepted is None or asked != self._accepted[0]:
            for name in numbers:
                self.blobs[name].data = arrays[name]
            sized = False
            # what depends on numbers that are only worked out on the way is met on the way
            with contextlib.suppress(UnsizedError):
                self.reshape(asked[0], end=ends)
                sized = True
            self._accepted = asked, sized
        return self._accepted[1]

    def find(self, name: str) -> str | None:
        """The blob meant by the name of a blob, an alias or a layer; None if there is none."""
        if name in self.blobs:
            return name
        if name in self.aliases:
            return self.aliases[name]
        return next((node.tops[-1] for node in self.nodes if node.name == name), None)

    def resolve(self, name: str) -> str:
        """As `find`, but raises ArgumentError, which names what is near, if there is none."""
        found = self.find(name)
        if found is not None:
            return found
        near = difflib.get_close_matches(name, [*self.blobs, *self.aliases], 3, 0.4)
        hint = f"; near it: {', '.join(near)}" if near else ""
        raise ArgumentError(f"{self.model.name!r} has no blob or layer {name!r}{hint}")

    def resolve_all(self, names: Names) -> tuple[str, ...]:
        return tuple(self.resolve(n) for n in ([names] if isinstance(names, str) else names))

    def check_missing(self, ends: tuple[str, ...], held: tuple[str, ...]) -> None:
        """Raise ModelError where an end depends on operators that have no layer."""
        needed = set(ends) - set(held)
        missing: list[Node] = []
        for node in reversed(self.nodes):
            if needed.intersection(node.tops):
                needed.update(b for b in node.bottoms if b is not None and b not in held)
                if isinstance(node.layer, Missing):
                    missing.append(node)
        if missing:
            raise ModelError(f"{self.model.name}: {missing_text(missing[::-1])}{self.last_of()}")

    def last_of(self) -> str:
        """The last blobs that can be had and that a gradient comes back from, as a hint."""
        lost: set[str] = set()
        alive = set(self.inputs)
        edge: dict[str, None] = {}
        for node in self.nodes:
            if isinstance(node.layer, Missing) or not lost.isdisjoint(node.bottoms):
                lost.update(node.tops)
                edge |= dict.fromkeys(b for b in node.bottoms if b is not None and b in alive)
            elif node.layer.differentiable and not alive.isdisjoint(node.bottoms):
                alive.update(node.tops)
        names = [repr(name) for name in edge if name not in self.inputs]
        return f"; the last blobs without them: {', '.join(names[-8:])}" if names else ""

    def between(
        self, lower: tuple[str, ...], upper: tuple[str, ...], held: tuple[str, ...] = ()
    ) -> list[Node]:
        """The nodes on the ways from `lower` up to `upper`, in order.

        What the blobs `held` hold is taken as it stands: the way does not go on below them.
        """
        needed = set(upper) - set(held)
        nodes = []
        reached = self.reached(lower)
        for node in reversed(self.nodes):
            if needed.intersection(node.tops) and reached.intersection(node.bottoms):
                needed.update(b for b in node.bottoms if b is not None and b not in held)
                nodes.append(node)
        return nodes[::-1]

    def reached(self, starts: tuple[str, ...]) -> set[str]:
        """The blobs that depend on `starts`, those included."""
        reached = set(starts)
        for node in self.nodes:
            if reached.intersection(node.bottoms):
                reached.update(node.tops)
        return reached


def known_shapes(shadow: Net) -> dict[str, tuple[int, ...]]:
    """The sizes of the symbols that the blobs hold."""
    return {n: blob.data.shape for n, blob in shadow.blobs.items() if blob.data is not None}


def missing_text(missing: Sequence[Node]) -> str:
    """The operators without a layer, with counts and the names of some nodes."""
    names: dict[str, list[str]] = {}
    for node in missing:
        names.setdefault(cast(Missing, node.layer).operator, []).append(node.name)
    texts = [
        f"{len(group)} {operator} ({', '.join(group[:3])}{', ...' if len(group) > 3 else ''})"
        for operator, group in sorted(names.items())
    ]
    return f"depends on operators without a layer: {'; '.join(texts)}"


def warn_if_idle(rules: Mapping[str, str], passed: Sequence[Node]) -> None:
    """Say so where a rule met no rectifier: what came out is the plain gradient."""
    activations = [node for node in passed if isinstance(node.layer, Activation)]
    acted = [node for node in activations if node.tops[0] in rules and node.layer.rectifies]  # type: ignore[attr-defined]
    if rules and not acted:
        names = " and ".join(sorted(set(rules.values())))
        text = f"acted on 0 of {len(activations)} activations: this is the plain gradient"
        warnings.warn(f"rule {names} {text}", RuleWarning, stacklevel=3)


def chosen_device(name: str, dtype: np.dtype[Any], precision: str) -> Device | None:
    """The device of that name, None for the host's NumPy; refuses what cannot be had."""
    if name not in DEVICES:
        raise ArgumentError(f"device {name!r} is not one of {', '.join(DEVICES)}")
    if dtype not in (np.float32, np.float64):
        raise ArgumentError(f"dtype {dtype} is neither float32 nor float64")
    if precision not in PRECISIONS:
        raise ArgumentError(f"precision {precision!r} is not one of {', '.join(PRECISIONS)}")
    if name in ("cuda", "emulator") and dtype == np.float64:
        raise ArgumentError(
            f"device {name!r} computes in float32: take dtype=float32, or device='cpu'"
        )
    if name == "cpu" or dtype == np.float64:
        return None
    try:
        return device_named(name, "exact" if precision == "auto" else precision)
    except DeviceError as error:
        if name == "auto":
            # who has installed CuPy wants to know; nobody else has to
            asked = importlib.util.find_spec("cupy") is not None
            log.log(logging.WARNING if asked else logging.DEBUG, "no GPU is used: %s", error)
            return None
        raise ArgumentError(str(error)) from error
