"""The functions of google/deepdream's dream.ipynb, statement by statement, for a net like Caffe's.

What shows pictures in the browser is left out, and xrange is range. They are the notebook authors'
work, under the Apache licence 2.0: dream.LICENSE-APACHE-2.0.txt beside this file.
"""

from typing import Any

import numpy as np
import scipy.ndimage as nd


def preprocess(net: Any, img: Any) -> Any:
    return np.float32(np.rollaxis(img, 2)[::-1]) - net.transformer.mean["data"]


def deprocess(net: Any, img: Any) -> Any:
    return np.dstack((img + net.transformer.mean["data"])[::-1])


def objective_L2(dst: Any) -> None:
    dst.diff[:] = dst.data


def make_step(
    net: Any,
    step_size: float = 1.5,
    end: str = "inception_4c/output",
    jitter: int = 32,
    clip: bool = True,
    objective: Any = objective_L2,
) -> None:
    """Basic gradient ascent step."""
    src = net.blobs["data"]  # input image is stored in Net's 'data' blob
    dst = net.blobs[end]

    ox, oy = np.random.randint(-jitter, jitter + 1, 2)  # noqa: NPY002
    src.data[0] = np.roll(np.roll(src.data[0], ox, -1), oy, -2)  # apply jitter shift

    net.forward(end=end)
    objective(dst)  # specify the optimization objective
    net.backward(start=end)
    g = src.diff[0]
    # apply normalized ascent step to the input image
    src.data[:] += step_size / np.abs(g).mean() * g

    src.data[0] = np.roll(np.roll(src.data[0], -ox, -1), -oy, -2)  # unshift image

    if clip:
        bias = net.transformer.mean["data"]
        src.data[:] = np.clip(src.data, -bias, 255 - bias)


def deepdream(
    net: Any,
    base_img: Any,
    iter_n: int = 10,
    octave_n: int = 4,
    octave_scale: float = 1.4,
    end: str = "inception_4c/output",
    clip: bool = True,
    **step_params: Any,
) -> Any:
    # prepare base images for all octaves
    octaves = [preprocess(net, base_img)]
    for i in range(octave_n - 1):  # noqa: B007
        octaves.append(nd.zoom(octaves[-1], (1, 1.0 / octave_scale, 1.0 / octave_scale), order=1))

    src = net.blobs["data"]
    detail = np.zeros_like(octaves[-1])  # allocate image for network-produced details
    for octave, octave_base in enumerate(octaves[::-1]):
        h, w = octave_base.shape[-2:]
        if octave > 0:
            # upscale details from the previous octave
            h1, w1 = detail.shape[-2:]
            detail = nd.zoom(detail, (1, 1.0 * h / h1, 1.0 * w / w1), order=1)

        src.reshape(1, 3, h, w)  # resize the network's input image size
        src.data[0] = octave_base + detail
        for i in range(iter_n):
            make_step(net, end=end, clip=clip, **step_params)

            # visualization
            vis = deprocess(net, src.data[0])
            if not clip:  # adjust image contrast if clipping is disabled
                vis = vis * (255.0 / np.percentile(vis, 99.98))
            print(octave, i, end, vis.shape)

        # extract details produced on the current octave
        detail = src.data[0] - octave_base
    # returning the resulting image
    return deprocess(net, src.data[0])
