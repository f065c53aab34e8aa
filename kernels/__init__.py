"""Functions on arrays, each beside its adjoint: NumPy says what they mean, twins say it elsewhere.

A twin of a kernel runs on another kind of array: on symbols it writes ONNX, on devices it launches
CUDA.
"""

if __name__ != "oneiro.kernels":
    raise ImportError("this folder is the package oneiro.kernels: pip install, then import oneiro")

# they fill the tables of NumPy functions that symbols and arrays on devices answer to
from . import (
    layout as layout,
    matmul as matmul,
    pointwise as pointwise,
    reduction as reduction,
    roll as roll,
    translation as translation,
)

# kernels for objectives of one's own: no layer and no method here asks for them
from . import gram as gram, variation as variation  # isort: skip
