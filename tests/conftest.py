"""What many tests share: networks from ONNX models that a test builds."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto
from threadpoolctl import threadpool_limits

from oneiro import Net


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Arrays this small gain nothing by a second thread, and lose much on a busy machine."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def walker() -> Iterator[ModuleType]:
    """The judge that computes with torch, in one thread."""
    torch = pytest.importorskip("torch", reason="the walker computes with torch")
    from oracle import walker

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield walker
    torch.set_num_threads(threads)


@pytest.fixture
def net_of(tmp_path: Path) -> Callable[..., Net]:
    """net_of(model, dtype=np.float32): the Net of an ONNX model, by way of a file."""

    def make(model: ModelProto, dtype: Any = np.float32) -> Net:
        path = tmp_path / "model.onnx"
        path.write_bytes(model.SerializeToString())
        return Net(path, dtype=dtype)

    return make
