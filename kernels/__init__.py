"""Functions on arrays, each beside its adjoint: NumPy says what they mean, twins say it elsewhere.

A twin of a kernel runs on another kind of array: symbols, which write ONNX.
"""

if __name__ != "oneiro.kernels":
    raise ImportError("this folder is the package oneiro.kernels: pip install, then import oneiro")

from . import (
    translation as translation,
)  # fills the table of NumPy functions that symbols answer to
