"""Programs over a Net: the gradient of an objective in the picture, and steps that climb it.

They run on arrays, and as they stand on symbols, from where they are compiled or exported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from oneiro.kernels.blur import gaussian_blur
from oneiro.kernels.dispatch import Array
from oneiro.kernels.roll import roll, unroll

from .error import ArgumentError, ModelError
from .net import Net
from .objective import Goal, Objective


def image_gradient(
    net: Net, x: Array, goal: Goal, rule: str | Mapping[str, str] = "gradient"
) -> tuple[Any, Array]:
    """The objective's value at the picture x (n, c, h, w), and its derivative in x."""
    net.forward({net.input: x}, end=goal)
    values = []
    for name, objective in goal.items():
        blob = net.blobs[net.resolve(name)]
        if blob.flowed is not None:
            raise ArgumentError(f"{name} is a second name of a blob of the goal: join them in one")
        value, blob.diff = climbed(name, objective, blob.data)
        values.append(value)
    net.backward(start=goal, end=net.input, rule=rule)
    return sum(values[1:], values[0]), net.blobs[net.input].diff


def climbed(name: str, objective: Objective, data: Array) -> tuple[Any, Array]:
    """The objective's value and diff at a blob's data; its errors named after the blob."""
    try:
        return objective(data)
    except (AttributeError, NotImplementedError, TypeError) as error:
        text = f"{error} (objectives run on symbols: NumPy functions alone, no float(), no writing)"
        raise ArgumentError(f"{name}: {text}") from error
    except ArgumentError as error:
        raise ArgumentError(f"{name}: {error}") from error


def objective_value(net: Net, x: Array, goal: Goal) -> Any:
    """The objective at the picture x."""
    net.forward({net.input: x}, end=goal)
    data = {name: net.blobs[net.resolve(name)].data for name in goal}
    values = [climbed(name, objective, data[name])[0] for name, objective in goal.items()]
    return sum(values[1:], values[0])


def unsound(net: Net, x: Array, goal: Goal) -> ModelError:
    """The error of a gradient that is not finite at x, with the first blob that is not."""
    with np.errstate(all="ignore"):
        image_gradient(net, x, goal)
    text = "the gradient is not finite"
    for name, blob in net.blobs.items():
        if blob.data is not None and not np.isfinite(blob.data).all():
            return ModelError(f"{net.model.name}: {text}: {name!r} is the first blob that is not")
    for name, blob in reversed(net.blobs.items()):
        if blob.flowed is not None and not np.isfinite(blob.flowed).all():
            return ModelError(f"{net.model.name}: {text} from blob {name!r} downwards")
    return ModelError(f"{net.model.name}: {text}")


def mean_abs(g: Array) -> Array:
    """mean |g|, DeepDream's own."""
    return np.abs(g).mean(EACH, keepdims=True)


def std(g: Array) -> Array:
    """The standard deviation of g (the TensorFlow tutorial)."""
    apart = g - g.mean(EACH, keepdims=True)
    return np.sqrt((apart * apart).mean(EACH, keepdims=True))


def l1(g: Array) -> Array:
    """sum |g|"""
    return np.abs(g).sum(EACH, keepdims=True)


def l2(g: Array) -> Array:
    """The length of g."""
    return np.sqrt((g * g).sum(EACH, keepdims=True))


EACH = (1, 2, 3)  # norms are those of each picture of a batch

NORMS: dict[str, Callable[[Array], Array]] = {f.__name__: f for f in (mean_abs, std, l1, l2)}


def dream_step(
    net: Net,
    x: Array,
    shift: Array,
    step: Array,
    goal: Goal,
    bounds: tuple[Array, Array] | None,
    norm: Callable[[Array], Array] = mean_abs,
    smooth: float = 0.0,
) -> dict[str, Any]:
    """One step of DeepDream (google/deepdream, dream.ipynb) from the picture x (n, c, h, w).

    The net sees x rolled by `shift` (rows, columns); x += step / norm(g) * g; then x is held
    between `bounds`, its black and white, if they are given, and rolled back. `step` has the units
    of x. With `smooth`, g is blurred by a Gaussian of that many pixels first. A gradient of zero
    makes no step. Returns the new x as "x", the objective's value before the step, and the norm.
    """
    x = roll(x, shift, (2, 3))
    value, g = image_gradient(net, x, goal)
    if smooth:
        g = gaussian_blur(g, smooth)
    size = norm(g)
    x = x + step / np.where(size > 0, size, np.ones((), size.dtype)) * g
    if bounds is not None:
        x = np.clip(x, *bounds)
    x = unroll(x, shift, (2, 3))
    return {"x": x, "value": value, "norm": size}
