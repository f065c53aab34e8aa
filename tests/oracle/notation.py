"""Models in ONNX's own notation, for tests that are about a graph and not about its weights."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, numpy_helper

from oneiro import ModelError, Net


def network(
    nodes: str,
    opset: int = 18,
    declared: Sequence[int | str] = ("n", 3, "h", "w"),
    **constants: Any,
) -> ModelProto:
    """A picture x to y by nodes in ONNX's own notation, `[name] y = Op <attribute = 1> (x)`.

    `declared` are the sizes that the file gives x; those with a name may vary.
    """
    header = f'<ir_version: 8, opset_import: ["": {opset}, "com.microsoft.nchwc": 1]>'
    ends = f"(float[{', '.join(map(str, declared))}] x) => (float[n, c, p, q] y)"
    model = onnx.parser.parse_model(f"{header} network {ends} {{ {nodes} }}")
    tensors = [numpy_helper.from_array(np.asarray(a), name) for name, a in constants.items()]
    model.graph.initializer.extend(tensors)
    return model


def refusal(tmp_path: Path, content: bytes | ModelProto) -> str:
    """The error of a file of this content without the file's name, which it starts with."""
    path = tmp_path / "bad.onnx"
    path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
    with pytest.raises(ModelError) as caught:
        Net(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")
