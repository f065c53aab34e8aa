"""Every layer's way back is the adjoint of its derivative, and every layer can be traced."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest

from oneiro import importer  # noqa: F401  (fills the registry)
from oneiro.kernels.symbol import Graph
from oneiro.layer import LAYERS, Layer
from oneiro.plan import filled, run
from oracle.adjoint import check_adjoint


class Case(NamedTuple):
    """A layer, what it reads, and which of that has a diff."""

    layer: Layer
    bottoms: Sequence[Any]
    towards: Sequence[int] = (0,)


random = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return random.normal(size=shape)


def apart(*shape: int) -> np.ndarray:
    """Values far from 0 and from each other: no kink lies within the step of the check."""
    count = int(np.prod(shape))
    values = (random.permutation(count) + 1.0) / count * 3
    return (values * random.choice([-1, 1], count)).reshape(shape)


def make(name: str, **attributes: Any) -> Layer:
    return LAYERS[name](**attributes)


PICTURE = (2, 3, 7, 11)


def cases() -> Iterator[Case]:
    x = apart(*PICTURE)
    yield Case(make("Relu"), [x])
    yield Case(make("LeakyRelu", alpha=0.3), [x])
    yield Case(make("PRelu"), [x, normal(3, 1, 1)], (0, 1))
    yield Case(make("Clip"), [x, np.array(0.0), np.array(1.7)])
    yield Case(make("Clip"), [x, np.array(-1.1)])
    yield Case(make("Clip"), [x, None, np.array(0.9)])
    yield Case(make("Sigmoid"), [3 * x])
    for axis in (1, -1):
        yield Case(make("Softmax", axis=axis), [x])

    for attributes, filters in [
        ({"pads": [1, 0, 2, 1], "strides": [2, 3]}, (4, 3, 3, 2)),
        ({"dilations": [2, 3], "group": 3}, (6, 1, 2, 3)),
        ({"auto_pad": "SAME_UPPER", "strides": [2, 2]}, (4, 3, 3, 2)),
        ({"auto_pad": "SAME_LOWER", "strides": [3, 2]}, (4, 3, 4, 4)),
        ({"auto_pad": "VALID"}, (4, 3, 1, 1)),
    ]:
        yield Case(
            make("Conv", **attributes), [normal(*PICTURE), normal(*filters), normal(filters[0])]
        )

    for attributes in (
        {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 0, 1]},
        {"kernel_shape": [3, 3], "strides": [2, 3], "ceil_mode": 1},
        {"kernel_shape": [3, 4], "strides": [2, 2], "pads": [1, 1, 1, 1], "ceil_mode": 1},
        {"kernel_shape": [2, 3], "dilations": [2, 3]},
        {"kernel_shape": [2, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"},
    ):
        yield Case(make("MaxPool", **attributes), [x])
        for include in (0, 1):
            yield Case(make("AveragePool", **attributes, count_include_pad=include), [x])
    yield Case(make("GlobalAveragePool"), [x])
    yield Case(make("GlobalMaxPool"), [x])

    for size in (3, 4, 5):
        lrn = make("LRN", size=size, alpha=2.0, beta=0.8, bias=1.5)
        yield Case(lrn, [normal(2, 7, 3, 5)])
    statistics = [normal(3), normal(3), normal(3), 0.5 + np.abs(normal(3))]
    yield Case(make("BatchNormalization", epsilon=0.3), [normal(*PICTURE), *statistics])

    for name in ("Add", "Sub", "Mul"):
        yield Case(make(name), [normal(2, 3, 7, 11), normal(2, 3, 7, 11)], (0, 1))
        yield Case(make(name), [normal(2, 1, 7, 11), normal(3, 1, 1)], (0, 1))
    yield Case(make("Div"), [normal(2, 1, 7, 11), 1 + np.abs(normal(3, 1, 1))], (0, 1))
    yield Case(make("Sum"), [normal(2, 3, 5), normal(3, 5), normal(2, 1, 5)], (0, 1, 2))
    yield Case(
        make("Concat", axis=1), [normal(2, 3, 5), normal(2, 4, 5), normal(2, 1, 5)], (0, 1, 2)
    )

    yield Case(
        make("Gemm", alpha=0.7, beta=1.3), [normal(3, 5), normal(5, 4), normal(4)], (0, 1, 2)
    )
    yield Case(make("Gemm", transA=1, transB=1), [normal(5, 3), normal(4, 5)], (0, 1))
    yield Case(make("MatMul"), [normal(2, 3, 4, 5), normal(5, 6)], (0, 1))
    yield Case(make("MatMul"), [normal(3, 4, 5), normal(2, 3, 5, 6)], (0, 1))

    yield Case(make("Flatten"), [normal(2, 3, 5, 7)])
    yield Case(make("Flatten", axis=3), [normal(2, 3, 5, 7)])
    yield Case(make("Reshape"), [normal(2, 3, 5, 4), np.array([0, -1, 10])])
    yield Case(make("Transpose", perm=[2, 0, 3, 1]), [normal(2, 3, 5, 7)])
    yield Case(make("Transpose"), [normal(2, 3, 5)])
    yield Case(make("Squeeze"), [normal(2, 1, 5, 1), np.array([-1, 1])])
    yield Case(make("Squeeze"), [normal(2, 1, 5, 1)])
    yield Case(make("Unsqueeze"), [normal(2, 5), np.array([0, -1])])
    yield Case(make("ReduceMean", keepdims=0), [normal(2, 3, 5, 7), np.array([-1, 1])])
    yield Case(make("ReduceMean"), [normal(2, 3, 5)])
    yield Case(make("Pad"), [normal(2, 3, 5, 7), np.array([0, 1, 2, -1, 1, 0, -3, 4])])
    yield Case(
        make("Pad"), [normal(2, 3, 5, 7), np.array([1, 2, 3, 0]), np.array(2.5), np.array([2, -1])]
    )
    yield Case(make("Identity"), [normal(2, 3)])
    yield Case(make("Dropout"), [normal(2, 3)])
    yield Case(make("Cast", to=np.dtype(float)), [normal(2, 3)])

    for mode in ("nearest", "linear"):
        for coordinates in ("half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners"):
            resize = make("Resize", mode=mode, coordinate_transformation_mode=coordinates)
            yield Case(resize, [normal(2, 3, 5, 7), None, np.array([1, 1, 2.3, 0.6])])
            yield Case(resize, [normal(2, 3, 5, 7), None, None, np.array([2, 3, 4, 13])])


CASES = list(cases())
IDS = [f"{type(case.layer).__name__}{k}" for k, case in enumerate(CASES)]


def test_every_layer_with_a_derivative_has_a_case() -> None:
    differentiable = {name for name, layer in LAYERS.items() if layer.differentiable}
    assert {type(case.layer).__name__ for case in CASES} == differentiable


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_backward_is_the_adjoint_of_the_derivative(case: Case) -> None:
    layer = case.layer
    check_adjoint(layer.forward, layer.backward, case.bottoms, case.towards, random)


@pytest.mark.parametrize("case", CASES, ids=IDS)
@pytest.mark.parametrize("rule", ["backward", "backward_guided", "backward_deconv"])
def test_layers_trace_and_claim_the_truth(case: Case, rule: str) -> None:
    """On symbols a layer notes the calls that it makes on arrays, their shapes and types."""
    graph = Graph()
    bottoms = [
        graph.input(f"x{k}", b.dtype, b.shape) if k in case.towards else b
        for k, b in enumerate(case.bottoms)
    ]
    top = case.layer.forward(*bottoms)
    dy = graph.input("dy", top.dtype, top.dims)
    diffs = getattr(case.layer, rule)(dy)
    diffs = diffs if isinstance(diffs, tuple) else (diffs,)

    expected = case.layer.forward(*case.bottoms)
    values = {f"x{k}": case.bottoms[k] for k in case.towards}
    values |= graph.constants | {"dy": normal(*expected.shape)}
    expected_diffs = getattr(case.layer, rule)(values["dy"])
    expected_diffs = expected_diffs if isinstance(expected_diffs, tuple) else (expected_diffs,)
    for call in graph.calls:
        run(call, values)
        for symbol in call.results:
            assert symbol.dims == values[symbol.name].shape, call.function
            assert symbol.dtype == values[symbol.name].dtype, call.function
    # deconv sends back to the picture's side alone
    sides = [k for k in case.towards if k < len(diffs)]
    results = filled([top, *(diffs[k] for k in sides)], values)
    for result, wanted in zip(results, [expected, *(expected_diffs[k] for k in sides)]):
        np.testing.assert_array_equal(result, wanted)
