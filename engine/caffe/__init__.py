"""pycaffe's face on a Net: programs of the Caffe era run again, on an .onnx file.

    import oneiro.caffe as caffe

    net = caffe.Classifier("deploy.prototxt", "googlenet.onnx", mean=bgr, channel_swap=(2, 1, 0))
    net.forward(end="inception_4c/output")

The .onnx file may stand in either place, prototxt or weights; the other file is ignored. The
picture's blob is always called `data`, and gradients reach it without `force_backward`. `data` and
`diff` are contiguous host arrays, the same ones between calls as long as their shape stays.

Here, unlike in `oneiro.Net`, `start` and `end` name layers, both included, and everything between
them in the file's order runs, backward from whatever the diffs hold. Where the name is no layer's
it is a blob's, which means the last layer that makes it.

A Caffe net lets a layer overwrite what it reads; ONNX never does, but the names in a file may say
so. If layer `conv1` makes a tensor that one ReLU alone reads, and that ReLU makes the tensor
`conv1` (SqueezeNet, GoogLeNet and VGG have it so), the two are one blob `conv1`, as they were in
Caffe: it holds what was computed last. After `forward(end="conv1")` that is the convolution, with
its negative values; after any run that goes on past the ReLU, the rectified. `backward(start=
"conv1")` starts below the ReLU, also when the data are rectified; name the ReLU's own layer to go
through it. Tensors whose names do not say so (as `conv1_relu` over `conv1`) stay two blobs.
Caffe2's exports number what was written in place, `conv1_1`, `conv1_2`: they are read likewise, and
called `conv1`.

A blob with several readers is followed by a Split layer, whose tops have the same data and a diff
for each reader, as Caffe inserts it. One thing differs: a forward zeroes the diffs that a backward
has worked out, all but the inputs'. In Caffe they stay, and leak through the splits into the next
gradient.

Weights may be written to (`net.params["conv1"][0].data`), but get no gradient.
"""

from . import io as io
from .blob import Blob
from .classifier import Classifier
from .net import TEST, TRAIN, Net, set_device, set_mode_cpu, set_mode_gpu

__all__ = [
    "TEST",
    "TRAIN",
    "Blob",
    "Classifier",
    "Net",
    "io",
    "set_device",
    "set_mode_cpu",
    "set_mode_gpu",
]
