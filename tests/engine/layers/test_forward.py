"""Every layer gives what onnxruntime gives for a model of that one node."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from onnx import ModelProto, defs

from oneiro import Net
from oneiro.layer import LAYERS
from oracle.case import Case, every
from oracle.node import judged, model_of

pytest.importorskip("onnxruntime", reason="onnxruntime is the judge")


@pytest.mark.parametrize("case", every().values(), ids=every())
def test_layers_agree_with_onnxruntime(case: Case, net_of: Callable[[ModelProto], Net]) -> None:
    """What a layer reads as numbers may stand in the file or be fed."""
    expected = judged(case)
    for constant in {case.layer.numbers, ()}:
        model, feeds = model_of(case, constant)
        net = net_of(model)
        tops = net.forward(feeds)
        for name, truth in zip(net.outputs, expected, strict=True):
            top = np.asarray(tops[name])
            assert top.dtype == truth.dtype
            scale = np.abs(truth[np.isfinite(truth)]).max(initial=0)
            np.testing.assert_allclose(top, truth, 1e-5, 1e-6 * scale)


@pytest.mark.parametrize("name", LAYERS)
def test_layers_know_every_attribute_of_their_operator(name: str) -> None:
    fields = {field.name for field in dataclasses.fields(LAYERS[name])}  # type: ignore[arg-type]
    assert defs.get_schema(name).attributes.keys() <= fields
