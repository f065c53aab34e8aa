"""Is the gradient of a network right? The adjoint test, for the whole and for each layer."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

import numpy as np

from oneiro.kernels.dispatch import Array

from .error import ArgumentError
from .importer import Node
from .net import Net

TRIALS = 5
STEPS = (1e-7, 1e-8, 1e-9)  # of a difference quotient, in standard deviations of the picture
TOLERANCE = 1e-5  # of the relative error in float64
SUSPECT = 1e-3  # relative error of a layer alone that no rounding explains


def noise(net: Net, height: int, width: int, seed: int) -> Array:
    """A picture of noise as the net takes it, (1, c, h, w); normal noise if nobody knows how."""
    random = np.random.default_rng(seed)
    if net.preprocessing is None:
        return random.normal(size=(1, net.channels, height, width)).astype(net.dtype)
    return net.preprocess(random.integers(0, 256, (height, width, net.channels), np.uint8))


def gradient_errors(net: Net, end: str, height: int, width: int) -> Iterator[float]:
    """How far the gradient of the blob `end` is off, relative to its size, in TRIALS pictures.

    The adjoint test: <v, J u> = <J' v, u> for random u and v, with J u a difference quotient and
    J' v what backward makes of v. A quotient that steps over a kink (of a ReLU or a max pool) is
    off by itself: the best of several steps counts here, and the median of the trials after that.
    The net must be in float64.
    """
    for seed in range(TRIALS):
        yield trial(net, end, noise(net, height, width, seed), seed)


def passed(errors: Sequence[float]) -> bool:
    """Is the median of the trials small enough?"""
    return statistics.median(errors) < TOLERANCE


def trial(net: Net, end: str, x: Array, seed: int) -> float:
    """The relative error of the gradient of `end` at the picture x."""
    random = np.random.default_rng(seed)
    end = net.resolve(end)
    u = random.normal(size=x.shape)
    y = net.forward({net.input: x}, end=end)[end]
    if y.dtype.kind != "f":
        raise ArgumentError(f"{end!r} holds {y.dtype}, which has no gradient")
    v = random.normal(size=y.shape)
    net.blobs[end].diff = v
    back = inner(net.backward(start=end, end=net.input)[net.input], u)
    best = np.inf
    for step in STEPS:
        slope = quotients(net, end, x, u, step)[end]
        best = min(best, relative_error(inner(v, slope), back))
        if best < TOLERANCE / 10:
            break
    return best


def culprits(net: Net, end: str, x: Array) -> dict[str, float]:
    """{layer: relative error} of the layers below `end` whose own gradient is off, worst first.

    Each is tried alone, in the direction in which its bottoms move with the picture x.
    """
    random = np.random.default_rng(0)
    end = net.resolve(end)
    u = random.normal(size=x.shape)
    slopes = [quotients(net, end, x, u, step) for step in STEPS]
    net.forward({net.input: x}, end=end)
    errors = {}
    for node in net.between((net.input,), (end,)):
        tops = [net.value(top) for top in node.tops]
        # indices beside values have no diff; integers alone have, where rounding lets it through
        vs = [
            random.normal(size=y.shape) if y.dtype.kind == "f" or len(tops) == 1 else None
            for y in tops
        ]
        diffs = net.run(node, node.layer.backward, vs)
        errors[node.name] = min(layer_error(node, vs, diffs, slope) for slope in slopes)
    worst = sorted(errors, key=errors.__getitem__, reverse=True)
    return {name: errors[name] for name in worst if errors[name] > SUSPECT}


def quotients(net: Net, end: str, x: Array, u: Array, step: float) -> dict[str, Array]:
    """{blob: how fast it moves} up to `end` where the picture x moves along u."""
    far = step * float(x.std())
    ahead, behind = (blobs_at(net, end, x + sign * far * u) for sign in (1, -1))
    return {name: (ahead[name] - behind[name].astype(float)) / (2 * far) for name in ahead}


def blobs_at(net: Net, end: str, x: Array) -> dict[str, Array]:
    """The blobs up to `end` at the picture x."""
    net.forward({net.input: x}, end=end)
    return {name: blob.data for name, blob in net.blobs.items() if blob.data is not None}


def layer_error(
    node: Node, vs: Sequence[Array | None], diffs: Sequence[Array | None], slope: dict[str, Array]
) -> float:
    """How far `diffs`, what a layer makes of `vs`, is off where blobs move by `slope`."""
    ahead = sum(inner(v, slope[top]) for v, top in zip(vs, node.tops, strict=True) if v is not None)
    pairs = zip(node.bottoms, diffs, strict=False)
    back = sum(inner(d, slope[b]) for b, d in pairs if b in slope and d is not None)
    return relative_error(ahead, back)


def relative_error(a: float, b: float) -> float:
    """How far two numbers are apart, in terms of the larger one."""
    size = max(abs(a), abs(b))
    return abs(a - b) / size if size else 0.0


def inner(a: Array, b: Array) -> float:
    """<a, b>"""
    return float(np.vdot(a, b))
