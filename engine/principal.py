"""Principal components: the directions in which many vectors spread most."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def principal(rows: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The principal components (k, d) of rows (n, d), largest variance first, and its shares (k,).

    k is the smaller of n and d. A component and its opposite are the same: the one is taken whose
    largest value is positive.
    """
    centred = rows - rows.mean(0)
    small = np.linalg.qr(centred, mode="r")  # (k, d): of the same components, without the n rows
    _, sizes, components = np.linalg.svd(small, full_matrices=False)
    largest = np.take_along_axis(components, np.abs(components).argmax(1)[:, None], axis=1)
    variances = sizes**2
    return components * np.where(largest < 0, -1, 1), variances / (variances.sum() or 1)


def reduced(rows: NDArray[np.float64], dims: int) -> NDArray[np.float64]:
    """Rows (n, d) in their first principal components, (n, dims): 0 in those that there are not."""
    components, _ = principal(rows)
    found = (rows - rows.mean(0)) @ components[:dims].T
    return np.pad(found, ((0, 0), (0, dims - found.shape[1])))
