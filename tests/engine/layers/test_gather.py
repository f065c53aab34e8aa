"""Indices that name no place."""

from typing import Any

import numpy as np
import pytest

from oneiro.kernels.symbol import Graph
from oneiro.layer import Layer
from oneiro.layers.gather import Gather, GatherElements, GatherND
from oneiro.layers.scatter import ScatterElements, ScatterND


@pytest.mark.parametrize(
    ("layer", "indices", "message"),
    [
        (Gather(), [0, 2], "indices from 0 to 2 do not lie on an axis of 2"),
        (Gather(axis=1), [-4, 1], "indices from -4 to 1 do not lie on an axis of 3"),
        (Gather(axis=3), [0], "out of bounds"),
        (GatherElements(), [[0, 1]], r"indices of \(1, 2\) do not fit into \(2, 3, 4\)"),
        (GatherElements(axis=1), [[[0], [2]]] * 3, r"indices of \(3, 2, 1\) do not fit"),
        (GatherElements(axis=-1), [[[4]]], "indices from 4 to 4 do not lie on an axis of 4"),
        (GatherND(), [[0, 0, 0, 0]], r"indices of \(1, 4\) are no places in \(2, 3, 4\)"),
        (GatherND(), [[0, 3]], "indices from 3 to 3 do not lie on an axis of 3"),
        (GatherND(batch_dims=1), [[0], [0], [0]], "are no places"),
        (GatherND(batch_dims=2), [[0], [0]], "are no places"),
        (GatherND(batch_dims=-1), [[0], [0]], "are no places"),
        (GatherND(), 0, "are no places"),
    ],
)
@pytest.mark.parametrize("traced", [False, True], ids=["array", "symbol"])
def test_no_such_place(layer: Layer, indices: Any, message: str, traced: bool) -> None:
    shape = (2, 3, 4)
    x = Graph().input("x", np.float32, shape) if traced else np.zeros(shape, np.float32)
    with pytest.raises(ValueError, match=message):
        layer.forward(x, np.array(indices))


@pytest.mark.parametrize(
    ("layer", "indices", "updates", "message"),
    [
        (ScatterElements(), [[0, 1, 0]], [[1.0]], r"updates of \(1, 1\) do not fit"),
        (ScatterElements(), [[0, 2, 0]], [[1.0, 2, 3]], "indices from 0 to 2 do not lie"),
        (ScatterElements(reduction="mean"), [[0]], [[1.0]], "'mean' is not one of none, add"),
        (ScatterND(), [[0], [1]], [[1.0, 2, 3]], r"updates of \(1, 3\) do not fit"),
        (ScatterND(reduction="mean"), [[0]], [[1.0, 2, 3]], "'mean' is not one of none, add"),
    ],
)
def test_nothing_is_written_elsewhere(
    layer: Layer, indices: Any, updates: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        layer.forward(np.zeros((2, 3)), np.array(indices), np.array(updates))


@pytest.mark.parametrize(
    ("layer", "updates"),
    [(ScatterElements(reduction="max"), [[1.0, 2]]), (ScatterND(reduction="mul"), [1.0])],
)
def test_products_and_maxima_have_no_gradient(layer: Layer, updates: Any) -> None:
    y = layer.forward(np.zeros((2, 3)), np.array([[0, 1]]), np.array(updates))
    with pytest.raises(ValueError, match="has no gradient here"):
        layer.backward(y)
