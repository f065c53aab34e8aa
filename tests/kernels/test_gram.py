"""Gram matrices, and their gradient by difference quotients."""

import numpy as np

from oneiro.kernels.gram import gram, gram_backward


def test_gram_is_the_mean_of_products() -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 5, 7))
    np.testing.assert_allclose(gram(x)[1, 0, 2], (x[1, 0] * x[1, 2]).mean())


def test_gram_backward_is_the_gradient() -> None:
    random = np.random.default_rng(0)
    x, towards = random.normal(size=(2, 2, 3, 5, 7))
    dy = random.normal(size=(2, 3, 3))  # of no symmetry
    step = 1e-6
    change = (gram(x + step * towards) - gram(x - step * towards)) / (2 * step)
    np.testing.assert_allclose((gram_backward(dy, x) * towards).sum(), (dy * change).sum())
