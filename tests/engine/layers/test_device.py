"""Every layer computes on a device what it computes on the host, there and back."""

import copy
from typing import Any

import numpy as np
import pytest

from oneiro.kernels.dispatch import Emulator
from oracle.adjoint import as_tuple
from oracle.case import Case, every

pytestmark = pytest.mark.emulator

CASES = every()
DEVICE = Emulator()


def on_device(case: Case) -> list[Any]:
    """The bottoms as a Net has them: floats on the device, but for those read as numbers."""
    numbers = case.layer.numbers
    return [
        DEVICE.place(bottom) if is_float(bottom) and k not in numbers else bottom
        for k, bottom in enumerate(in_float32(case))
    ]


def in_float32(case: Case) -> list[Any]:
    return [b.astype(np.float32) if is_float(b) else b for b in case.bottoms]


def is_float(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def agree(found: Any, wanted: Any) -> None:
    if wanted is None:
        assert found is None
        return
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert (found.shape, found.dtype.kind) == (wanted.shape, wanted.dtype.kind)
    finite = wanted[np.isfinite(wanted)] if wanted.dtype.kind == "f" else wanted
    scale = float(np.abs(finite).max(initial=0)) if wanted.dtype.kind == "f" else 0.0
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5 * scale)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_layers_on_a_device(case: Case) -> None:
    here, there = copy.copy(case.layer), copy.copy(case.layer)
    with np.errstate(all="ignore"):
        tops = as_tuple(here.forward(*in_float32(case)))
        found = as_tuple(there.forward(*on_device(case)))
        for top, wanted in zip(found, tops, strict=True):
            agree(top, wanted)
        for rule in ("backward", "backward_guided", "backward_deconv") if case.towards else ():
            random = np.random.default_rng(0)
            seeds = [random.normal(size=top.shape).astype(np.float32) for top in tops]
            wanted = as_tuple(getattr(here, rule)(*seeds))
            diffs = as_tuple(getattr(there, rule)(*map(DEVICE.place, seeds)))
            # deconv sends back to the picture's side alone
            for k in [k for k in case.towards if k < len(wanted)]:
                agree(diffs[k], wanted[k])
