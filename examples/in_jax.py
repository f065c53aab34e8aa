"""A network's .onnx file as a function of JAX that can be differentiated.

`python examples/in_jax.py` checks its gradient; JAX is wanted, and no PyTorch or TensorFlow.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.test_util import check_grads

import oneiro


def in_jax(net: oneiro.Net, end: str) -> Callable[[jax.Array], jax.Array]:
    """f(x): what the blob `end` holds for pictures x (n, c, h, w); jax.grad and jax.vjp know it.

    x has the net's type. Arrays cross by DLPack: both sides see the same memory. What JAX holds
    never changes, and the net makes new arrays in every run; do not write into its blobs.
    """

    def forward(x: Any) -> Any:
        net.blobs[net.input].data = on_host(x)  # given to net.forward it would be copied
        return net.forward(end=end)[end]

    def backward(x: Any, dy: Any) -> Any:
        forward(x)
        net.blobs[end].diff = on_host(dy)
        return net.backward(start=end, end=net.input)[net.input]

    @jax.custom_vjp
    def f(x: jax.Array) -> jax.Array:
        return called(forward, net.shapes({net.input: x.shape}, end=end)[end], x)

    def f_forward(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        return f(x), x

    def f_backward(x: jax.Array, dy: jax.Array) -> tuple[jax.Array]:
        return (called(backward, x.shape, x, dy),)

    f.defvjp(f_forward, f_backward)
    return f


def on_host(x: jax.Array) -> Any:
    """The same memory as NumPy's, not to be written to; a copy of what is on a GPU."""
    return np.from_dlpack(x, device="cpu")


def called(function: Callable[..., Any], shape: tuple[int, ...], *given: Any) -> jax.Array:
    """What the net's function gives, an array of this shape, as JAX's.

    JAX shares memory that starts at a multiple of 64 bytes, as a GPU's does and NumPy's may, and
    copies other. What jax.jit compiles has memory of its own, to which a callback's is copied.
    """
    arrays = [jax.numpy.asarray(array) for array in given]  # check_grads gives NumPy's, too
    if any(isinstance(array, jax.core.Tracer) for array in arrays):
        return jax.pure_callback(function, jax.ShapeDtypeStruct(shape, arrays[0].dtype), *arrays)
    made = function(*arrays)
    try:
        return jax.dlpack.from_dlpack(made, device=arrays[0].device)
    except (BufferError, jax.errors.JaxRuntimeError):  # a view that is read-only, or has gaps
        return jax.device_put(np.array(made), arrays[0].device)


def main() -> None:
    jax.config.update("jax_enable_x64", True)
    net = oneiro.load("squeezenet1.1", device="cpu", dtype=np.float64)
    f = in_jax(net, "fire3/concat")
    x = jax.numpy.asarray(np.random.default_rng(0).normal(0, 50, (1, 3, 19, 23)))
    for function in (f, jax.jit(f)):
        check_grads(function, (x,), order=1, modes=["rev"], eps=1e-4)
    print("the gradient of", f(x).shape, "is right")
    print("the net sees JAX's memory:", np.shares_memory(net.blobs[net.input].data, np.asarray(x)))


if __name__ == "__main__":
    main()
