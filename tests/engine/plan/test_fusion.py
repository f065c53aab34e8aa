"""Which calls become one launch, and that joining them changes no result."""

import collections
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from oneiro import Net, Preprocess
from oneiro.ascent import NORMS
from oneiro.call import run
from oneiro.kernels.conv import conv
from oneiro.kernels.dispatch import Emulator
from oneiro.kernels.lrn import lrn, lrn_backward
from oneiro.kernels.pool import average_pool, max_pool, max_pool_backward
from oneiro.kernels.recorder import Recorder
from oneiro.kernels.relu import relu, relu_backward
from oneiro.kernels.resample import resample, selection
from oneiro.kernels.roll import unroll
from oneiro.kernels.symbol import Graph
from oneiro.kernels.window import sliding_window
from oneiro.methods.deepdream import step_plan
from oneiro.models import registry
from oneiro.objective import l2
from oneiro.plan.fusion import joined
from oneiro.plan.plan import placed
from oneiro.setting import Settings
from oracle import light, small

POINT = sliding_window((1, 1))
SHAPE = (2, 4, 5, 3)
RANDOM = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


X, Y, Z = (normal(*SHAPE) for _ in range(3))
W = normal(4, 4, 1, 1)
SCALE = normal(1, 4, 1, 1)


def calls_of(program: Callable[..., Any], *arrays: np.ndarray) -> list[str]:
    """What the program's calls are on a device, once they are joined; values are checked."""
    graph = Graph()
    symbols = [graph.input(f"x{k}", a.dtype, a.shape) for k, a in enumerate(arrays)]
    wanted = program(*arrays)
    made = program(*symbols)
    if not isinstance(made, tuple):
        made, wanted = (made,), (wanted,)
    device = Emulator(mode="check")
    calls = joined(placed(graph.calls, device), [symbol.name for symbol in made])
    if shutil.which("g++"):
        values = {symbol.name: device.place(a) for symbol, a in zip(symbols, arrays)}
        for call in calls:
            run(call, values)
        for symbol, value in zip(made, wanted, strict=True):
            np.testing.assert_allclose(np.asarray(values[symbol.name]), value, rtol=1e-4, atol=1e-4)
    return [call.function.__name__ for call in calls]


# Expressions.


def test_a_chain_is_one() -> None:
    assert calls_of(lambda x, y: np.exp(-x) * y + 1, X, Y) == ["4 steps"]


def test_a_diamond_is_one() -> None:
    def program(x: Any, y: Any) -> Any:
        top = x + y
        return np.tanh(top) * (np.abs(top) + 1) - top

    assert calls_of(program, X, Y) == ["6 steps"]


def test_what_others_read_too_stays() -> None:
    def program(x: Any, y: Any) -> Any:
        total = x + y
        return np.tanh(total) + total.max((2, 3), keepdims=True)

    assert calls_of(program, X, Y) == ["add", "max", "2 steps"]


def test_what_is_asked_for_stays() -> None:
    def program(x: Any, y: Any) -> Any:
        total = x + y
        return total, np.tanh(total)

    assert calls_of(program, X, Y) == ["add", "tanh"]


def test_other_shapes_stay_apart() -> None:
    """A row of the result is not an element of it: that would be worked out many times."""
    assert calls_of(lambda x, row: x * np.exp(row), X, normal(1, 1, 1, 3)) == ["exp", "multiply"]


def test_one_value_and_one_for_each_channel_are_worked_out_in_place() -> None:
    def program(x: Any, scale: Any, size: Any) -> Any:
        return x * (scale / np.where(size > 0, size, np.ones((), size.dtype)))

    assert calls_of(program, X, SCALE, np.abs(normal(1, 1, 1, 1))) == ["4 steps"]


# Kernels with something behind them.


@pytest.mark.parametrize(
    ("name", "kernel"),
    [
        ("conv", lambda x: conv(x, W, None, POINT, 1)),
        ("average_pool", lambda x: average_pool(x, sliding_window((3, 2), (), (1, 0, 1, 1)), True)),
        ("resample", lambda x: resample(x, selection(np.array([4, 0, 2, 2, 1]), 5), 2)),
        ("roll", lambda x: np.roll(x, np.array([2, -1]), (2, 3))),
        ("lrn_backward", lambda x: lrn_backward(x, X, *lrn(X, 3, 2.0, 0.8, 1.5)[1:], 3, 2.0, 0.8)),
        ("max_pool_backward", lambda x: max_pool_backward(x, *pooled(), SHAPE, PLAIN)),
    ],
)
def test_branches_and_gate_end_a_kernel(name: str, kernel: Callable[[Any], Any]) -> None:
    def program(x: Any, branch: Any, y: Any) -> Any:
        return relu_backward(branch + kernel(x), y) * 2

    assert calls_of(program, X, Y, Z) == [f"{name} + 3 steps"]


PLAIN = sliding_window((3, 3), (), (1, 1, 1, 1))


def pooled() -> tuple[np.ndarray]:
    return max_pool(X, PLAIN)[1:]


def test_one_kernel_leads() -> None:
    def program(x: Any, y: Any) -> Any:
        return conv(x, W, None, POINT, 1) + conv(y, W, None, POINT, 1)

    assert sorted(calls_of(program, X, Y)) == ["conv", "conv + 1 steps"]


def test_a_kernel_does_not_wait_for_what_it_ends_with() -> None:
    """As in a residual unit that begins with its activation."""

    def program(x: Any) -> Any:
        y = relu(x)
        return conv(y, W, None, POINT, 1) + y

    assert calls_of(program, X) == ["relu", "conv + 1 steps"]


def test_a_kernel_ends_with_what_fits_its_elements() -> None:
    def program(x: Any, row: Any) -> Any:
        return np.tanh(conv(x, W, None, POINT, 1) + row)

    row = normal(1, 1, 1, 3)
    for fitting, names in ((row, ["conv", "2 steps"]), (SCALE, ["conv + 2 steps"])):
        assert calls_of(program, X, fitting) == names
        assert calls_of(lambda x: program(x, fitting), X) == names  # noqa: B023


def test_a_kernel_ends_with_constants_of_any_type() -> None:
    mask = X > 0
    names = calls_of(lambda x: np.where(mask, conv(x, W, None, POINT, 1), np.float32(2)), X)
    assert names == ["conv + 1 steps"]


# Kernels with something in front.


@pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS)
def test_a_norm_is_a_launch_for_each_sum(norm: Callable[[Any], Any]) -> None:
    found = calls_of(lambda g: norm(g), normal(1, 3, 5, 7))
    assert (
        found
        == {
            "mean_abs": ["1 steps + mean"],
            "l1": ["1 steps + sum"],
            "l2": ["1 steps + sum", "sqrt"],
            "std": ["mean", "2 steps + mean", "sqrt"],
        }[norm.__name__]
    )


def test_an_update_is_one_launch_with_its_way_back_and_its_bounds() -> None:
    def program(x: Any, g: Any, shift: Any, step: Any, size: Any) -> Any:
        x = x + step / np.where(size > 0, size, np.ones((), size.dtype)) * g
        return np.clip(unroll(x, shift, (2, 3)), -(SCALE**2), np.float32(0.7))

    size = np.abs(normal(2, 1, 1, 1))
    found = calls_of(program, X, Y, np.array([3, -2]), SCALE, size[:1])
    assert found == ["5 steps + unroll + 2 steps"]
    # a norm for each picture is neither one value nor one for each channel
    found = calls_of(program, X, Y, np.array([3, -2]), SCALE, size)
    assert found == ["2 steps", "divide", "2 steps", "unroll + 2 steps"]


def test_what_a_sum_is_not_alone_to_read_stays() -> None:
    def program(x: Any) -> Any:
        square = x * x
        return square.sum(), square + 1

    assert calls_of(program, X) == ["multiply", "sum", "add"]


def test_what_a_kernel_makes_is_not_read_otherwise() -> None:
    """It ends with the expression instead."""

    def program(x: Any, branch: Any) -> Any:
        return np.abs(conv(x, W, None, POINT, 1) + branch).sum((2, 3))

    assert calls_of(program, X, Y) == ["conv + 2 steps", "sum"]


def test_integers_are_counted_as_they_are() -> None:
    assert calls_of(lambda x: (x > 0).astype(np.int64).sum(), X) == ["2 steps", "sum"]


# Steps of a dream, whose launches are counted: a join that is lost shows.


# the jitter, and the update with its way back and bounds; the objective, and the norm
ENDS = {"roll": 2, "reduce": 2}
POOLS = {"max_pool": 1, "max_pool_backward": 1}
AVERAGES = {"average_pool": 1, "average_pool_backward": 1}
LRN = {"lrn": 1, "lrn_backward": 1}


def times(count: int, launches: dict[str, int]) -> dict[str, int]:
    return {function: count * number for function, number in launches.items()}


LAUNCHES = {
    "branches": {"conv": 12, "pointwise": 10, **POOLS, **ENDS},
    "caffe": {"conv": 6, "pointwise": 10, **POOLS, **AVERAGES, **LRN, **ENDS},
    # what stays pointwise are the parts of a concatenation, copied into it and gated out of it
    "squeezenet": {"conv": 50, "pointwise": 33, **times(3, POOLS), **ENDS},
    "inception_v1": {"conv": 54, "pointwise": 33, **times(7, POOLS), **times(2, LRN), **ENDS},
}


def model(name: str, folder: Path) -> tuple[Path, str]:
    """A file, and the blob that a step climbs."""
    if name == "squeezenet":
        return registry.FOLDER / "squeezenet1.1.onnx", "fire9/concat"
    file = folder / "model.onnx"
    if name in light.NETWORKS:
        onnx.save(light.light(name), file)
        return file, light.NETWORKS[name].middle
    build, end = small.MODELS[name]
    onnx.save(build(), file)
    return file, end


@pytest.mark.parametrize("name", LAUNCHES)
def test_launches_of_a_step(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = Recorder()
    monkeypatch.setattr("oneiro.net.device_named", lambda *_: device)
    file, end = model(name, tmp_path)
    net = Net(file, device="emulator")
    settings = Settings((end,), 1, 3, True, "mean_abs", 0)
    bounds = Preprocess(110).bounds(net.channels, net.dtype)
    plan = step_plan(net, (1, net.channels, 63, 64), {end: l2}, bounds, settings)
    zeros = {key: np.zeros(shape, dtype) for key, (dtype, shape) in plan.inputs.items()}
    inputs = {key: net.place(value) for key, value in zeros.items()}
    device.launches.clear()
    plan(**inputs)
    # a convolution is a launch of some version, and may take a second to sum up
    functions = [launch.function for launch in device.launches if launch.function != "sum_splits"]
    counts = collections.Counter("conv" if f.startswith("conv_") else f for f in functions)
    assert counts == LAUNCHES[name]
    assert plan.calls[-1].function.__name__ == "7 steps + unroll"
