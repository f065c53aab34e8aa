"""Every layer's way back is the adjoint of its derivative, and every layer can be traced."""

from typing import Any

import numpy as np
import pytest

from oneiro.call import filled, run
from oneiro.kernels.symbol import Graph
from oneiro.layer import LAYERS
from oracle.adjoint import as_tuple, check_adjoint
from oracle.case import Case, every, normal, random

CASES = every()
MOVED = {name: case for name, case in CASES.items() if case.towards}

# between them lie integers, which cannot be moved a little: test_quantize.py proves the two
STRAIGHT_THROUGH = {"QuantizeLinear", "DequantizeLinear"}


def test_every_layer_has_a_case() -> None:
    assert {type(case.layer).__name__ for case in CASES.values()} == LAYERS.keys()


def test_layers_with_a_derivative_are_those_that_cases_move() -> None:
    differentiable = {name for name, layer in LAYERS.items() if layer.differentiable}
    moved = {type(case.layer).__name__ for case in MOVED.values()}
    assert moved == differentiable - STRAIGHT_THROUGH


@pytest.mark.parametrize("case", MOVED.values(), ids=MOVED)
def test_backward_is_the_adjoint_of_the_derivative(case: Case) -> None:
    layer = case.layer
    check_adjoint(layer.forward, layer.backward, case.bottoms, case.towards, random)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("rule", ["backward", "backward_guided", "backward_deconv"])
def test_layers_trace_and_claim_the_truth(case: Case, rule: str) -> None:
    """On symbols a layer notes the calls that it makes on arrays, their shapes and types."""
    graph = Graph()
    read = case.towards or [
        k
        for k, b in enumerate(case.bottoms)
        if isinstance(b, np.ndarray) and k not in case.layer.numbers
    ]
    bottoms = [
        graph.input(f"x{k}", b.dtype, b.shape) if k in read else b
        for k, b in enumerate(case.bottoms)
    ]
    values = {f"x{k}": case.bottoms[k] for k in read}
    tops = as_tuple(case.layer.forward(*bottoms))
    diffs: tuple[Any, ...] = ()
    expected = as_tuple(case.layer.forward(*case.bottoms))
    wanted: tuple[Any, ...] = ()
    if case.towards:
        seeds = [normal(*top.shape) for top in expected]
        dys = [graph.input(f"dy{k}", float, seed.shape) for k, seed in enumerate(seeds)]
        values |= {f"dy{k}": seed for k, seed in enumerate(seeds)}
        wanted = as_tuple(getattr(case.layer, rule)(*seeds))
        case.layer.forward(*bottoms)
        diffs = as_tuple(getattr(case.layer, rule)(*dys))
    values |= graph.constants
    for call in graph.calls:
        run(call, values)
        for symbol in call.results:
            assert symbol.dims == values[symbol.name].shape, call.function
            assert symbol.dtype == values[symbol.name].dtype, call.function
    # deconv sends back to the picture's side alone
    sides = [k for k in case.towards if k < len(diffs)]
    results = filled([*tops, *(diffs[k] for k in sides)], values)
    for result, truth in zip(results, [*expected, *(wanted[k] for k in sides)], strict=True):
        np.testing.assert_array_equal(result, truth)
