"""Small models to start from: every layer's cases, old forms, graphs, and hostile ideas."""

import functools
from collections.abc import Iterator
from pathlib import Path
from random import Random

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper

from oneiro.layer import LAYERS
from oracle import case, small
from oracle.node import model_of
from oracle.notation import network

CORPUS = Path(__file__).parent / "corpus"  # files that once broke the promise
LARGEST = 12_000  # bytes of a seed: larger ones spend the time on weights

# what the importer has to say in today's words: (opset, node)
OLD = (
    (6, "y = Add <axis = 1, broadcast = 1> (x, v)"),
    (6, "y = PRelu (x, v)"),
    (6, "y = BatchNormalization <is_test = 1, spatial = 1> (x, v, v, v, v)"),
    (6, "y = Dropout <is_test = 1, ratio = 0.5> (x)"),
    (6, "y = Gemm <broadcast = 1> (m, m, m)"),
    (8, "y = ImageScaler <scale = 2.0, bias = [1.0, 2.0, 3.0]> (x)"),
    (8, "y = Upsample <scales = [1.0, 1.0, 2.0, 1.5]> (x)"),
    (9, "y = Upsample <mode = \"linear\"> (x, scales)"),
    (10, "y = Resize (x, scales)"),
    (9, "y = Slice <axes = [2, 3], ends = [9, -1], starts = [1, 0]> (x)"),
    (9, "y, z = TopK <axis = 1, k = 2> (x)"),
    (10, "y = Clip <max = 0.5, min = -0.5> (x)"),
    (10, "y = Pad <pads = [0, 0, 1, 0, 0, 0, 0, 2], value = 0.25> (x)"),
    (10, "y = Scatter <axis = 1> (v, i, v)"),
    (11, "y = ReduceSum <axes = [2], keepdims = 0> (x)"),
    (12, "a = Unsqueeze <axes = [0]> (x) y = Squeeze <axes = [0]> (a)"),
    (12, "y = LogSoftmax <axis = 2> (x)"),
    (12, "y, z = Split <axis = 1, split = [1, 2]> (x)"),
)  # fmt: skip

# what the importer works out, sorts, or says for pictures of any size
GRAPHS = (
    "y = Add (a, b) a = Relu (x) b = Neg (a)",
    "s = Shape (x) n = Gather (s, i) y = ConstantOfShape (n)",
    "a = Relu (v) b = Exp (a) c = Concat <axis = 0> (b, v) d = Expand (c, i) y = Mul (x, c)",
    "a = NonZero (v) y = Add (x, v)",
    "a = Compress <axis = 0> (v, k) b = Hardmax (m) y = Add (x, v)",
    "a = Transpose <perm = [0, 3, 1, 2]> (x) y = Relu (a)",
    "a = Reshape (x, apart) b = Transpose <perm = [0, 2, 1, 3, 4]> (a) y = Reshape (b, together)",
    "a = LSTM <hidden_size = 3> (x, m, m) y = Relu (x)",
    "a = Range (zero, three, one) b = Tile (v, i) y = Mul (x, v)",
)
CONSTANTS = {
    "v": np.float32([1, -2, 3]),
    "m": np.float32([[1, 2], [3, 4]]),
    "i": np.int64([1, 0, 2]),
    "k": np.array([True, False, True]),
    "scales": np.float32([1, 1, 2, 1.5]),
    "apart": np.int64([1, 3, 1, 13, 18]),
    "together": np.int64([1, 3, 13, 18]),
    "zero": np.int64(0),
    "one": np.int64(1),
    "three": np.int64(3),
}


@functools.cache
def seeds() -> dict[str, list[bytes]]:
    """The corpus, in groups that deserve the same attention."""
    groups: dict[str, list[ModelProto]] = {name: [] for name in sorted(LAYERS)}
    for found in case.every().values():
        operator = type(found.layer).__name__
        operands = range(1, len(found.bottoms))  # computed, or stored behind the first
        groups[operator] += [model_of(found, k)[0] for k in (found.layer.numbers, operands)]
    groups["small"] = [make() for make, *_ in small.MODELS.values()]
    groups["old"] = [network(node, opset, **CONSTANTS) for opset, node in OLD]
    groups["graph"] = [network(nodes, **CONSTANTS) for nodes in GRAPHS]
    groups["outside"] = list(outside())
    groups["inside"] = [functions(), branches()]
    contents = {
        name: [model.SerializeToString() for model in models] for name, models in groups.items()
    }
    contents["corpus"] = [path.read_bytes() for path in sorted(CORPUS.glob("*.onnx"))]
    return {
        name: fitting
        for name, group in contents.items()
        if (fitting := [content for content in group if len(content) <= LARGEST])
    }


def seed(random: Random) -> bytes:
    """One of the corpus."""
    return random.choice(random.choice(list(seeds().values())))


def outside() -> Iterator[ModelProto]:
    """Weights in files of their own: one that is there, of 64 bytes, and ways out of the folder."""
    for location in ("weights.bin", "link.bin", "hard.bin", "linked/weights.bin", "../weights.bin"):
        model = network("y = Mul (x, w)", w=np.float32([[1, 2]]))
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in {"location": location, "offset": "8", "length": "8"}.items():
            tensor.external_data.add(key=key, value=value)
        yield model


def functions() -> ModelProto:
    """A function that calls a function."""
    model = network("a = Relu (x) y = Placeholder (a)")
    model.graph.node[1].CopyFrom(helper.make_node("F", ["a"], ["y"], domain="my"))
    model.opset_import.append(helper.make_opsetid("my", 1))
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("my", 1)]
    for name, domain, inner in (("F", "my", "G"), ("G", "", "Relu")):
        node = helper.make_node(inner, ["p"], ["q"], domain=domain)
        model.functions.append(helper.make_function("my", name, ["p"], ["q"], [node], opsets))
    return model


def branches() -> ModelProto:
    """An If on a constant."""
    model = network("y = Placeholder (x)", k=True)
    branch = onnx.parser.parse_graph("branch () => (float[n] end) { end = Relu (x) }")
    chosen = helper.make_node("If", ["k"], ["y"], then_branch=branch, else_branch=branch)
    model.graph.node[0].CopyFrom(chosen)
    return model
