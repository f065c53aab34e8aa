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
    """f(x): what the blob `end` holds for pictures x (n, c, h, w); jax.grad and jax.vjp know it."""

    def forward(x: Any) -> Any:
        return net.forward({net.input: np.asarray(x)}, end=end)[end]

    def backward(x: Any, dy: Any) -> Any:
        forward(x)
        net.blobs[end].diff = np.asarray(dy)
        return net.backward(start=end, end=net.input)[net.input]

    @jax.custom_vjp
    def f(x: jax.Array) -> jax.Array:
        made = net.shapes({net.input: x.shape}, end=end)[end]
        return jax.pure_callback(forward, jax.ShapeDtypeStruct(made, x.dtype), x)

    def f_forward(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        return f(x), x

    def f_backward(x: jax.Array, dy: jax.Array) -> tuple[jax.Array]:
        return (jax.pure_callback(backward, jax.ShapeDtypeStruct(x.shape, x.dtype), x, dy),)

    f.defvjp(f_forward, f_backward)
    return f


def main() -> None:
    jax.config.update("jax_enable_x64", True)
    net = oneiro.load("squeezenet1.1", device="cpu", dtype=np.float64)
    f = in_jax(net, "fire3/concat")
    x = jax.numpy.asarray(np.random.default_rng(0).normal(0, 50, (1, 3, 19, 23)))
    check_grads(jax.jit(f), (x,), order=1, modes=["rev"], eps=1e-4)
    print("the gradient of", f(x).shape, "is right")


if __name__ == "__main__":
    main()
