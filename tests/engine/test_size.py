"""Which sizes of picture a network takes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import oneiro
from oneiro import ModelError, Net
from oneiro.size import accepted_size, takes_batch, usual_size
from oracle.notation import network


def test_a_network_for_one_size_says_which(net_of: Callable[..., Net]) -> None:
    nodes = "a = Reshape (x, k) y = Softmax (a)"
    net = net_of(network(nodes, declared=(1, 3, 40, 30), k=np.array([3, 20, 60])))
    assert accepted_size(net, ["y"], 40, 30) == (40, 30)
    with pytest.raises(ModelError, match="its file is for 30x40 px: give a picture of that size"):
        accepted_size(net, ["y"], 33, 33)


@pytest.mark.parametrize(
    ("declared", "size"),
    [((1, 3, 33, 44), (33, 44)), ((1, 3, "h", 44), (224, 44)), ((1, 3, "h", "w"), (224, 224))],
)
def test_the_usual_size(tmp_path: Path, declared: Any, size: tuple[int, int]) -> None:
    path = tmp_path / "g.onnx"
    path.write_bytes(network("y = Relu (x)", declared=declared).SerializeToString())
    assert usual_size(oneiro.load(path)) == size
    assert usual_size(oneiro.load(path, size=55)) == (55, 55)


def test_who_takes_a_batch(net_of: Callable[..., Net]) -> None:
    rows = "y = Reshape (x, k) z = Relu (x)"
    net = net_of(network(rows, declared=("n", 3, "h", "w"), k=np.array([1, -1])))
    assert takes_batch(net, ["z"], (5, 3, 4, 6))
    assert not takes_batch(net, ["z", "y"], (5, 3, 4, 6))  # all pictures make one row
    one = net_of(network("y = Relu (x)", declared=(1, 3, 4, 6)))
    assert takes_batch(one, ["y"], (5, 3, 4, 6))  # what is declared does not bind
