"""Maps of features: which blobs a unit of another is worked out from, and what it gains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oneiro.kernels.relu import relu

from .blob import Blob
from .layer import Activation
from .net import Net
from .target import Target

MIXING = ("Conv", "ConvTranspose", "Gemm", "MatMul", "Einsum")  # layers that have filters
FEATURES = ("Conv", "BatchNormalization", "Concat", "Add", "Sum", "Mul")  # beside activations


def maps_below(net: Net, target: Target, shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
    """Blobs of features, (n, c, h, w), that the target is worked out from, in order.

    Maps that no filters part from the target are its own, place by place: they come only where
    there are no others.
    """
    own: set[str | None] = {target.blob}
    found: list[str] = []
    near: list[str] = []
    for node in reversed(net.between((net.input,), (target.blob,))):
        if not own.isdisjoint(node.tops) and node.layer.kind not in MIXING:
            own.update(node.bottoms)
        name = node.tops[0]
        makes = node.layer.kind in FEATURES or isinstance(node.layer, Activation)
        if makes and len(shapes[name]) == 4 and min(shapes[name][2:]) > 1 and name != target.blob:
            (near if name in own else found).append(name)
    return (found or near)[::-1]


def weighted(blob: Blob) -> Any:
    """Grad-CAM (n, 1, h, w): the sum of maps times their diffs' means over places, rectified."""
    weights = blob.diff.mean((2, 3), keepdims=True)  # (n, c, 1, 1)
    return relu((weights * blob.data).sum(1, keepdims=True))
