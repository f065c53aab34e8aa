"""The executor of the base install makes the same bits for any number of threads."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from threadpoolctl import threadpool_limits

from oneiro import Net, Plan
from oneiro.ascent import image_gradient
from oneiro.kernels import crew
from oneiro.objective import l2
from oracle import light, small


@pytest.fixture(autouse=True)
def always_woken(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(crew, "WAKING", 0)
    yield
    crew.use(None)


@pytest.mark.parametrize(
    ("make", "end"),
    [(lambda: light.light("inception_v1"), light.NETWORKS["inception_v1"].end), (small.vit, "end")],
)
def test_threads_change_no_bit(
    tmp_path: Path, make: Callable[[], onnx.ModelProto], end: str
) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(make(), path)
    net = Net(path, executor="numpy")

    def program(net: Net, x: Any) -> Mapping[str, Any]:
        return {"gradient": image_gradient(net, x, {end: l2}, "gradient")[1]}

    x = np.random.default_rng(0).normal(size=(1, net.channels, 71, 90)).astype(np.float32)
    plan = Plan(net, program, x=(np.float32, x.shape))
    found = []
    for count in (1, 2, 5):
        crew.use(count)
        with threadpool_limits(count, user_api="blas"):
            found.append(plan(x=x)["gradient"])
            net.forward({net.input: x})
            net.blobs[end].diff = net.blobs[end].data
            found.append(net.backward(end)[net.input])
    for other in found[2:]:
        np.testing.assert_array_equal(other, found[0])
    np.testing.assert_array_equal(found[1], found[0])
