"""What is in a file, and what is not: each thing once, and nothing that was known beforehand."""

from collections import Counter
from collections.abc import Callable

import onnx
import onnx.parser
import pytest
from onnx import numpy_helper

from oneiro import Net, Preprocess, export
from oneiro.objective import l2
from oracle import small

TURNING = {"Cast", "Transpose", "Reshape", "Slice"}  # filters, for the way back


@pytest.fixture
def mobile(net_of: Callable[..., Net]) -> Net:
    net = net_of(small.mobile())
    net.preprocessing = Preprocess((90.0, 110.0, 130.0), (0.5, 0.25, 2.0), "BGR")
    return net


def loops(graph: onnx.GraphProto) -> list[onnx.GraphProto]:
    """The bodies of all its loops, also of those inside others."""
    inner = [attribute.g for node in graph.node for attribute in node.attribute if attribute.g.node]
    return [found for body in inner for found in (body, *loops(body))]


def operators(model: onnx.ModelProto) -> Counter[str]:
    graphs = [model.graph, *loops(model.graph)]
    return Counter(node.op_type for graph in graphs for node in graph.node)


@pytest.mark.parametrize("size", [None, (61, 83)])
def test_loops_work_out_nothing_that_is_known(mobile: Net, size: tuple[int, int] | None) -> None:
    """Such as the gains of a normalisation, again in each step."""
    model = export(mobile, "dream", {"stem": l2}, size=size)
    known = {tensor.name for tensor in model.graph.initializer}
    bodies = loops(model.graph)
    assert bodies
    for body in bodies:
        for node in body.node:
            if known.issuperset(node.input):
                assert node.op_type in TURNING
                known.update(node.output)


@pytest.mark.parametrize("what", ["gradient", "step", "dream"])
def test_what_is_equal_is_stored_once(mobile: Net, what: str) -> None:
    model = export(mobile, what, "end", size=(61, 83))
    weights = {name.removesuffix("_f16") for name in mobile.constants}
    arrays = [
        (array.dtype, array.shape, array.tobytes())
        for array, name in ((numpy_helper.to_array(t), t.name) for t in model.graph.initializer)
        if name.removesuffix("_f16") not in weights
    ]
    assert len(arrays) == len({*arrays})


def test_a_dream_of_any_size_holds_the_network_once(net_of: Callable[..., Net]) -> None:
    net = net_of(small.branches())
    net.preprocessing = Preprocess(128.0)
    gradient, dream = (operators(export(net, what, "mixed")) for what in ("gradient", "dream"))
    assert dream["Conv"] == gradient["Conv"] > 0


def test_a_rectifier_with_a_ceiling_is_gone_back_through_by_one_choice(
    net_of: Callable[..., Net],
) -> None:
    text = """
        <ir_version: 8, opset_import: ["" : 17]>
        clipped (float[N, 3, H, W] data) => (float[N, 3, H, W] end)
        <float low = {0.0}, float high = {6.0}> { end = Clip (data, low, high) }
    """
    net = net_of(onnx.parser.parse_model(text))
    found = operators(export(net, "gradient", {"end": l2}, input="net"))
    assert found["Where"] == found["And"] == 1


def test_a_blob_may_be_called_like_what_a_loop_makes(net_of: Callable[..., Net]) -> None:
    def dreaming(name: str) -> onnx.ModelProto:
        text = f"""
            <ir_version: 8, opset_import: ["" : 17]>
            rectified (float[N, 3, H, W] data) => (float[N, 3, H, W] {name})
            {{ {name} = Relu (data) }}
        """
        net = net_of(onnx.parser.parse_model(text))
        net.preprocessing = Preprocess(128.0)
        return export(net, "dream", {name: l2})

    taken = loops(dreaming("end").graph)[-1].node[0].output[0]
    model = dreaming(taken)
    made = [name for body in loops(model.graph) for node in body.node for name in node.output]
    assert len(made) == len({*made})
    assert taken in made
