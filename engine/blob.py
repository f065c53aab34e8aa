"""What flows between layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from oneiro.kernels.dispatch import Array, alike, own
from oneiro.kernels.symbol import Dims, known

from .error import ModelError


class Blob:
    """An array with two faces: `data` on the way forward, `diff` on the way back.

    Both read as ordinary arrays that may be written to in place (`blob.diff[...] = blob.data`),
    and both may be assigned. `data` is None until something has filled it. A diff that nothing has
    flowed into is zero. `np.asarray(blob)` and DLPack (`torch.from_dlpack(blob)`) give the data
    without a copy; on a GPU DLPack and `__cuda_array_interface__` do (`cupy.asarray(blob)`).

    As in Caffe, layers that only rename values (Flatten, Reshape, Identity) share their data with
    the blob below, and layers go back from what they saw: after writing into `data`, run forward
    from there (`start=`).
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._data: Array | None = None
        self._diff: Array | None = None
        self._diff_is_own = True
        self._shape: tuple[int, ...] | None = None

    def __repr__(self) -> str:
        return f"Blob({self.name!r}, shape={self.shape})"

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Of the data, or the shape that the data will have after Net.reshape."""
        return self._shape if self._data is None else self._data.shape

    @property
    def data(self) -> Any:
        """The values, None before the first forward."""
        return self._data

    @data.setter
    def data(self, value: Any) -> None:
        self._data = value
        self._diff = None

    @property
    def diff(self) -> Any:
        """The derivative of an objective by `data`, of the same shape; zeros if nothing flowed."""
        if self._diff is None:
            if self._data is None:
                raise ModelError(f"blob {self.name!r} is empty: run forward first")
            self._diff = np.zeros_like(self._data)
        elif not self._diff_is_own:
            # Layers hand out views and pass arrays on, which writing would change elsewhere.
            self._diff = own(self._diff)
        self._diff_is_own = True
        return self._diff

    @diff.setter
    def diff(self, value: Any) -> None:
        if self._data is not None and differ(known(value.shape), known(self._data.shape)):
            shapes = f"{value.shape} for data of shape {self._data.shape}"
            raise ModelError(f"blob {self.name!r} got a diff of shape {shapes}")
        self._diff = value if self._data is None else alike(value, self._data)
        self._diff_is_own = False

    @property
    def flowed(self) -> Array | None:
        """The diff as it stands, not to be written to; None where nothing has flowed."""
        return self._diff

    def clear_diff(self) -> None:
        """Forget the diff: it is zero again."""
        self._diff = None

    def seed(self, diff: Array) -> None:
        """Go back from this diff, which stays the array that its owner may hold."""
        self._diff = diff
        self._diff_is_own = True

    def add_diff(self, diff: Array) -> None:
        """Let another reader's diff flow in."""
        self._diff = diff if self._diff is None else self._diff + diff
        self._diff_is_own = False

    def divide_diff(self, scale: Any) -> None:
        """Take out of the diff a factor that was in what it was worked out from."""
        if self._diff is not None:
            self._diff = self._diff / scale
            self._diff_is_own = True

    def expect(self, shape: tuple[int, ...] | None) -> None:
        """Take on a shape ahead of the data; data of another shape is gone."""
        self._shape = shape
        if self._data is not None and self._data.shape != shape:
            self._data = None
            self._diff = None

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.array(self._filled(), dtype=dtype, copy=copy)

    def __dlpack__(self, **options: Any) -> Any:
        return self._filled().__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self._filled().__dlpack_device__()

    @property
    def __cuda_array_interface__(self) -> Any:
        return self.data.__cuda_array_interface__  # None has none, and hasattr says so

    def _filled(self) -> Any:
        if self._data is None:
            raise ModelError(f"blob {self.name!r} is empty: run forward first")
        return self._data


class Blobs(dict[str, Blob]):
    """Blobs by name; a name that is none is resolved, as that of a layer or an alias."""

    def __init__(self, names: Iterable[str], resolve: Callable[[str], str]) -> None:
        super().__init__((name, Blob(name)) for name in names)
        self.resolve = resolve

    def __missing__(self, name: str) -> Blob:
        return self[self.resolve(name)]


def differ(a: Dims, b: Dims) -> bool:
    """Are two shapes different, as far as both are known?"""
    return len(a) != len(b) or any(
        m != n for m, n in zip(a, b, strict=True) if m is not None and n is not None
    )
