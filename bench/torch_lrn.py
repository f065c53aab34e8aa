"""Local response normalisation, written by hand for PyTorch: sums of slices, and their derivative.

F.local_response_norm pads and averages in three dimensions, and takes several times as long.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F


def lrn(x: Any, size: int, alpha: float, beta: float, bias: float) -> Any:
    """x / (bias + alpha / size * the squares of `size` neighbouring channels) ** beta."""
    return Normalised.apply(x, size, alpha, beta, bias)


class Normalised(torch.autograd.Function):
    """With r = s**-beta: y = x r, and dx = dy r - 2 beta alpha / size x neighbours(dy x r / s)."""

    @staticmethod
    def forward(ctx: Any, x: Any, size: int, alpha: float, beta: float, bias: float) -> Any:
        s = neighbours(x * x, (size - 1) // 2, size // 2) * (alpha / size) + bias
        r = s.rsqrt() * s.rsqrt().sqrt() if beta == 0.75 else s.pow(-beta)
        ctx.save_for_backward(x, s, r)
        ctx.numbers = size, 2 * beta * alpha / size
        return x * r

    @staticmethod
    def backward(ctx: Any, dy: Any) -> Any:
        x, s, r = ctx.saved_tensors
        size, factor = ctx.numbers
        back = neighbours(dy * x * r / s, size // 2, (size - 1) // 2)
        return dy * r - factor * x * back, None, None, None, None


def neighbours(x: Any, before: int, after: int) -> Any:
    """The sum of each channel and of those before and after it."""
    channels = x.shape[1]
    wide = F.pad(x, (0, 0, 0, 0, before, after))
    total = wide[:, :channels]
    for k in range(1, before + after + 1):
        total = total + wide[:, k : k + channels]
    return total
