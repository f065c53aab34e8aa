"""Which executor a network gets, and what is said where it cannot."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oneiro import ArgumentError, Net, executor
from oneiro.executor import chosen_executor, described

SINGLE, DOUBLE = np.dtype(np.float32), np.dtype(np.float64)


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """missing("numba"): as if these packages were not installed, and all others were."""

    def hide(*names: str) -> None:
        monkeypatch.setattr(executor, "is_installed", lambda name: name not in names)
        monkeypatch.setattr(executor, "suits", REAL)

    return hide


REAL = executor.suits


@pytest.mark.parametrize(
    ("hidden", "dtype", "chosen"),
    [
        ((), SINGLE, "fast"),
        ((), DOUBLE, "numpy"),
        (("numba",), SINGLE, "numpy"),
        (("onnxruntime",), SINGLE, "numpy"),
    ],
)
def test_auto(missing: Callable[..., None], hidden: Any, dtype: Any, chosen: str) -> None:
    missing(*hidden)
    assert chosen_executor("auto", dtype) == chosen


@pytest.mark.parametrize(
    ("hidden", "dtype", "name", "message"),
    [
        ((), SINGLE, "quick", "executor 'quick' is not one of auto, numpy, fast"),
        ((), DOUBLE, "fast", "computes in float32: take executor='numpy'"),
        (("numba",), SINGLE, "fast", r"needs numba: pip install 'oneiro\[cpu\]'"),
        (("numba", "onnxruntime"), SINGLE, "fast", "needs onnxruntime and numba: pip install"),
    ],
)
def test_what_cannot_be_had(
    missing: Callable[..., None], hidden: Any, dtype: Any, name: str, message: str
) -> None:
    missing(*hidden)
    with pytest.raises(ArgumentError, match=message):
        chosen_executor(name, dtype)


def test_a_net_says_which_it_has() -> None:
    embedded = Path(__file__).parents[2] / "models" / "squeezenet1.1.onnx"
    net = Net(embedded, executor="numpy")
    assert (net.executor, net.precision) == ("numpy", "auto")
    assert net.again().executor == "numpy"
    assert Net(embedded, executor="numpy", precision="exact").precision == "exact"


def test_what_a_recipe_says() -> None:
    assert described("numpy") == "numpy"
    pytest.importorskip("numba", reason="its version is said")
    pytest.importorskip("onnxruntime", reason="its version is said")
    assert described("fast").startswith("fast, onnxruntime ")
    assert described("fast").endswith(" threads")
