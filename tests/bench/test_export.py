"""bench/export.py in small: its rivals agree, and a page says what the files are."""

from collections.abc import Callable

import pytest

pytest.importorskip("torch", reason="the rivals are PyTorch's")
pytest.importorskip("onnxruntime", reason="it runs what is exported")


def test_a_small_run_writes_a_page(page_of: Callable[..., str]) -> None:
    text = page_of("export", "--net squeezenet --size 64x48 --rounds 1 --without compile")
    for found in ("| 64x48 | onnxruntime ", "| SqueezeNet 1.1 to fire7 | dream ", " Conv, "):
        assert found in text
    assert "wrong" not in text
