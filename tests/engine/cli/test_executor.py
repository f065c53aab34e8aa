"""--executor and --threads, as they are typed."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from oneiro import executor, load_recipe
from oneiro.kernels import crew


@pytest.fixture(autouse=True)
def all_cores() -> Iterator[None]:
    yield
    crew.use(None)


SMALL = ("--iter-n", "2", "--octave-n", "1")


def dreamt(typed: Callable[..., Any], photo: Path, out: Path, *options: str) -> np.ndarray:
    result = typed("dream", photo, out, *options)
    assert result.code == 0, result.err
    return np.asarray(Image.open(out)).astype(float)


def test_both_dream_the_same(typed: Callable[..., Any], small_photo: Path, tmp_path: Path) -> None:
    pytest.importorskip("numba", reason="the fast executor compiles its kernels")
    pytest.importorskip("onnxruntime", reason="the fast executor convolves in onnxruntime")
    pictures = [
        dreamt(typed, small_photo, tmp_path / f"{name}.png", *SMALL, "--executor", name)
        for name in ("fast", "numpy")
    ]
    assert np.median(np.abs(np.subtract(*pictures))) <= 1
    found = load_recipe(tmp_path / "fast.png")["surroundings"]["executor"]
    assert found.startswith("fast, onnxruntime")
    again = dreamt(typed, small_photo, tmp_path / "again.png", "--recipe", tmp_path / "fast.png")
    np.testing.assert_array_equal(again, pictures[0])


def test_threads_are_what_is_asked_for(
    typed: Callable[..., Any], small_photo: Path, tmp_path: Path
) -> None:
    dreamt(typed, small_photo, tmp_path / "out.png", *SMALL, "--threads", "1")
    assert crew.threads() == 1


def test_what_is_missing_is_said_in_a_line(
    told: Callable[..., tuple[int, str]], small_photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "is_installed", lambda name: name != "numba")
    code, text = told("dream", small_photo, "--executor", "fast")
    assert code == 1
    assert text == "oneiro: executor 'fast' needs numba: pip install 'oneiro[cpu]'\n"
