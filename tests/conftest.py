"""What many tests share: networks from ONNX models that a test builds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto

from oneiro import Net


@pytest.fixture
def net_of(tmp_path: Path) -> Callable[..., Net]:
    """net_of(model, dtype=np.float32): the Net of an ONNX model, by way of a file."""

    def make(model: ModelProto, dtype: Any = np.float32) -> Net:
        path = tmp_path / "model.onnx"
        path.write_bytes(model.SerializeToString())
        return Net(path, dtype=dtype)

    return make
