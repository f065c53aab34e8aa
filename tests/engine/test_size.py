"""Which sizes of picture a network takes."""

from collections.abc import Callable

import numpy as np
import pytest

from oneiro import ModelError, Net
from oneiro.size import accepted_size
from oracle.notation import network


def test_a_network_for_one_size_says_which(net_of: Callable[..., Net]) -> None:
    model = network("a = Reshape (x, k) y = Softmax (a)", k=np.array([3, 20, 60]))
    for dim, size in zip(model.graph.input[0].type.tensor_type.shape.dim, (1, 3, 40, 30)):
        dim.dim_value = size
    net = net_of(model)
    assert accepted_size(net, ["y"], 40, 30) == (40, 30)
    with pytest.raises(ModelError, match="its file is for 30x40 px: give a picture of that size"):
        accepted_size(net, ["y"], 33, 33)
