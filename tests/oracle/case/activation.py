"""Functions of each element that networks put between their layers, and softmax."""

from collections.abc import Iterator

import numpy as np

from . import PICTURE, Case, apart, make, normal


def cases() -> Iterator[Case]:
    x = apart(*PICTURE)
    integers = np.arange(-7, 8, dtype=np.int32).reshape(3, 5)
    yield Case(make("Relu"), [x])
    yield Case(make("Relu"), [integers], ())
    yield Case(make("LeakyRelu", alpha=0.3), [x])
    yield Case(make("PRelu"), [x, normal(3, 1, 1)], (0, 1))
    yield Case(make("PRelu"), [integers, np.array([3, -2, 0, 1, 5], np.int32)], ())
    yield Case(make("ThresholdedRelu", alpha=0.8), [x])
    yield Case(make("Clip"), [x, np.array(0.0), np.array(1.7)])
    yield Case(make("Clip"), [x, np.array(-1.1)])
    yield Case(make("Clip"), [x, None, np.array(0.9)])
    yield Case(make("Clip"), [x])
    yield Case(make("Clip"), [x, np.array(-1.1), np.array(0.9)], (0, 1, 2))
    yield Case(make("Clip"), [integers, np.array(-3, np.int32), np.array(4, np.int32)], ())
    yield Case(make("Shrink", lambd=0.7, bias=0.4), [x])
    yield Case(make("Shrink", lambd=1.5), [integers.astype(float)])

    yield Case(make("Elu", alpha=0.7), [x])
    yield Case(make("Selu", alpha=1.3, gamma=0.6), [x])
    yield Case(make("Selu"), [x])
    yield Case(make("Celu", alpha=0.4), [x])

    yield Case(make("Sigmoid"), [3 * x])
    yield Case(make("HardSigmoid", alpha=0.3, beta=0.4), [1.07 * x])
    yield Case(make("Tanh"), [x])
    yield Case(make("Softsign"), [x])
    yield Case(make("Softplus"), [20 * x])

    for approximate in ("none", "tanh"):
        yield Case(make("Gelu", approximate=approximate), [x])
    yield Case(make("Swish", alpha=1.7), [x])
    yield Case(make("HardSwish"), [1.7 * x])
    yield Case(make("Mish"), [2 * x])

    for axis in (0, 1, -1):
        yield Case(make("Softmax", axis=axis), [x])
        yield Case(make("LogSoftmax", axis=axis), [x])
        yield Case(make("Hardmax", axis=axis), [np.rint(x)], ())
