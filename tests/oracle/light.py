"""Nine real topologies, offline: the "light" models of the onnx wheel with weights that matter.

The wheel ships AlexNet, DenseNet-121, two Inceptions, ResNet-50, ShuffleNet, SqueezeNet, VGG-19 and
ZFNet with every large weight a ConstantOfShape of 0.02, which makes all outputs alike. `light`
draws all float weights anew: He-normal for 2-D and up, U(0.5, 1.5) for 1-D. On noise of the range
of a real picture (`noise`) every blob then has a standard deviation between 6 and 5000 (ShuffleNet:
42000) and is positive in a third of its places or more. One thing needs taming: the residual sums
of ResNet-50 and ShuffleNet would double the energy each, up to 1e6, so the BatchNormalization
scales that feed a Sum are halved.

The files declare 224 px and end in layers of a fixed size (a constant Reshape and Gemm, a 7x7
pool). `light` cuts below those, at `NETWORKS[name].end`, and then 224 binds nobody but the channel
shuffles of ShuffleNet, which are constant Reshapes: a judge that takes them at their word reads
`for_size(model, size)`.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper

from oracle.runtime import cut, picture_input

FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


@dataclass(frozen=True)
class Network:
    """What a test must know of a light network."""

    input: str
    middle: str  # a blob half way up
    end: str  # the last blob with a height and a width below the first fixed-size layer
    sizes: tuple[tuple[int, int], ...] = ((64, 96), (96, 64), (128, 96))  # (height, width)


NETWORKS = {
    "bvlc_alexnet": Network("data_0", middle="r9", end="r14"),
    "densenet121": Network("data_0", middle="r353", end="r907"),
    "inception_v1": Network("data_0", middle="r66", end="r137"),
    # At 64 px its 3x3 averages over two cells are equal, so the max-pool above them breaks an exact
    # tie by rounding: the same gradient either way, but another one under guided and deconv.
    "inception_v2": Network("data_0", middle="r263", end="r504", sizes=((96, 128), (128, 96))),
    "resnet50": Network("gpu_0/data_0", middle="r109", end="r171"),
    "shufflenet": Network("gpu_0/data_0", middle="r92", end="r198"),
    "squeezenet": Network("data_0", middle="r31", end="r64"),
    "vgg19": Network("data_0", middle="r22", end="r36"),
    "zfnet512": Network("gpu_0/data_0", middle="r9", end="r14"),
}
NAMES = tuple(NETWORKS)


def light(name: str, seed: int = 0, end: str = "") -> ModelProto:
    """The light network `name` up to its `end`, every float weight drawn from `seed`.

    With another `end` it may have the layers of a fixed size too.
    """
    model = cut(onnx.load(FOLDER / f"light_{name}.onnx"), end or NETWORKS[name].end)
    graph = model.graph
    sizes = None if end else [None] * 4
    graph.output[0].type.CopyFrom(helper.make_tensor_type_proto(TensorProto.FLOAT, sizes))
    picture = picture_input(model)
    stored = {tensor.name: tensor for tensor in graph.initializer}

    shapes = {t.name: tuple(t.dims) for t in graph.initializer if t.data_type == TensorProto.FLOAT}
    nodes = []
    for node in graph.node:
        if node.op_type == "ConstantOfShape":
            dims = numpy_helper.to_array(stored[node.input[0]])
            shapes[node.output[0]] = tuple(dims.tolist())
        else:
            nodes.append(node)

    random = np.random.default_rng(seed)
    weights = {key: draw(random, shape) for key, shape in shapes.items()}
    maker = {node.output[0]: node for node in nodes}
    summed = [name for node in nodes if node.op_type == "Sum" for name in node.input]
    for branch in summed:
        if maker[branch].op_type == "BatchNormalization":
            weights[maker[branch].input[1]] *= 0.5

    read = {name for node in nodes for name in node.input}
    shuffles = [t for t in stored.values() if t.data_type == TensorProto.INT64 and t.name in read]
    kept = {picture, *(tensor.name for tensor in shuffles)}
    inputs = [given for given in graph.input if given.name in kept]
    del graph.node[:], graph.initializer[:], graph.input[:]
    graph.node.extend(nodes)
    graph.initializer.extend(shuffles)
    graph.initializer.extend(numpy_helper.from_array(w, key) for key, w in weights.items())
    # IR version 3, that of these files, wants every weight among the inputs too.
    graph.input.extend(inputs)
    graph.input.extend(
        helper.make_tensor_value_info(key, TensorProto.FLOAT, w.shape) for key, w in weights.items()
    )
    return model


def for_size(model: ModelProto, size: tuple[int, int]) -> ModelProto:
    """A copy whose constant Reshapes are for pictures of (height, width), not for 224 px."""
    copy = ModelProto()
    copy.CopyFrom(model)
    for tensor in copy.graph.initializer:
        if tensor.data_type == TensorProto.INT64:
            *kept, height, width = numpy_helper.to_array(tensor).tolist()
            sizes = [*kept, height * size[0] // 224, width * size[1] // 224]
            tensor.CopyFrom(numpy_helper.from_array(np.array(sizes), tensor.name))
    return copy


def draw(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """He-normal for filters and matrices (fan-in: all axes but the first), else U(0.5, 1.5)."""
    if len(shape) < 2:
        return random.uniform(0.5, 1.5, shape).astype(np.float32)
    deviation = np.float32(math.sqrt(2 / math.prod(shape[1:])))
    return random.standard_normal(shape, np.float32) * deviation


def noise(size: tuple[int, int], seed: int = 0, channels: int = 3) -> np.ndarray:
    """A picture (1, channels, height, width) without flat areas, U(-128, 128)."""
    random = np.random.default_rng(seed)
    return random.uniform(-128, 128, (1, channels, *size)).astype(np.float32)
